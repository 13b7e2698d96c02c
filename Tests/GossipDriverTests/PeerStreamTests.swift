import Crypto
import Determinism
import NIOCore
import NIOEmbedded
import Testing
import WireCoding

@testable import GossipDriver

/// Two ends on embedded channels; bytes and time move when a test says so.
final class StreamPair {
    enum End { case dialler, listener }

    let loop = EmbeddedEventLoop()
    let dialler: EmbeddedChannel
    let listener: EmbeddedChannel
    private(set) var dials: PeerStream!
    private(set) var listens: PeerStream!
    private(set) var told: [End: [PeerStream.Event]] = [:]

    init(
        purpose: StreamPurpose = .join, secrets: ClusterSecrets = Flock.secrets, theirs: ClusterSecrets = Flock.secrets,
        bounds: PeerStream.Bounds = .init()
    ) throws {
        let key = purpose == .join ? secrets.joinKeys[0] : secrets.streamKey(of: secrets.firstTrafficKeys[0])
        dialler = EmbeddedChannel(loop: loop)
        listener = EmbeddedChannel(loop: loop)
        dials = PeerStream(.dials(.init(purpose, key: key, salt: secrets.salt)), bounds: bounds) { [weak self] in
            self?.told[.dialler, default: []].append($1)
        }
        let keys = StreamHandshakeTests.keys(theirs)
        listens = PeerStream(.listens(keys: keys, salt: theirs.salt), bounds: bounds) { [weak self] in
            self?.told[.listener, default: []].append($1)
        }
        for (channel, stream) in [(dialler, dials), (listener, listens)] {
            try channel.pipeline.syncOperations.addHandler(try #require(stream))
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }
    }

    /// Carries what is on its way, `step` bytes at a time; returns the bytes.
    @discardableResult
    func carry(_ end: End, step: Int = .max) throws -> [UInt8] {
        let (from, to) = end == .dialler ? (dialler, listener) : (listener, dialler)
        var carried: [UInt8] = []
        while var bytes = try from.readOutbound(as: ByteBuffer.self) {
            carried += bytes.readableBytesView
            while let part = bytes.readSlice(length: min(step, bytes.readableBytes)), part.readableBytes > 0 {
                if to.isActive { try to.writeInbound(part) }
            }
        }
        return carried
    }

    func shakeHands(step: Int = .max) throws {
        try carry(.dialler, step: step)
        try carry(.listener, step: step)
    }

    /// As if the other side had closed.
    func hangUp(_ channel: EmbeddedChannel) {
        channel.close(promise: nil)
        loop.run()
    }

    func events(_ end: End) -> [PeerStream.Event] { told[end] ?? [] }

    deinit {
        _ = try? dialler.finish(acceptAlreadyClosed: true)
        _ = try? listener.finish(acceptAlreadyClosed: true)
    }
}

@Suite("Streams between replicas")
struct PeerStreamTests {
    @Test(
        "what one sends the other hears, wherever the bytes are cut",
        arguments: [1, 2, 3, 7, 47, 48, 55, 56, 57, 1_000])
    func cuts(step: Int) throws {
        let pair = try StreamPair(purpose: step % 2 == 0 ? .join : .peer)
        try pair.shakeHands(step: step)
        #expect(pair.events(.dialler) == [.opened] && pair.events(.listener).isEmpty)
        #expect(pair.listens.purpose == (step % 2 == 0 ? .join : .peer) && !pair.listens.isBelieved)
        pair.dials.send([1, 2, 3, 4])
        pair.dials.send([5])
        try pair.carry(.dialler, step: step)
        #expect(pair.events(.listener) == [.frame([1, 2, 3, 4]), .frame([5])] && pair.listens.isBelieved)
        pair.listens.send([6, 7])
        try pair.carry(.listener, step: step)
        #expect(pair.events(.dialler) == [.opened, .frame([6, 7])])
    }

    @Test("another secret gets no byte, and the dialler learns that the handshake failed")
    func strangers() throws {
        for theirs in [Flock.secrets("flocks"), Flock.secrets("flock", [Flock.key(1)])] {
            let pair = try StreamPair(theirs: theirs)
            try pair.carry(.dialler)
            #expect(pair.events(.listener) == [.failed(.handshake)] && !pair.listener.isActive)
            #expect(try pair.listener.readOutbound(as: ByteBuffer.self) == nil)
            pair.hangUp(pair.dialler)
            #expect(pair.events(.dialler) == [.failed(.handshake)])
        }
    }

    @Test("garbage of any length ends in silence and closes")
    func garbage() throws {
        for count in [1, 55, 56, 57, 5_000] {
            let pair = try StreamPair()
            try pair.listener.writeInbound(ByteBuffer(repeating: 0x53, count: count))
            pair.loop.advanceTime(by: .seconds(1))
            #expect(pair.events(.listener).count == 1 && !pair.listener.isActive)
            #expect(try pair.listener.readOutbound(as: ByteBuffer.self) == nil)
        }
    }

    @Test("a recording of a whole exchange, played again, is answered once and tells nothing")
    func replay() throws {
        let first = try StreamPair()
        let opening = try first.carry(.dialler)
        try first.carry(.listener)
        first.dials.send([1, 2, 3, 4])
        let frame = try first.carry(.dialler)
        #expect(first.events(.listener) == [.frame([1, 2, 3, 4])])
        let second = try StreamPair()
        try second.listener.writeInbound(ByteBuffer(bytes: opening))
        try second.listener.writeInbound(ByteBuffer(bytes: frame))
        #expect(second.events(.listener) == [.failed(.malformed)] && !second.listens.isBelieved)
    }

    @Test("a handshake has a second, its first frame included")
    func slowHandshake() throws {
        let silent = try StreamPair()
        silent.loop.advanceTime(by: .milliseconds(999))
        #expect(silent.events(.dialler).isEmpty && silent.events(.listener).isEmpty)
        silent.loop.advanceTime(by: .milliseconds(1))
        #expect(silent.events(.dialler) == [.failed(.timeout)] && silent.events(.listener) == [.failed(.timeout)])
        let open = try StreamPair()
        try open.shakeHands()
        open.loop.advanceTime(by: .seconds(1))
        #expect(open.events(.dialler) == [.opened] && open.events(.listener) == [.failed(.timeout)])
    }

    @Test("three seconds without a byte end a stream, and two minutes end any")
    func slowExchange() throws {
        let idle = try StreamPair()
        try idle.shakeHands()
        idle.dials.send([1])
        try idle.carry(.dialler)
        idle.loop.advanceTime(by: .milliseconds(2_999))
        #expect(idle.events(.dialler) == [.opened])
        idle.loop.advanceTime(by: .milliseconds(1))
        #expect(idle.events(.dialler) == [.opened, .failed(.timeout)])
        #expect(idle.events(.listener).last == .failed(.timeout))

        let endless = try StreamPair()
        try endless.shakeHands()
        for second in 0..<119 {
            endless.dials.send([UInt8(second)])
            try endless.carry(.dialler)
            endless.loop.advanceTime(by: .seconds(1))
        }
        #expect(endless.events(.listener).count == 119)
        endless.loop.advanceTime(by: .seconds(1))
        #expect(endless.events(.listener).last == .failed(.timeout))
    }

    @Test("more bytes than an exchange may have end it on the side that counts them")
    func tooMuch() throws {
        var bounds = PeerStream.Bounds()
        bounds.bytes = 1_000
        let pair = try StreamPair(bounds: bounds)
        try pair.shakeHands()
        pair.dials.send([UInt8](repeating: 0, count: 500))
        try pair.carry(.dialler)
        pair.dials.send([UInt8](repeating: 0, count: 500))
        #expect(pair.events(.dialler) == [.opened, .failed(.malformed)])
        #expect(pair.events(.listener) == [.frame([UInt8](repeating: 0, count: 500))])

        let flooded = try StreamPair(bounds: bounds)
        try flooded.shakeHands()
        try flooded.listener.writeInbound(ByteBuffer(repeating: 0, count: 1_001))
        #expect(flooded.events(.listener) == [.failed(.malformed)])
    }

    @Test("an end between two frames is an end, one inside a frame is a break")
    func ends() throws {
        let between = try StreamPair()
        try between.shakeHands()
        between.dials.send([1])
        try between.carry(.dialler)
        between.hangUp(between.listener)
        #expect(between.events(.listener) == [.frame([1]), .closed])

        let inside = try StreamPair()
        try inside.shakeHands()
        try inside.listener.writeInbound(ByteBuffer(bytes: [0, 0, 0, 20, 1]))
        inside.hangUp(inside.listener)
        #expect(inside.events(.listener) == [.failed(.reset)])

        let broken = try StreamPair()
        try broken.shakeHands()
        broken.dialler.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "reset"))
        #expect(broken.events(.dialler) == [.opened, .failed(.reset)])
    }

    @Test("bytes that nobody meant say nothing, whether before the handshake, inside it or after it")
    func mutations() throws {
        var generator = SeededGenerator(seed: 4)
        for round in 0..<300 {
            let pair = try StreamPair()
            let opening = try #require(try pair.dialler.readOutbound(as: ByteBuffer.self))
            var bytes = Array(opening.readableBytesView)
            if round % 3 == 0 {
                try pair.listener.writeInbound(opening)
                try pair.carry(.listener)
                pair.dials.send([1, 2, 3, 4, 5, 6, 7, 8])
                bytes = Array(try #require(try pair.dialler.readOutbound(as: ByteBuffer.self)).readableBytesView)
            }
            let place = Int(generator.below(UInt64(bytes.count)))
            switch round % 4 {
            case 0: bytes[place] ^= UInt8(1 + generator.below(255))
            case 1: bytes.removeSubrange(place...)
            case 2: bytes.insert(UInt8(generator.below(256)), at: place)
            default: bytes.replaceSubrange(place..., with: (0..<100).map { _ in UInt8(generator.below(256)) })
            }
            // A byte that was put in may equal the one that followed: then only what comes behind is wrong.
            try pair.listener.writeInbound(ByteBuffer(bytes: bytes))
            pair.loop.advanceTime(by: .seconds(1))
            let events = pair.events(.listener)
            let meant = events.filter { $0 == .frame([1, 2, 3, 4, 5, 6, 7, 8]) }.count
            #expect(events.count == meant + 1 && (meant == 0 || round % 4 == 2), "round \(round): \(events)")
            #expect(!pair.listener.isActive)
        }
    }

    @Test("whoever closes hears nothing more")
    func closing() throws {
        let pair = try StreamPair()
        try pair.shakeHands()
        pair.dials.send([1])
        pair.dials.close()
        pair.dials.send([2])
        try pair.dialler.writeInbound(ByteBuffer(bytes: [9, 9, 9, 9, 9]))
        try pair.carry(.dialler)
        pair.loop.advanceTime(by: .seconds(2))
        #expect(pair.events(.dialler) == [.opened] && pair.events(.listener) == [.frame([1])])
        #expect(!pair.dialler.isActive)
    }
}
