import Determinism
import ExchangeFlow
import HTTPEdge
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP1
import NIOHTTP2
import NIOHTTPTypesHTTP2
import Testing
import UpstreamLane

private let chat = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
private let get = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"

private func post(_ body: String, _ fields: String = "") -> String {
    chat + fields + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
}

private func bodies(_ output: String) -> [String] {
    output.components(separatedBy: "HTTP/1.").dropFirst().map { answer in
        String(answer.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false).last ?? "")
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}

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

@Suite("LaneHandler: the client's going")
struct LaneHandlerGoneTests {
    enum Phase: CaseIterable { case collecting, waiting, headSent, answering }
    enum Going: CaseIterable { case fin, reset, inactive }

    private func bench(in phase: Phase, limits: ConnectionLimits = .init()) throws -> LaneBench {
        let bench = try LaneBench(limits: limits)
        try bench.receive(phase == .collecting ? chat + "Content-Length: 9\r\n\r\nabc" : post("abc"))
        let exchange = bench.exchanges[0]
        if phase == .headSent || phase == .answering { exchange.head() }
        if phase == .answering { exchange.client.sendBody(ByteBuffer(string: "part")) }
        exchange.client.sendFlush()
        return bench
    }

    @Test("cancels the exchange at once, once, in every phase", arguments: Phase.allCases, Going.allCases)
    func goes(phase: Phase, going: Going) throws {
        let bench = try bench(in: phase)
        defer { bench.finish() }
        switch going {
        case .fin: bench.fin()
        case .reset:
            bench.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
            bench.channel.pipeline.fireChannelInactive()
        case .inactive: bench.channel.pipeline.fireChannelInactive()
        }
        #expect(bench.exchanges[0].seen.filter { $0 == "gone" }.count == 1)
        #expect(bench.exchanges[0].seen.last == "gone")
        bench.pass(.seconds(3))
        // What only says that the socket is gone does not close the test's.
        #expect(!bench.isOpen || going != .fin)
    }

    @Test("under finish the answer is completed and the channel closed after it")
    func finish() throws {
        for phase in [Phase.waiting, .headSent, .answering] {
            let bench = try bench(in: phase, limits: .init(halfClose: .finish))
            defer { bench.finish() }
            bench.fin()
            #expect(bench.isOpen && !bench.exchanges[0].seen.contains("gone"))
            #expect(bench.router.events.isEmpty, "L9")
            if phase == .waiting { bench.exchanges[0].head() }
            bench.exchanges[0].finish()
            #expect(bench.takeOutput().hasSuffix("0\r\n\r\n"))
            #expect(!bench.isOpen)
            #expect(bench.socket.closes == ["all"])
        }
    }

    @Test("under finish a FIN inside the request body still cancels: it can never become whole")
    func finishIncomplete() throws {
        let bench = try bench(in: .collecting, limits: .init(halfClose: .finish))
        defer { bench.finish() }
        bench.fin()
        #expect(bench.exchanges[0].seen.contains("gone"))
    }

    @Test("under finish what was pipelined before the FIN is answered too")
    func finishPipelined() throws {
        let bench = try LaneBench(limits: .init(halfClose: .finish))
        defer { bench.finish() }
        bench.factory.whenWhole = { exchange in if exchange.path.hasSuffix("2") { exchange.answer("two") } }
        try bench.receive(
            post("a") + get + "POST /v1/completions?2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb")
        bench.fin()
        bench.exchanges[0].answer("one")
        #expect(bodies(bench.takeOutput()) == ["one", "routed", "two"])
        #expect(!bench.isOpen)
    }

    @Test("a FIN while idle is the framework's, which closes")
    func idle() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.fin()
        #expect(bench.router.events == ["ChannelEvent.inputClosed"])
        bench.pass(.seconds(3))
        #expect(!bench.isOpen)
    }

    @Test("an idle connection is closed by its clock, and one with an open answer is not")
    func idleClock() throws {
        let bench = try LaneBench(limits: .init(idle: .seconds(20)))
        defer { bench.finish() }
        bench.pass(.seconds(15))
        try bench.receive(post("x"))
        bench.pass(.seconds(100))
        #expect(bench.isOpen)
        bench.exchanges[0].answer("slow")
        bench.pass(.seconds(19))
        #expect(bench.isOpen)
        bench.pass(.seconds(2))
        #expect(!bench.isOpen)
    }

    @Test("a body that stops arriving: 408 and close")
    func bodyGap() throws {
        let bench = try LaneBench(limits: .init(bodyGap: .seconds(5)))
        defer { bench.finish() }
        try bench.receive(chat + "Content-Length: 9\r\n\r\nabc")
        bench.channel.read()
        bench.pass(.seconds(4))
        #expect(bench.takeOutput() == "")
        bench.pass(.seconds(3))
        #expect(bench.takeOutput().hasPrefix("HTTP/1.1 408"))
        #expect(bench.exchanges[0].seen.last == "gone")
        #expect(bench.socket.closes == ["output"])
    }

    @Test("an exchange told that the client is full, and that it reads again")
    func writability() throws {
        let bench = try bench(in: .answering)
        defer { bench.finish() }
        bench.channel.isWritable = false
        bench.channel.pipeline.fireChannelWritabilityChanged()
        bench.channel.isWritable = true
        bench.channel.pipeline.fireChannelWritabilityChanged()
        #expect(bench.exchanges[0].seen.suffix(2) == ["full", "writable"])
    }

    @Test("reads withheld for an exchange are remembered and go on when it has room")
    func readGate() throws {
        let bench = try bench(in: .collecting)
        defer { bench.finish() }
        bench.channel.read()
        #expect(bench.socket.reads == 1)
        bench.exchanges[0].client.holdReads(true)
        bench.channel.read()
        bench.channel.read()
        #expect(bench.socket.reads == 1)
        bench.exchanges[0].client.holdReads(false)
        #expect(bench.socket.reads == 2)
    }
}

@Suite("LaneHandler: protocol corners")
struct LaneHandlerProtocolTests {
    @Test("quiesce while idle closes; while the lane answers it waits, says close, and then closes")
    func quiesce() throws {
        let idle = try LaneBench()
        defer { idle.finish() }
        idle.quiesce()
        #expect(!idle.isOpen)

        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x") + post("dropped"))
        bench.quiesce()
        #expect(bench.isOpen && bench.socket.closes.isEmpty)
        bench.exchanges[0].answer("last")
        let output = bench.takeOutput()
        #expect(bodies(output) == ["last"] && output.contains("Connection: close"))
        #expect(bench.exchanges.count == 1)
        #expect(bench.socket.closes == ["output"])
    }

    @Test("quiesce while the router answers goes to the state handler, which closes after the end")
    func quiesceRouted() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.router.answersAtOnce = false
        try bench.receive(get)
        bench.quiesce()
        #expect(bench.isOpen)
        bench.router.answer("routed")
        #expect(bodies(bench.takeOutput()) == ["routed"])
        #expect(!bench.isOpen)
    }

    @Test("a close from behind lets the exchange end with the truth, then closes and keeps its word to the closer")
    func closeFromBehind() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        let isDone = bench.router.close(.all)
        #expect(bench.exchanges[0].seen == ["body x", "end", "stop"])
        #expect(bodies(bench.collect()) == ["stopped"])
        #expect(isDone)
        #expect(!bench.isOpen)
        #expect(bench.socket.closes == ["all"])
    }

    @Test(
        "HTTP/1.0 is answered without chunks and the connection closes, lane and router alike",
        arguments: [true, false])
    func oldClient(isLane: Bool) throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.factory.whenWhole = { exchange in
            exchange.head()
            exchange.client.sendBody(ByteBuffer(string: "old"))
            exchange.finish()
        }
        let path = isLane ? "/v1/completions" : "/admin/x"
        try bench.receive("POST \(path) HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
        let output = bench.takeOutput()
        #expect(output.hasPrefix("HTTP/1.0 200 OK\r\n") && !output.contains("chunked"))
        #expect(output.contains("Connection: close"))
        #expect(output.hasSuffix(isLane ? "\r\n\r\nold" : "\r\n\r\nrouted"))
        #expect(bench.socket.closes == ["output"])
    }

    @Test("an HTTP/1.0 request decoded ahead does not change the answer before it")
    func oldBehindNew() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x") + "POST /v1/completions HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        bench.factory.whenMade = { exchange in
            exchange.head()
            exchange.finish()
        }
        bench.exchanges[0].head()
        bench.exchanges[0].finish()
        let output = bench.takeOutput()
        #expect(output.hasPrefix("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.0 200 OK\r\n"))
    }

    @Test("100 is said when the head is accepted, before the body, and again for nobody")
    func expectContinue() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(chat + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        #expect(bench.takeOutput() == "HTTP/1.1 100 Continue\r\n\r\n")
        try bench.receive("abc")
        bench.exchanges[0].answer("ok")
        #expect(bench.takeOutput() == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(bench.isOpen)

        bench.factory.whenMade = { $0.answer("no", status: .unauthorized) }
        try bench.receive(chat + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        let refused = bench.takeOutput()
        #expect(refused.hasPrefix("HTTP/1.1 401") && refused.contains("Connection: close"))
        #expect(bench.socket.closes == ["output"])
    }

    @Test("the router's requests get their 100 from the lane; another expectation is 417")
    func expectRouted() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive("PUT /admin HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
        #expect(bench.takeOutput() == "HTTP/1.1 100 Continue\r\n\r\n")
        try bench.receive("x")
        #expect(bodies(bench.takeOutput()) == ["routed"])
        try bench.receive(chat + "Expect: miracles\r\nContent-Length: 0\r\n\r\n")
        #expect(bench.takeOutput().hasPrefix("HTTP/1.1 417"))
        #expect(bench.exchanges.isEmpty)
    }

    @Test("an upgrade is served as HTTP/1.1 with close, and nothing is read behind it", arguments: [true, false])
    func upgrade(isLane: Bool) throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        bench.factory.whenMade = { $0.answer("lane") }
        try bench.receive(isLane ? post("x", fields) : "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n")
        let reads = bench.socket.reads
        bench.channel.read()
        #expect(bench.socket.reads == reads)
        let output = bench.takeOutput()
        #expect(bodies(output) == [isLane ? "lane" : "routed"] && output.contains("Connection: close"))
        #expect(bench.socket.closes == ["output"])
    }

    @Test("Connection: close is said back and kept, in any case and company")
    func clientCloses() throws {
        for value in ["close", "Close", "keep-alive, close"] {
            let bench = try LaneBench()
            defer { bench.finish() }
            bench.factory.whenWhole = { $0.answer("last") }
            try bench.receive(post("x", "Connection: \(value)\r\n") + post("never"))
            let output = bench.takeOutput()
            #expect(bodies(output) == ["last"] && output.contains("Connection: close"))
            #expect(bench.socket.closes == ["output"])
        }
    }

    @Test("an answer cut short closes the connection after what was written")
    func cut() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        try bench.receive(post("x"))
        bench.exchanges[0].head(length: 10)
        bench.exchanges[0].client.sendBody(ByteBuffer(string: "half"))
        bench.exchanges[0].client.cutConnection()
        #expect(bodies(bench.collect()) == ["half"])
        #expect(!bench.isOpen)
    }

    // MARK: HTTP/2

    private func stream(_ end: Bool) throws -> LaneBench {
        let bench = try LaneBench(isHTTP2: true)
        let fields: HPACKHeaders = [
            ":method": "POST", ":path": "/v1/chat/completions", ":scheme": "https", ":authority": "a",
        ]
        try bench.receive(.headers(.init(headers: fields, endStream: end)))
        return bench
    }

    private func frames(_ bench: LaneBench) throws -> [String] {
        var names: [String] = []
        while let frame = try bench.channel.readOutbound(as: HTTP2Frame.FramePayload.self) {
            switch frame {
            case .headers(let content): names.append("headers \(content.headers.first(name: ":status") ?? "")")
            case .data(let content): names.append(content.endStream ? "end" : "data")
            case .rstStream(let code): names.append("reset \(code.networkCode)")
            default: names.append("other")
            }
        }
        return names
    }

    @Test("a stream answers and says nothing about a connection")
    func streamAnswer() throws {
        let bench = try stream(true)
        #expect(bench.exchanges[0].isHTTP2)
        bench.exchanges[0].answer("ok")
        #expect(try frames(bench) == ["headers 200", "data", "end"])
        #expect(bench.isOpen)
    }

    @Test("a stream refused early ends, then resets without error")
    func streamRefusal() throws {
        let bench = try stream(false)
        bench.exchanges[0].answer("no", status: .unauthorized)
        #expect(try frames(bench) == ["headers 401", "data", "end", "reset 0"])
    }

    @Test("a stream's answer cut short is a reset with an error")
    func streamCut() throws {
        let bench = try stream(true)
        bench.exchanges[0].head()
        bench.exchanges[0].client.cutConnection()
        #expect(try frames(bench) == ["headers 200", "reset 2"])
    }

    @Test("quiesce never reaches the state handler of a stream, which would reset it")
    func streamQuiesce() throws {
        let bench = try stream(true)
        bench.quiesce()
        #expect(bench.isOpen)
        bench.exchanges[0].answer("ok")
        #expect(try frames(bench) == ["headers 200", "data", "end"])
    }
}
