/// The relay on real sockets. Each test waits for a packet or a byte that must come, never for a while.
import Testing

@testable import ChaosRig

/// Two or more peers, each behind its front.
private struct Rig {
    let relay: Relay
    let peers: [TestPeer]
    var front: [String] { relay.fronts.map(\.address) }

    init(_ count: Int = 2, change: (inout RelayOptions) -> Void = { _ in }) async throws {
        var peers: [TestPeer] = []
        for _ in 0..<count { peers.append(try await TestPeer()) }
        var options = RelayOptions(
            fronts: peers.enumerated().map { index, peer in
                .init(name: "r\(index + 1)", front: .init(host: "127.0.0.1", port: 0), bind: .init(peer.address))
            }, seed: 7)
        change(&options)
        relay = try await Relay.start(options)
        self.peers = peers
    }

    func tell(_ order: String) async { #expect(await relay.tell(order).contains("\"ok\":true"), "\(order)") }

    /// A front reads in order: when the third replica's packet has come through, all that came before were read.
    func waitUntilRead(_ front: Int) async throws {
        try await peers[2].send("read", to: self.front[front])
        #expect(await peers[front].next().text == "read")
    }

    func stop() async {
        await relay.stop()
        for peer in peers { await peer.close() }
    }
}

@Suite("the relay")
struct RelayTests {
    @Test("brings a packet from where its sender says it is, both ways")
    func addresses() async throws {
        let rig = try await Rig()
        try await rig.peers[0].send("hello", to: rig.front[1])
        let there = await rig.peers[1].next()
        #expect(there == ("hello", rig.front[0]))
        try await rig.peers[1].send("hello yourself", to: there.from)
        #expect(await rig.peers[0].next() == ("hello yourself", rig.front[1]))
        await rig.stop()
    }

    @Test("cuts one way and leaves the other, until it is healed")
    func oneWay() async throws {
        let rig = try await Rig(3)
        await rig.tell(#"{"link": ["r1", "r2"], "udp": "block"}"#)
        try await rig.peers[0].send("lost", to: rig.front[1])
        try await rig.waitUntilRead(1)
        try await rig.peers[1].send("found", to: rig.front[0])
        #expect(await rig.peers[0].next().text == "found")
        await rig.tell(#"{"heal": true}"#)
        try await rig.peers[0].send("found too", to: rig.front[1])
        #expect(await rig.peers[1].next().text == "found too")
        #expect(await rig.relay.tell(#"{"stats": true}"#).contains("\"dropped_blocked\":1"))
        await rig.stop()
    }

    @Test("doubles, damages, delays, and lets what was held be overtaken")
    func faults() async throws {
        let rig = try await Rig(3)
        await rig.tell(#"{"link": ["r1", "*"], "udp": {"duplicate": 1}}"#)
        try await rig.peers[0].send("twice", to: rig.front[1])
        #expect(await rig.peers[1].next().text == "twice")
        #expect(await rig.peers[1].next().text == "twice")
        await rig.tell(#"{"link": ["r1", "r2"], "udp": {"corrupt": 1}}"#)
        try await rig.peers[0].send(String(repeating: "x", count: 64), to: rig.front[1])
        #expect(await rig.peers[1].next().text != String(repeating: "x", count: 64))
        await rig.tell(#"{"link": ["r1", "r2"], "udp": {"delay_ms": 300}}"#)
        try await rig.peers[0].send("late", to: rig.front[1])
        try await rig.waitUntilRead(1)
        await rig.tell(#"{"link": ["r1", "r2"], "udp": "pass"}"#)
        try await rig.peers[0].send("soon", to: rig.front[1])
        #expect(await rig.peers[1].next().text == "soon")
        #expect(await rig.peers[1].next().text == "late")
        await rig.stop()
    }

    @Test("drops packets of strangers, and knows a replica as soon as it is told where it binds")
    func strangers() async throws {
        let rig = try await Rig(3)
        let newcomer = try await TestPeer()
        try await newcomer.send("who am I", to: rig.front[1])
        try await rig.peers[1].send("a replica to itself", to: rig.front[1])
        try await rig.waitUntilRead(1)
        await rig.tell(#"{"replica": "r1", "bind": "\#(newcomer.address)"}"#)
        try await newcomer.send("I am r1", to: rig.front[1])
        #expect(await rig.peers[1].next() == ("I am r1", rig.front[0]))
        let stats = await rig.relay.tell(#"{"stats": true}"#)
        #expect(stats.contains("\"strangers\":2"))
        await newcomer.close()
        await rig.stop()
    }

    @Test("holds no more than it may")
    func bound() async throws {
        let rig = try await Rig { $0.heldPacketsMax = 3 }
        await rig.tell(#"{"link": ["r1", "r2"], "udp": {"delay_ms": 1000}}"#)
        for number in 1...5 { try await rig.peers[0].send("\(number)", to: rig.front[1]) }
        for number in 1...3 { #expect(await rig.peers[1].next().text == "\(number)") }
        #expect(await rig.relay.tell(#"{"stats": true}"#).contains("\"overflowed\":2"))
        await rig.stop()
    }

    @Test("records, and sends again, to the same replica or another")
    func replay() async throws {
        let rig = try await Rig(3) { $0.recordedPacketsMax = 2 }
        await rig.tell(#"{"record": true}"#)
        for text in ["forgotten", "one", "two"] {
            try await rig.peers[0].send(text, to: rig.front[1])
            #expect(await rig.peers[1].next().text == text)
        }
        #expect(await rig.relay.tell(#"{"record": false}"#) == #"{"bytes":6,"ok":true,"packets":2}"#)
        await rig.tell(#"{"link": ["r1", "*"], "udp": "block"}"#)
        await rig.tell(#"{"replay": true, "speed": 0}"#)
        #expect(await rig.peers[1].next() == ("one", rig.front[0]))
        #expect(await rig.peers[1].next() == ("two", rig.front[0]))
        await rig.tell(#"{"replay": true, "to": "r3"}"#)
        #expect(await rig.peers[2].next() == ("one", rig.front[0]))
        #expect(await rig.peers[2].next() == ("two", rig.front[0]))
        await rig.stop()
    }

    @Test("answers orders over its control connection, a line each")
    func control() async throws {
        let rig = try await Rig()
        let control = try await TestStream.dial("127.0.0.1:\(rig.relay.controlPort)")
        try await control.send(#"{"heal": true}"# + "\n" + #"{"hael": true}"# + "\n")
        let wrong =
            #"{"error":"an order has one of \"link\", \"heal\", \"replica\", \"stats\", \"record\", \"replay\"","ok":false}"#
        let answers = "{\"ok\":true}\n\(wrong)\n"
        #expect(await control.next(answers.utf8.count) == .bytes(answers))
        await control.close()
        await rig.stop()
    }
}

@Suite("the relay's streams")
struct RelayStreamTests {
    /// r2 listens; whoever dials is no replica by its address, since both are 127.0.0.1.
    private struct StreamRig {
        let relay: Relay
        let listener: TestListener
        var front: String { relay.fronts[1].address }

        init() async throws {
            listener = try await TestListener()
            let port = listener.port
            relay = try await Relay.start(
                RelayOptions(
                    fronts: [
                        .init(
                            name: "r1", front: .init(host: "127.0.0.1", port: 0),
                            bind: .init(host: "127.0.0.1", port: 1)),
                        .init(
                            name: "r2", front: .init(host: "127.0.0.1", port: 0),
                            bind: .init(host: "127.0.0.1", port: port)),
                    ], seed: 7))
        }

        func tell(_ order: String) async { #expect(await relay.tell(order).contains("\"ok\":true"), "\(order)") }

        func stop() async {
            await relay.stop()
            await listener.close()
        }
    }

    @Test("carry bytes and ends, each way by itself")
    func carries() async throws {
        let rig = try await StreamRig()
        let dialler = try await TestStream.dial(rig.front)
        let replica = try #require(await rig.listener.next())
        try await dialler.send("question")
        #expect(await replica.next(8) == .bytes("question"))
        try await dialler.sendEnd()
        #expect(await replica.next() == .end)
        let answer = String(repeating: "answer", count: 100_000)
        try await replica.send(answer)
        #expect(await dialler.next(answer.utf8.count) == .bytes(answer))
        try await replica.sendEnd()
        #expect([.end, .closed].contains(await dialler.next()))
        await rig.stop()
    }

    @Test("are reset at once, or after so many bytes")
    func resets() async throws {
        let rig = try await StreamRig()
        await rig.tell(#"{"link": ["other", "r2"], "tcp": "refuse"}"#)
        // The reset may come before the dialler has seen that it is connected.
        if let refused = try? await TestStream.dial(rig.front) {
            #expect([.reset, .closed].contains(await refused.next()))
        }
        await rig.tell(#"{"link": ["other", "r2"], "tcp": {"reset_after": 5}}"#)
        let dialler = try await TestStream.dial(rig.front)
        let replica = try #require(await rig.listener.next())
        try await dialler.send("1234567890")
        #expect(await replica.next(5) == .bytes("12345"))
        #expect([.reset, .closed].contains(await replica.next()))
        #expect([.reset, .closed].contains(await dialler.next()))
        let stats = await rig.relay.tell(#"{"stats": true}"#)
        #expect(stats.contains("\"streams_refused\":1") && stats.contains("\"streams_open\":0"))
        await rig.stop()
    }

    @Test("end one way after so many bytes while the other way goes on")
    func halfClose() async throws {
        let rig = try await StreamRig()
        await rig.tell(#"{"link": ["other", "r2"], "tcp": {"half_close_after": 5}}"#)
        let dialler = try await TestStream.dial(rig.front)
        let replica = try #require(await rig.listener.next())
        try await dialler.send("1234567890")
        #expect(await replica.next(5) == .bytes("12345"))
        #expect(await replica.next() == .end)
        try await replica.send("still here")
        #expect(await dialler.next(10) == .bytes("still here"))
        await rig.stop()
    }

    @Test("wait in a black hole and go on when it is gone")
    func blackhole() async throws {
        let rig = try await StreamRig()
        await rig.tell(#"{"link": ["other", "r2"], "tcp": "blackhole"}"#)
        let dialler = try await TestStream.dial(rig.front)
        try await dialler.send("before")
        await rig.tell(#"{"heal": true}"#)
        let replica = try #require(await rig.listener.next())
        #expect(await replica.next(6) == .bytes("before"))
        await rig.tell(#"{"link": ["other", "r2"], "tcp": "blackhole"}"#)
        try await dialler.send("after")
        await rig.tell(#"{"link": ["other", "r2"], "tcp": {"delay_ms": 1, "rate": 1000000}}"#)
        #expect(await replica.next(5) == .bytes("after"))
        await rig.stop()
    }

    @Test("are refused where nobody listens behind, and taken again when somebody lives there")
    func mirrored() async throws {
        let peer = try await TestPeer()
        let other = try await TestPeer()
        let relay = try await Relay.start(
            RelayOptions(
                fronts: [
                    .init(name: "r1", front: .init(host: "127.0.0.1", port: 0), bind: .init(peer.address)),
                    .init(name: "r2", front: .init(host: "127.0.0.1", port: 0), bind: .init(other.address)),
                ], seed: 7))
        // The first finds out, the next is refused by the system itself.
        if let first = try? await TestStream.dial(relay.fronts[1].address) {
            #expect([.reset, .closed].contains(await first.next()))
        }
        await #expect(throws: (any Error).self) { try await TestStream.dial(relay.fronts[1].address) }
        let listener = try await TestListener(port: other.port)
        try await other.send("I live", to: relay.fronts[0].address)
        #expect(await peer.next().text == "I live")
        var reached: TestStream?
        while reached == nil { reached = try? await TestStream.dial(relay.fronts[1].address) }
        let replica = try #require(await listener.next())
        try await reached?.send("again")
        #expect(await replica.next(5) == .bytes("again"))
        await relay.stop()
    }
}
