/// One TCP connection through the relay: the dialler's half, the half towards the replica, and what the two links between
/// them do to its bytes. Reading stops when a direction holds too much, so a slow link slows its writer, as a real one does.
import Foundation
import NIOCore
import NIOPosix

final class StreamPair {
    enum Side: Int { case dialler = 0, listener = 1 }

    private struct Direction {
        var waiting = CircularBuffer<(at: Int64, bytes: ByteBuffer)>()
        var waitingBytes = 0
        var passedBytes = 0
        /// On a link with a rate: when what came before is through.
        var freeAt: Int64 = 0
        var hasEnded = false
        var hasToldEnd = false
        /// The link cut the stream; what still comes is thrown away.
        var isCut = false
        var isReading = false
        var timer: Scheduled<Void>?
    }

    private enum Dialling { case waiting, under, done }

    private unowned let board: Switchboard
    let from: Int
    let to: Int
    private var channels: [(any Channel)?]
    /// By the side that writes.
    private var directions = [Direction(), Direction()]
    private var dialling = Dialling.waiting
    private var isOver = false

    init(_ board: Switchboard, dialler: any Channel, from: Int, to: Int) {
        self.board = board
        self.from = from
        self.to = to
        channels = [dialler, nil]
    }

    /// The link that this side's bytes pass.
    private func faults(_ side: Side) -> StreamFaults {
        switch side {
        case .dialler: board.links[board.link(from, to)].streams
        // Nobody's address is the front of `other`; the way back to it has no link of its own.
        case .listener: from == board.other ? .none : board.links[board.link(to, from)].streams
        }
    }

    func begin() {
        board.pairs[ObjectIdentifier(self)] = self
        board.totals.streams += 1
        if faults(.dialler).mode == .refuse {
            board.totals.streamsRefused += 1
            return reset()
        }
        dial()
        pump(.dialler)
    }

    func end() { finish() }

    func faultsChanged() {
        dial()
        pump(.dialler)
        pump(.listener)
    }

    private func dial() {
        guard !isOver, dialling == .waiting, faults(.dialler).mode != .blackhole else { return }
        guard let bind = board.fronts[to].bind else { return reset() }
        dialling = .under
        let pair = NIOLoopBound(self, eventLoop: channels[0]!.eventLoop)
        var bootstrap = ClientBootstrap(group: channels[0]!.eventLoop)
            .channelOption(.autoRead, value: false).channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamEnd(pair.value, .listener))
                }
            }
        // The replica sees the connection come from the machine that dials.
        if from != board.other, let host = board.fronts[from].address.ipAddress,
            let local = try? SocketAddress(ipAddress: host, port: 0)
        {
            bootstrap = bootstrap.bind(to: local)
        }
        bootstrap.connect(to: bind).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.dialled(channel)
            case .failure(let error): self.notDialled(error)
            }
        }
    }

    private func dialled(_ channel: any Channel) {
        guard !isOver else { return channel.close(promise: nil) }
        dialling = .done
        channels[1] = channel
        pump(.dialler)
        pump(.listener)
    }

    private func notDialled(_ error: any Error) {
        // Nobody listens there, so nobody shall seem to listen here.
        if (error as? IOError)?.errnoCode == ECONNREFUSED, let listener = board.fronts[to].listener {
            board.setListener(to, nil)
            listener.close(promise: nil)
        }
        reset()
    }

    // MARK: - What channels tell

    func received(_ bytes: ByteBuffer, _ side: Side) {
        directions[side.rawValue].isReading = false
        guard !isOver, !directions[side.rawValue].isCut else { return pump(side) }
        let faults = faults(side)
        let now = Int64(NIODeadline.now().uptimeNanoseconds)
        var at = now
        if faults.rate > 0 {
            at =
                max(now, directions[side.rawValue].freeAt)
                + Int64(Double(bytes.readableBytes) / Double(faults.rate) * 1e9)
            directions[side.rawValue].freeAt = at
        }
        at += Int64(faults.delayMilliseconds * 1e6)
        directions[side.rawValue].waiting.append((at: at, bytes: bytes))
        directions[side.rawValue].waitingBytes += bytes.readableBytes
        pump(side)
    }

    func ended(_ side: Side) {
        directions[side.rawValue].hasEnded = true
        directions[side.rawValue].isReading = false
        pump(side)
    }

    func closed(_ side: Side) {
        channels[side.rawValue] = nil
        ended(side)
        // What this side would still have been sent has no reader any more.
        if !isOver, directions[side.rawValue].hasToldEnd { finish() }
    }

    func failed(_ side: Side) { reset() }

    func writable(_ side: Side) { pump(side == .dialler ? .listener : .dialler) }

    // MARK: -

    /// Moves what `side` wrote as far as the link lets it.
    private func pump(_ side: Side) {
        let number = side.rawValue
        let mode = faults(side).mode
        guard !isOver, mode != .blackhole else { return }
        guard let sink = channels[1 - number] else {
            // Not dialled yet; or the other side is gone, and then so is this one.
            if dialling == .done { finish() }
            return
        }
        let now = Int64(NIODeadline.now().uptimeNanoseconds)
        var hasWritten = false
        while let first = directions[number].waiting.first, first.at <= now, sink.isWritable, !directions[number].isCut
        {
            directions[number].waiting.removeFirst()
            directions[number].waitingBytes -= first.bytes.readableBytes
            var bytes = first.bytes
            let room = Self.limit(mode).map { max(0, $0 - directions[number].passedBytes) } ?? Int.max
            if bytes.readableBytes > room { bytes = bytes.getSlice(at: bytes.readerIndex, length: room)! }
            directions[number].passedBytes += bytes.readableBytes
            sink.write(bytes, promise: nil)
            hasWritten = true
            guard let limit = Self.limit(mode), directions[number].passedBytes >= limit else { continue }
            sink.flush()
            if case .resetAfter = mode { return reset() }
            cut(number)
        }
        if hasWritten { sink.flush() }
        if directions[number].waiting.isEmpty, directions[number].hasEnded { tellEnd(number, sink) }
        wait(side, now)
        readMore(number)
    }

    private static func limit(_ mode: StreamFaults.Mode) -> Int? {
        switch mode {
        case .resetAfter(let bytes), .halfCloseAfter(let bytes): bytes
        case .pass, .refuse, .blackhole: nil
        }
    }

    private func cut(_ number: Int) {
        directions[number].isCut = true
        directions[number].waiting.removeAll()
        directions[number].waitingBytes = 0
        directions[number].hasEnded = true
    }

    private func tellEnd(_ number: Int, _ sink: any Channel) {
        guard !directions[number].hasToldEnd else { return }
        directions[number].hasToldEnd = true
        if directions[1 - number].hasToldEnd || channels[number] == nil { return finish() }
        sink.close(mode: .output, promise: nil)
    }

    private func wait(_ side: Side, _ now: Int64) {
        let number = side.rawValue
        guard let first = directions[number].waiting.first, first.at > now, directions[number].timer == nil else {
            return
        }
        directions[number].timer = board.loop.scheduleTask(in: .nanoseconds(first.at - now)) {
            self.directions[number].timer = nil
            self.pump(side)
        }
    }

    private func readMore(_ number: Int) {
        guard !isOver, let source = channels[number], !directions[number].isReading,
            !directions[number].hasEnded || directions[number].isCut,
            directions[number].waitingBytes < board.options.streamBytesMax
        else { return }
        directions[number].isReading = true
        source.read()
    }

    private func finish() {
        over { $0.close(promise: nil) }
    }

    /// Ends both halves at once; what was on its way is lost.
    private func reset() {
        board.totals.streamsReset += isOver ? 0 : 1
        over { channel in
            _ = (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            channel.close(promise: nil)
        }
    }

    private func over(_ close: (any Channel) -> Void) {
        guard !isOver else { return }
        isOver = true
        for number in [0, 1] {
            directions[number].timer?.cancel()
            directions[number].waiting.removeAll()
            if let channel = channels[number] { close(channel) }
            channels[number] = nil
        }
        board.pairs[ObjectIdentifier(self)] = nil
    }
}

/// Tells a pair what happens on one of its channels.
final class StreamEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let pair: StreamPair
    private let side: StreamPair.Side

    init(_ pair: StreamPair, _ side: StreamPair.Side) {
        self.pair = pair
        self.side = side
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { pair.received(unwrapInboundIn(data), side) }
    func channelActive(context: ChannelHandlerContext) { if side == .dialler { pair.begin() } }
    func channelInactive(context: ChannelHandlerContext) { pair.closed(side) }
    func channelWritabilityChanged(context: ChannelHandlerContext) { pair.writable(side) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { pair.ended(side) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { pair.failed(side) }
}
