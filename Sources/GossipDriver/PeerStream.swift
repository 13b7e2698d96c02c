/// One TCP connection between replicas: the handshake, then sealed frames both ways, within bounds of time and bytes.
///
/// It knows nothing of what frames say. Everything it tells comes through `onEvent`, on the channel's loop, and nothing
/// after `failed` or `closed`.
import Crypto
import NIOCore
import WireCoding

final class PeerStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Event: Equatable {
        /// We dialled and were answered by somebody who holds our key.
        case opened
        /// The text of a frame. The first one of a stream that was accepted proves who dialled.
        case frame([UInt8])
        /// The other side has ended it between two frames.
        case closed
        case failed(StreamFailure)
    }

    /// Bounds of time and bytes [ours].
    struct Bounds {
        var handshake = TimeAmount.seconds(1)
        /// Shorter than the five seconds after a cut in which all are to know all again: whoever waits on a stream that
        /// was cut tries another.
        var progress = TimeAmount.seconds(3)
        var whole = TimeAmount.seconds(120)
        /// In each direction.
        var bytes = 64 << 20
        /// What is not read any more is waited for so long after our last byte: a close with unread bytes would be a
        /// reset, and take from the other side what it has not read yet.
        var linger = TimeAmount.seconds(1)
    }

    enum Role {
        case dials(StreamHandshake.Dialler)
        case listens(keys: (StreamPurpose, UInt16) -> [StreamKey], salt: [UInt8])
    }

    private enum Phase { case shakingHands, open, closing, ended }

    /// Of an accepted stream, once its opening was read.
    private(set) var purpose: StreamPurpose?
    /// A frame of the other side has come: it holds the key now, not only a recording.
    private(set) var isBelieved = false

    private let role: Role
    private let bounds: Bounds
    private let onEvent: (PeerStream, Event) -> Void
    private var phase = Phase.shakingHands
    private var ciphers: StreamCiphers?
    private var context: ChannelHandlerContext?
    private var unread = ByteBuffer()
    private(set) var bytesIn = 0
    private(set) var bytesOut = 0
    private var startedAt = NIODeadline.uptimeNanoseconds(0)
    private var progressedAt = NIODeadline.uptimeNanoseconds(0)
    private var timer: Scheduled<Void>?

    init(_ role: Role, bounds: Bounds = Bounds(), onEvent: @escaping (PeerStream, Event) -> Void) {
        self.role = role
        self.bounds = bounds
        self.onEvent = onEvent
    }

    // MARK: What the owner asks for

    func send(_ text: [UInt8]) {
        guard phase == .open, let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: StreamCipher.overhead + text.count)
        guard ciphers?.sealing.seal(text, into: &buffer) == true, bytesOut + buffer.readableBytes <= bounds.bytes else {
            return end(with: .failed(.malformed))
        }
        write(buffer, context)
    }

    /// Ends the stream after what was sent before. Tells nothing more.
    func close() {
        guard phase == .open, let context else { return end(with: nil) }
        phase = .closing
        unread.clear()
        context.close(mode: .output, promise: nil)
        arm(context.eventLoop.now + bounds.linger, context)
    }

    func fail(_ failure: StreamFailure) { end(with: .failed(failure)) }

    /// Ends the stream at once and tells nothing more.
    func abandon() { end(with: nil) }

    // MARK: What the channel tells

    /// From here on time runs: whoever dials has so long for the connection and the handshake together.
    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        startedAt = context.eventLoop.now
        progressedAt = startedAt
        arm(startedAt + bounds.handshake, context)
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .shakingHands || phase == .open else { return }
        var bytes = unwrapInboundIn(data)
        progressedAt = context.eventLoop.now
        bytesIn += bytes.readableBytes
        guard bytesIn <= bounds.bytes else { return end(with: .failed(.malformed)) }
        if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
        advance(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if phase == .shakingHands, unread.readableBytes == 0 || isDialler { return end(with: .failed(.handshake)) }
        end(with: unread.readableBytes == 0 ? .closed : .failed(.reset))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { end(with: .failed(.reset)) }

    // MARK: Steps

    private var isDialler: Bool {
        if case .dials = role { true } else { false }
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard phase == .shakingHands, bytesOut == 0, case .dials(let dialler) = role else { return }
        write(ByteBuffer(bytes: dialler.opening), context)
    }

    private func advance(_ context: ChannelHandlerContext) {
        if phase == .shakingHands { shakeHands(context) }
        while phase == .open {
            switch ciphers?.opening.open(from: &unread) {
            case .frame(let text):
                isBelieved = true
                onEvent(self, .frame(text))
            case .incomplete: return
            case .malformed, nil: end(with: .failed(.malformed))
            }
        }
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        switch role {
        case .dials(let dialler):
            guard let answer = unread.readBytes(length: StreamHandshake.answerBytes) else { return }
            guard let ciphers = dialler.ciphers(answer: answer) else { return end(with: .failed(.handshake)) }
            self.ciphers = ciphers
            phase = .open
            onEvent(self, .opened)
        case .listens(let keys, let salt):
            guard let opening = unread.readBytes(length: StreamHandshake.openingBytes) else { return }
            guard let answer = StreamHandshake.answer(to: opening, keys: keys, salt: salt) else {
                return end(with: .failed(.handshake))
            }
            purpose = answer.purpose
            ciphers = answer.ciphers
            phase = .open
            write(ByteBuffer(bytes: answer.bytes), context)
        }
    }

    private func write(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) {
        bytesOut += buffer.readableBytes
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { self.progressedAt = context.eventLoop.now }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: written)
    }

    private func end(with event: Event?) {
        guard phase != .ended else { return }
        let tells = phase != .closing
        phase = .ended
        timer?.cancel()
        timer = nil
        unread = ByteBuffer()
        ciphers = nil
        context?.close(mode: .all, promise: nil)
        if tells, let event { onEvent(self, event) }
    }

    // MARK: Time

    private func arm(_ deadline: NIODeadline, _ context: ChannelHandlerContext) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.look() }
    }

    /// One timer a stream: it looks what has run out, and comes back for what may run out next.
    private func look() {
        guard let context else { return }
        let now = context.eventLoop.now
        switch phase {
        case .ended: return
        case .closing: return end(with: nil)
        case .shakingHands: return end(with: .failed(.timeout))
        case .open:
            // Who dialled owes a frame as part of the handshake.
            if !isDialler, !isBelieved { return end(with: .failed(.timeout)) }
            let next = min(progressedAt + bounds.progress, startedAt + bounds.whole)
            if now >= next { return end(with: .failed(.timeout)) }
            arm(next, context)
        }
    }
}
