/// What the commands about the flock print.
import Testing

@testable import GatewayAssembly

@Suite("The flock on a terminal")
struct FlockTextTests {
    private func member(
        _ name: String, _ status: String, agreement: String = "7ca0f1e6", rtt: String = "0.42", since: Int = 900,
        more: String = ""
    ) -> String {
        """
        {"name": "\(name)", "status": "\(status)", "id": "00aabbcc000000010000000000000001", "session": "000000000000000a",
         "incarnation": 7, "address": "10.0.0.1:7946", "ready": \(status == "alive"), "agreement": "\(agreement)",
         "version": "0.1", "rtt_ms": \(rtt), "since": \(since)\(more)}
        """
    }

    private func page(_ members: String...) -> [UInt8] {
        Array(#"{"members": [\#(members.joined(separator: ","))]}"#.utf8)
    }

    @Test("members are a table, and settings that differ from most are marked")
    func members() throws {
        let text = try FlockText.members(
            page(
                member("gw-1", "alive", rtt: "null"), member("gateway-2", "alive", rtt: "12.6", since: 0),
                member("gw-3", "dead", agreement: "00000001", since: 990)), .usual, nowSeconds: 1_000)
        #expect(
            text == """
                NAME       STATUS  READY  ADDRESS        VERSION  RTT      SETTINGS          SINCE   ID
                gw-1       alive   yes    10.0.0.1:7946  0.1      -        7ca0f1e6          1m40s   00aabbcc
                gateway-2  alive   yes    10.0.0.1:7946  0.1      13 ms    7ca0f1e6          16m40s  00aabbcc
                gw-3       dead    no     10.0.0.1:7946  0.1      0.42 ms  00000001 differs  10s     00aabbcc

                """)
    }

    @Test("round trips and details stand in tables of their own; what another version does not tell is a dash")
    func other() throws {
        let detail = #"""
            , "detail": {"self": false, "flags": ["ready", "settled"], "http_port": 8001, "keys": [4711, 12], "rtt_p99_ms": 3.0,
            "last_ack_seconds": 2, "udp_blocked": true, "accusers": ["gw-3"], "later": 1}
            """#
        let rtt = try FlockText.members(page(member("gw-2", "alive", more: detail)), .rtt, nowSeconds: 0)
        #expect(
            rtt
                == """
                NAME  STATUS  RTT      P99     LAST ACK  UDP
                gw-2  alive   0.42 ms  3.0 ms  2s ago    blocked

                """)
        let detailed = try FlockText.members(page(member("gw-2", "alive", more: detail)), .detailed, nowSeconds: 1_000)
        #expect(
            detailed.contains(
                "ready,settled  10.0.0.1:7946  8001  0.1      4711,12  7ca0f1e6  7            1m40s  gw-3"))
        let bare = try FlockText.members(page(member("gw-2", "left")), .rtt, nowSeconds: 0)
        #expect(bare.hasSuffix("gw-2  left    0.42 ms  -    -         -\n"))
    }

    @Test("pairs that fail are lines, and none is a sentence")
    func reachability() throws {
        let well = try FlockText.reachability(Array(#"{"asked": 3, "silent": [], "failures": []}"#.utf8))
        #expect(well.text == "3 members reach each other\n" && well.isWell)
        let ill = try FlockText.reachability(
            Array(
                #"{"asked": 3, "silent": ["gw-3"], "failures": [{"from": "gw-1", "to": "gw-2", "why": "no ack"}]}"#.utf8
            ))
        #expect(
            ill.text == """
                FROM  TO    WHY
                gw-1  gw-2  no ack
                gw-3 did not answer

                """)
        #expect(!ill.isWell)
    }

    @Test("keys are listed with who holds them")
    func keyring() throws {
        let page = try FlockText.keyring(
            Array(
                #"{"keys": [{"id": 4711, "state": "primary", "holders": 2}], "members": 3, "silent": ["gw-3"]}"#.utf8))
        #expect(
            page.text == """
                KEY   STATE    HELD BY
                4711  primary  2/3
                gw-3 did not answer

                """)
        #expect(!page.isWell)
    }

    @Test("an event is a line; one of another shape is shown as it came")
    func event() {
        let told =
            #"{"number": 1, "at": 1764537633.5, "kind": "member_dead", "name": "gw-2", "id": "02", "text": "waited=2.3s"}"#
        #expect(FlockText.event(Array(told.utf8)) == "2025-11-30T21:20:33.500Z member_dead gw-2 waited=2.3s")
        #expect(FlockText.event(Array("{}".utf8)) == "{}")
    }

    @Test(
        "an age is two units at the most",
        arguments: [
            (-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m00s"), (3_599, "59m59s"), (3_600, "1h00m"), (86_399, "23h59m"),
            (90_000, "1d01h"), (1e300, "-"), (.nan, "-"),
        ] as [(Double, String)])
    func age(_ seconds: Double, _ text: String) {
        #expect(FlockText.age(seconds) == text)
    }

    @Test("status is one screen, with and without gossip")
    func status() throws {
        let head = #"""
            {"object": "cluster.status", "cluster": "studio", "replica": "gw-1", "version": "0.1.0", "state": "ready",
             "strategy": "least_connections", "in_flight": 3, "models": [], "unserved_models": [],
             "workers": [{"id": "mac-1", "kind": "mlx_lm", "address": "h:1", "state": "down", "why": "refused", "running": 0,
                          "slots": 4}],
            """#
        let without = try StatusText.text(Array((head + #" "gossip": {"state": "off"}}"#).utf8))
        #expect(
            without == """
                replica   gw-1, ready, 0.1.0
                cluster   studio
                requests  3 running, least_connections
                gossip    off (give gossip.bind or gossip.seeds)

                WORKER  KIND    STATE           RUNNING
                mac-1   mlx_lm  down (refused)  0/4

                """)
        let ring = #"{"version": "aa", "participants": 2}"#
        let flock = #"""
             "members": [\#(member("gw-1", "alive")), \#(member("gw-2", "alive")), \#(member("gw-3", "dead"))],
             "rings": {"replicas": \#(ring), "workers": \#(ring), "disagreeing": ["gw-2"]},
             "gossip": {"state": "joined", "mode": "direct", "awareness": 0, "lossy": true, "bytes_sent_per_second": 350.4,
                        "bytes_received_per_second": 340, "primary_key": 4711, "agreement": "7ca0f1e6",
                        "disagreeing": ["gw-2"]}}
            """#
        let with = try StatusText.text(Array((head + flock).utf8))
        #expect(
            with.contains(
                """
                gossip    joined, direct, awareness 0, heavy loss, 350 B/s out, 340 B/s in, key 4711
                members   2 alive, 1 dead
                rings     replicas aa of 2, workers aa of 2; another one at gw-2
                settings  7ca0f1e6, others at gw-2
                """))
    }

    @Test("events are read whatever pieces they come in, and one without end is passed over")
    func lines() {
        let stream =
            ": watching\n\nevent: x\r\ndata: {\"a\":1}\r\n\r\ndata:{}\n\ndata: "
            + String(repeating: "x", count: EventLines.lineBytesMax) + "\n\ndata: last\n"
        for size in [1, 7, 100_000] {
            var lines = EventLines()
            var read: [String] = []
            let bytes = Array(stream.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                lines.read(bytes[start..<min(start + size, bytes.count)]) {
                    read.append(String(decoding: $0, as: UTF8.self))
                }
            }
            #expect(read == [#"{"a":1}"#, "{}", "last"])
        }
    }
}
