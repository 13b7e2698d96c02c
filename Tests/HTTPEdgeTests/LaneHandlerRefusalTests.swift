import Determinism
import ExchangeFlow
import HTTPEdge
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import UpstreamLane

@Suite("LaneHandler: refusals")
struct LaneHandlerRefusalTests {
    @Test(
        "requests two readers could read differently are refused, closed, and reach nobody",
        arguments: [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked , identity\r\n", "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding:\u{0b}chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Content-Length : 4\r\n", "Content-Length: 4\r\nContent-Length: 4\r\n",
            "Content-Length: 4\r\nContent-Length: 5\r\n", "Content-Length: 4, 4\r\n", "Content-Length: -4\r\n",
            "Content-Length: +4\r\n", "Content-Length: 0x4\r\n", "Content-Length: 4 4\r\n",
            "Content-Length: 99999999999999999999\r\n", "X-A: b\r\n folded: yes\r\nContent-Length: 4\r\n",
            "X-A: b\r\n\tContent-Length: 4\r\n", " X-A: b\r\nContent-Length: 4\r\n",
            "X\u{0}A: b\r\nContent-Length: 4\r\n",
            "X-A: b\u{0}c\r\nContent-Length: 4\r\n", "X-A: b\nContent-Length: 4\r\nX-B: a\rb\r\n", ": b\r\n",
            "Host: b\r\nContent-Length: 4\r\n", "X-A\r\nContent-Length: 4\r\n",
        ])
    func smuggling(fields: String) throws {
        for line in ["POST /v1/chat/completions", "POST /admin/keys"] {
            let bench = try LaneBench()
            defer { bench.finish() }
            try bench.receive("\(line) HTTP/1.1\r\nHost: a\r\n\(fields)\r\nabcd" + get)
            let output = bench.takeOutput()
            #expect(output.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(fields.debugDescription): \(output)")
            #expect(bodies(output).count == 1)
            #expect(bench.exchanges.isEmpty && bench.router.parts.isEmpty)
            #expect(bench.socket.closes.first == "output")
            bench.pass(.seconds(3))
            #expect(!bench.isOpen)
        }
    }

    @Test("a parser error inside the body of our request cancels it: 400, close")
    func brokenChunk() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(chat + "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        try bench.receive("zz\r\n")
        #expect(bench.exchanges[0].seen == ["body abcd", "gone"])
        let output = bench.takeOutput()
        #expect(output.hasPrefix("HTTP/1.1 400") && output.contains("Connection: close"))
        #expect(bench.socket.closes == ["output"])
        #expect(bench.router.errors.isEmpty, "L9: the framework would have closed or said 400 again")
    }

    @Test("bytes that are not HTTP behind an open exchange close after its answer and do not cut it")
    func brokenBehind() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        try bench.receive("\u{1}\u{2} garbage\r\n\r\n")
        #expect(bench.exchanges[0].seen == ["body x", "end"])
        bench.exchanges[0].answer("whole")
        let output = bench.takeOutput()
        #expect(bodies(output) == ["whole"] && output.contains("Connection: close"))
        #expect(bench.socket.closes == ["output"])
    }

    @Test("HTTP/1.1 without a Host is refused; HTTP/1.0 may go without")
    func missingHost() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive("GET / HTTP/1.1\r\n\r\n")
        #expect(bench.takeOutput().contains("request.missing_host"))

        let old = try LaneBench()
        defer { old.finish() }
        try old.receive("GET / HTTP/1.0\r\n\r\n")
        #expect(bodies(old.takeOutput()) == ["routed"])
    }

    @Test("a host outside the list is answered 421, and a HEAD gets no body with it")
    func misdirected() throws {
        let hosts = TrustedHosts(["api.example.com", "*.inside.example", "port.example:8000"])
        for (host, isFine) in [
            ("api.example.com", true), ("API.Example.com:8000", true), ("api.example.com.", true),
            ("x.inside.example", true),
            ("inside.example", false), ("evilinside.example", false), ("port.example:8000", true),
            ("port.example", false), ("port.example:8001", false), ("other", false), ("", false),
        ] {
            let bench = try LaneBench(hosts: hosts)
            defer { bench.finish() }
            try bench.receive("GET /readyz HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            let output = bench.takeOutput()
            #expect(output.hasPrefix(isFine ? "HTTP/1.1 200" : "HTTP/1.1 421"), "\(host): \(output)")
        }
        let bench = try LaneBench(hosts: hosts)
        defer { bench.finish() }
        try bench.receive("HEAD /readyz HTTP/1.1\r\nHost: other\r\n\r\n")
        let output = bench.takeOutput()
        #expect(output.hasPrefix("HTTP/1.1 421") && output.hasSuffix("\r\n\r\n"))
    }

    @Test("header bytes hold at their bound, and one past it is 431 (L8)")
    func headerBytes() throws {
        // "x" and its value; Host is not counted, since the codec takes it out of the fields.
        for (length, status) in [(999, "200"), (1_000, "431")] {
            let bench = try LaneBench(headerBytesMax: 1_000)
            defer { bench.finish() }
            try bench.receive("GET / HTTP/1.1\r\nHost: a\r\nx: \(String(repeating: "v", count: length))\r\n\r\n")
            #expect(bench.takeOutput().hasPrefix("HTTP/1.1 \(status)"))
        }
    }

    @Test("refused early with a small rest, the connection lives on; the rest is thrown away")
    func smallRest() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.factory.whenMade = { $0.answer("no", status: .unauthorized) }
        try bench.receive(chat + "Content-Length: 6\r\n\r\nabc")
        #expect(bodies(bench.takeOutput()) == ["no"])
        try bench.receive("def" + get)
        #expect(bodies(bench.takeOutput()) == ["routed"])
        #expect(bench.exchanges[0].seen.isEmpty)
        #expect(bench.isOpen && bench.socket.closes.isEmpty)
    }

    @Test("refused early with a large rest: close is said, output ends, input is thrown away until the FIN")
    func largeRest() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.factory.whenMade = { $0.answer("no", status: .contentTooLarge) }
        try bench.receive(chat + "Content-Length: 10000000\r\n\r\nabc")
        let output = bench.takeOutput()
        #expect(output.hasPrefix("HTTP/1.1 413") && output.contains("Connection: close"))
        #expect(bench.socket.closes == ["output"])
        try bench.receive(String(repeating: "x", count: 100_000))
        #expect(bench.isOpen && bench.exchanges[0].seen.isEmpty)
        bench.fin()
        #expect(!bench.isOpen)
        #expect(bench.router.parts.isEmpty)
    }

    @Test("lingering ends with its clock, and with 1 MiB", arguments: [false, true])
    func lingerEnds(byBytes: Bool) throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.factory.whenMade = { $0.answer("no", status: .contentTooLarge) }
        try bench.receive(chat + "Transfer-Encoding: chunked\r\n\r\n")
        #expect(bench.socket.closes == ["output"] && bench.isOpen)
        if byBytes {
            let chunk = "10000\r\n" + String(repeating: "x", count: 0x10000) + "\r\n"
            for _ in 0..<16 { try bench.receive(chunk) }
            #expect(bench.isOpen)
            try bench.receive("1\r\nx\r\n")
        } else {
            bench.pass(.seconds(1.9))
            #expect(bench.isOpen)
            bench.pass(.seconds(0.2))
        }
        #expect(!bench.isOpen)
    }
}
