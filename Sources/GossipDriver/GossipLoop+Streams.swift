/// Streams of this replica: those it dials, and those that others dial, within bounds.
import Determinism
import Membership
import NIOCore
import NIOPosix
import ReplicaCore
import WireCoding

/// One stream and what is known of it.
struct StreamLine {
    enum Place {
        case dialled
        /// Accepted; nobody has proved anything yet.
        case shakingHands
        case exchange
        case probe
    }

    let stream: PeerStream
    let from: PeerAddress
    var place: Place

    static let shakingHandsMax = 32
    /// The machine asks for fewer by far.
    static let dialledMax = 128
}

extension GossipLoop {
    // MARK: What the machine asks for

    func dial(_ id: StreamID, _ address: PeerAddress, _ purpose: StreamPurpose, within: Duration) {
        let key =
            switch purpose {
            case .join: secrets.joinKeys.first
            case .peer: board.keys.first.map(secrets.streamKey)
            }
        guard let key, let name = SystemAddress.stream(to: address),
            lines.values.count(where: { $0.place == .dialled }) < StreamLine.dialledMax
        else { return failed(id, .unreachable) }
        var bounds = PeerStream.Bounds()
        bounds.handshake = .nanoseconds(within.wholeNanoseconds)
        let dialler = StreamHandshake.Dialler(purpose, key: key, salt: secrets.salt)
        let stream = PeerStream(.dials(dialler), bounds: bounds) { [unowned self] _, event in self.heard(id, event) }
        lines[id] = StreamLine(stream: stream, from: address, place: .dialled)
        shared.counters.add { $0.streamsOpened += 1 }
        let bound = NIOLoopBound(stream, eventLoop: loop)
        var bootstrap = ClientBootstrap(group: loop)
        // One address for streams and datagrams, where it is told one: firewalls and people know it by that.
        if let source, (source.ipv4 == nil) == (address.ipv4 == nil), let name = SystemAddress.stream(to: source) {
            bootstrap = bootstrap.bind(to: name)
        }
        bootstrap
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connectTimeout(bounds.handshake)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
            .connect(to: name).assumeIsolated().whenFailure { stream.fail(Self.failure(of: $0)) }
    }

    func send(_ frame: StreamFrame, on id: StreamID) {
        guard let line = lines[id] else { return }
        var text: [UInt8] = []
        frame.encode(into: &text)
        line.stream.send(text)
    }

    func close(_ id: StreamID) {
        guard let line = lines.removeValue(forKey: id) else { return }
        count(line)
        line.stream.close()
    }

    // MARK: What others dial

    func accept(_ channel: any Channel) {
        guard let from = channel.remoteAddress.flatMap(SystemAddress.address), mayAccept(from) else {
            shared.counters.add { $0.streamsRefused += 1 }
            return channel.close(promise: nil)
        }
        acceptedNumber = (acceptedNumber &+ 1) & ~StreamID.acceptedBit
        let id = StreamID(rawValue: acceptedNumber | StreamID.acceptedBit)
        let keys: (StreamPurpose, UInt16) -> [StreamKey] = { [secrets, board] in
            secrets.streamKeys($0, id: $1, among: board.keys)
        }
        let stream = PeerStream(.listens(keys: keys, salt: secrets.salt)) { [unowned self] _, event in
            self.heard(id, event)
        }
        do {
            try channel.pipeline.syncOperations.addHandler(stream)
        } catch {
            return channel.close(promise: nil)
        }
        lines[id] = StreamLine(stream: stream, from: from, place: .shakingHands)
    }

    private func mayAccept(_ from: PeerAddress) -> Bool {
        var shaking = 0
        var sameSource = 0
        for (_, line) in lines where line.place != .dialled {
            if line.place == .shakingHands { shaking += 1 }
            if line.from.isSameSource(as: from) { sameSource += 1 }
        }
        return !hasEnded && shaking < StreamLine.shakingHandsMax && sameSource < bounds.streamsPerSource
    }

    // MARK: What streams tell

    private func heard(_ id: StreamID, _ event: PeerStream.Event) {
        switch event {
        case .opened: tell(.membership(.streamOpened(id)))
        case .frame(let text): heard(id, text)
        case .closed:
            guard let line = lines.removeValue(forKey: id) else { return }
            count(line)
            if line.place != .shakingHands { tell(.membership(.streamClosed(id))) }
        case .failed(let failure):
            guard let line = lines.removeValue(forKey: id) else { return }
            count(line)
            if line.place != .shakingHands {
                failed(id, failure)
            } else {
                shared.counters.add { $0.fail(failure) }
            }
        }
    }

    private func heard(_ id: StreamID, _ text: [UInt8]) {
        guard let line = lines[id] else { return }
        switch text.withUnsafeBytes({ StreamFrame.decode($0) }) {
        case .failure(.unknown): return
        case .failure(.malformed): line.stream.fail(.malformed)
        case .success(let frame):
            if line.place == .shakingHands, !seat(id, line, for: frame) { return }
            tell(.membership(.streamFrame(id, frame)))
        }
    }

    /// The first frame says what a stream is for. Probes have places of their own (W10).
    private func seat(_ id: StreamID, _ line: StreamLine, for frame: StreamFrame) -> Bool {
        let isProbe = if case .ping = frame { true } else { false }
        let place = isProbe ? StreamLine.Place.probe : .exchange
        let most = isProbe ? bounds.probeStreamsAccepted : bounds.streamsAccepted
        guard let purpose = line.stream.purpose, lines.values.count(where: { $0.place == place }) < most else {
            shared.counters.add { $0.streamsRefused += 1 }
            if case .joinRequest = frame { send(.joinRefused(.busy), on: id) }
            close(id)
            return false
        }
        lines[id]?.place = place
        shared.counters.add { $0.streamsAccepted += 1 }
        tell(.membership(.streamAccepted(id, purpose, from: line.from)))
        return true
    }

    private func failed(_ id: StreamID, _ failure: StreamFailure) {
        shared.counters.add { $0.fail(failure) }
        tell(.membership(.streamFailed(id, failure)))
    }

    private func count(_ line: StreamLine) {
        shared.counters.add {
            $0.streamBytesReceived += line.stream.bytesIn
            $0.streamBytesSent += line.stream.bytesOut
        }
    }

    // MARK: What a dial may end in

    private static func failure(of error: any Error) -> StreamFailure {
        if let error = error as? ChannelError, case .connectTimeout = error { return .timeout }
        guard let error = error as? IOError else { return .unreachable }
        return switch error.errnoCode {
        case ECONNREFUSED: .refused
        case ETIMEDOUT: .timeout
        case ECONNRESET: .reset
        default: .unreachable
        }
    }
}

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif
