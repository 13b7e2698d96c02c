/// The words of the control connection.
import Testing

@testable import ChaosRig

@Suite("an order")
struct RelayOrderTests {
    private func order(_ line: String) throws(RelayOrder.Mistake) -> RelayOrder { try RelayOrder(line: line.utf8) }

    @Test("says what happens to which link")
    func link() throws {
        var udp = DatagramFaults()
        udp.loss = 0.2
        udp.delayMilliseconds = 5
        udp.burst = .init()
        udp.burst?.begins = 0.5
        var tcp = StreamFaults()
        tcp.mode = .blackhole
        #expect(
            try order(
                #"{"link": ["r1", "r2"], "udp": {"loss": 0.2, "delay_ms": 5, "burst": {"begins": 0.5}}, "tcp": "blackhole"}"#
            )
                == .link(from: "r1", to: "r2", both: false, udp: udp, tcp: tcp))
        tcp.mode = .resetAfter(1_000)
        tcp.rate = 10
        #expect(
            try order(#"{"link": ["*", "other"], "both": true, "tcp": {"reset_after": 1000, "rate": 10}}"#)
                == .link(from: "*", to: "other", both: true, udp: nil, tcp: tcp))
        #expect(
            try order(#"{"link": ["a", "b"], "udp": "pass"}"#)
                == .link(from: "a", to: "b", both: false, udp: DatagramFaults.none, tcp: nil))
    }

    @Test("may also be about all of them")
    func others() throws {
        #expect(try order(#"{"heal": true}"#) == .heal)
        #expect(try order(#"{"stats": true}"#) == .stats)
        #expect(try order(#"{"record": false}"#) == .record(false))
        #expect(try order(#"{"replay": true, "speed": 0, "to": "r3"}"#) == .replay(speed: 0, to: "r3"))
        #expect(
            try order(#"{"replica": "r1", "bind": "127.0.0.11:7946"}"#)
                == .bind(name: "r1", .init(host: "127.0.0.11", port: 7946)))
    }

    @Test(
        "with a word that nobody knows is refused, whole",
        arguments: [
            ("", "an order is a JSON object on one line"),
            ("[]", "an order is a JSON object on one line"),
            ("{}", #"an order has one of "link", "heal", "replica", "stats", "record", "replay""#),
            (#"{"link": ["r1"], "udp": {}}"#, #""link" is a list of two names: from and to"#),
            (#"{"link": ["r1", 2], "udp": {}}"#, #""link" is a list of names"#),
            (#"{"link": ["r1", "r2"]}"#, #"a link needs "udp" or "tcp""#),
            (#"{"link": ["r1", "r2"], "udp": {"los": 0.2}}"#, #""udp" does not know "los""#),
            (#"{"link": ["r1", "r2"], "udp": {"loss": 1.2}}"#, #""loss" is a number from 0.0 to 1.0"#),
            (#"{"link": ["r1", "r2"], "udp": {"loss": true}}"#, #""loss" is a number from 0.0 to 1.0"#),
            (#"{"link": ["r1", "r2"], "udp": {"block": 1}}"#, #""block" is true or false"#),
            (#"{"link": ["r1", "r2"], "udp": "drop"}"#, #""udp" is "pass", "block" or an object of faults"#),
            (
                #"{"link": ["r1", "r2"], "tcp": "cut"}"#,
                #""tcp" is "pass", "refuse", "blackhole" or an object of faults"#
            ),
            (#"{"link": ["r1", "r2"], "tcp": "pass", "upd": {}}"#, #"the order does not know "upd""#),
            (#"{"heal": true, "stats": true}"#, #"the order does not know "stats""#),
            (#"{"replica": "r1", "bind": "here"}"#, #""bind" is where the replica listens, like "127.0.0.11:7946""#),
        ])
    func refused(_ line: String, _ sentence: String) {
        #expect(throws: RelayOrder.Mistake(sentence: sentence)) { try order(line) }
    }

    @Test(
        "an address is a host and a port",
        arguments: [
            ("127.0.0.11:7946", "127.0.0.11:7946"), ("[::1]:0", "[::1]:0"), ("::1:5", nil), ("127.0.0.1", nil),
            (":1", nil), ("a:65536", nil),
        ] as [(String, String?)])
    func endpoint(_ text: String, _ expected: String?) {
        #expect(RelayOptions.Endpoint(text)?.text == expected)
    }
}
