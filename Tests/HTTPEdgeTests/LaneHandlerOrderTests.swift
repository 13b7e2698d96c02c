import Determinism
import ExchangeFlow
import HTTPEdge
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import UpstreamLane

@Suite("LaneHandler: order")
struct LaneHandlerOrderTests {
    @Test("an inference request is answered by an exchange, and the router hears nothing of it")
    func straight() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("{\"a\":1}"))
        let exchange = try #require(bench.exchanges.first)
        #expect(exchange.seen == ["body {\"a\":1}", "end"])
        exchange.answer("hello")
        #expect(bench.takeOutput() == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        #expect(bench.router.parts.isEmpty)

        try bench.receive(post("{}"))
        try #require(bench.exchanges.count == 2)
        bench.exchanges[1].answer("again")
        #expect(bench.takeOutput().hasSuffix("again"))
        #expect(bench.isOpen && bench.socket.closes.isEmpty)
    }

    @Test("an answer without a length is chunked, part by part")
    func chunked() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("{}"))
        let exchange = try #require(bench.exchanges.first)
        exchange.head()
        exchange.client.sendBody(ByteBuffer(string: "data: 1\n\n"))
        exchange.client.sendFlush()
        #expect(
            bench.takeOutput() == "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        exchange.finish()
        #expect(bench.takeOutput() == "0\r\n\r\n")
    }

    @Test(
        "what is not a POST to an inference path is the router's",
        arguments: [
            "GET /v1/models", "GET /v1/chat/completions", "OPTIONS /v1/chat/completions", "POST /admin/keys",
            "POST /v1/chat/completions/", "POST /v1/models/x", "POST /v1/cluster", "POST /V1/chat/completions",
            "POST /v1/",
        ])
    func routed(line: String) throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive("\(line) HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        #expect(bench.router.parts == [line, "{}", "end"])
        #expect(bench.exchanges.isEmpty)
        #expect(bodies(bench.takeOutput()) == ["routed"])
    }

    @Test(
        "a query does not change the path",
        arguments: ["/v1/chat/completions?x=1", "/v1/completions", "/v1/embeddings?", "/v1/responses", "/v1/rerank"])
    func lane(path: String) throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive("POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(bench.exchanges.map(\.path) == [path])
        #expect(bench.router.parts.isEmpty)
    }

    enum Pace: CaseIterable { case whenMade, whenWhole, later }

    @Test("lane, routed and lane pipelined, cut at every byte, answer in order", arguments: Pace.allCases)
    func everyByte(pace: Pace) throws {
        let wire = post("one") + get + post("three") + "GET /last HTTP/1.1\r\nHost: a\r\n\r\n"
        for cut in 0...wire.utf8.count {
            let bench = try LaneBench()
            defer { bench.finish() }
            switch pace {
            case .whenMade: bench.factory.whenMade = { $0.answer("lane") }
            case .whenWhole: bench.factory.whenWhole = { $0.answer("lane") }
            case .later: bench.router.answersAtOnce = false
            }
            try bench.receive(String(wire.prefix(cut)))
            try bench.receive(String(wire.dropFirst(cut)))
            if pace == .later {
                #expect(bench.exchanges.count == 1 && bench.router.parts.isEmpty)
                bench.exchanges[0].answer("lane")
                #expect(bench.router.parts == ["GET /readyz", "end"] && bench.exchanges.count == 1)
                #expect(bench.router.undelivered == 0)
                bench.router.answer("routed")
                #expect(bench.exchanges.count == 2 && bench.router.parts.count == 2)
                bench.exchanges[1].answer("lane")
                bench.router.answer("routed")
            }
            #expect(bodies(bench.takeOutput()) == ["lane", "routed", "lane", "routed"], "cut at \(cut)")
            #expect(bench.router.parts == ["GET /readyz", "end", "GET /last", "end"], "cut at \(cut)")
            #expect(bench.router.undelivered == 0)
            #expect(bench.isOpen)
        }
    }

    @Test("requests answered at once free one another in a loop, not by recursion")
    func longPipeline() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        let rest = ConnectionLimits.heldPartsMax / 2
        let small = chat + "Content-Length: 0\r\n\r\n"
        try bench.receive(String(repeating: small, count: rest))
        #expect(bench.exchanges.count == 1)
        bench.factory.whenMade = { $0.answer("", status: .unauthorized) }
        bench.exchanges[0].answer("first")
        #expect(bench.exchanges.count == rest + 1)
        #expect(bodies(bench.takeOutput()).count == rest + 1)
        #expect(bench.isOpen)
    }

    @Test("one request more than may be held: the open one is answered with close, and nothing after it")
    func pastTheBound() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        let rest = ConnectionLimits.heldPartsMax / 2 + 1
        try bench.receive(String(repeating: chat + "Content-Length: 0\r\n\r\n", count: rest))
        bench.exchanges[0].answer("first")
        let output = bench.takeOutput()
        #expect(bodies(output) == ["first"])
        #expect(output.contains("Connection: close"))
        #expect(bench.exchanges.count == 1)
        #expect(bench.socket.closes == ["output"])
    }

    @Test("a router that speaks while the lane answers is refused and counted")
    func strayRouter() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        let faults = Fault.collected { bench.router.writeHeadOnly() }
        #expect(faults == ["L3: the router answered a request it was not given"])
        #expect(bench.takeOutput() == "")
    }

    @Test("an exchange that was cancelled has no voice left")
    func lateExchange() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        bench.fin()
        bench.exchanges[0].answer("too late")
        bench.exchanges[0].client.cutConnection()
        #expect(bench.takeOutput() == "")
    }
}
