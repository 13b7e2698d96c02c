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
