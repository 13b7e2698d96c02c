import Determinism
import ExchangeFlow
import HTTPTypes
import KeyReplication
import NIOCore
import Testing

@testable import UpstreamLane

/// The bytes a worker gets, the fields a client gets, and what is read of a client's own.
@Suite("Heads")
struct HeadTests {
    private func field(_ name: String, _ value: String) -> HTTPField {
        HTTPField(name: HTTPField.Name(name)!, value: value)
    }

    @Test("the fields the lane reads: the first of each, whatever the case; forwarded chains all")
    func requestFields() {
        let fields = RequestFields(
            HTTPFields([
                field("Authorization", "Bearer a"), field("authorization", "Bearer b"), field("CONTENT-LENGTH", "3"),
                field("content-type", "application/json"), field("X-Request-Id", "id"), field("Origin", "https://o"),
                field("Connection", "close"), field("connection", "x-a"), field("X-Forwarded-For", "1.1.1.1"),
                field("x-forwarded-for", "2.2.2.2"), field("x-starling-affinity", "me"), field("traceparent", "00-zz"),
            ]))
        #expect(fields.authorization == "Bearer a" && fields.contentLength == "3")
        #expect(fields.contentType == "application/json" && fields.requestID == "id" && fields.origin == "https://o")
        #expect(fields.connection == ["close", "x-a"] && fields.forwardedFor == ["1.1.1.1", "2.2.2.2"])
        #expect(fields.affinity == "me" && fields.traceparent == nil)
        let none = RequestFields([:])
        #expect(none.authorization == nil && none.connection.isEmpty && none.forwardedFor.isEmpty)
    }

    @Test("names are lower case, as HTTP/2 wants them")
    func names() {
        let all: [HTTPField.Name] = [
            .xRequestID, .xForwardedFor, .xForwardedProto, .xStarlingAffinity, .xStarlingReplica,
            .xStarlingWorker, .xStarlingStrategy, .xStarlingAttempts, .xStarlingQueue, .xStarlingIgnored,
            .xAccelBuffering, .xShouldRetry,
        ]
        for name in all { #expect(name.rawName == name.canonicalName) }
        #expect(Set(all.map(\.canonicalName)).count == all.count)
    }

    @Test(
        "a trace parent is passed on only when it is one",
        arguments: [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011", false),
            ("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", false), ("", false),
        ])
    func traceParent(text: String, isOne: Bool) {
        #expect(LoopContext.isTraceParent(text) == isOne)
    }

    @Test(
        "a client's request id is kept when it is short and printable, else one of ours",
        arguments: [
            ("a", true), (String(repeating: "x", count: 128), true), (String(repeating: "x", count: 129), false),
            ("", false), ("with space", false), ("tab\t", false), ("größe", false), ("\u{7f}", false), ("!~", true),
        ])
    func requestID(proposed: String, isKept: Bool) async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                let id = bench.context.requestID(proposed: proposed)
                #expect((id == proposed) == isKept)
                if !isKept {
                    #expect(id.utf8.count == 20 && id.hasPrefix("req_"))
                    #expect(id.dropFirst(4).allSatisfy { $0.isHexDigit && !$0.isUppercase })
                }
            }
        }
    }

    @Test("made ids differ, loop by loop and one by one")
    func requestIDsDiffer() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                let other = LoopContext(eventLoop: bench.loop, shared: bench.shared, ordinal: 1)
                var seen: Set<String> = []
                for _ in 0..<1_000 {
                    seen.insert(bench.context.requestID(proposed: nil))
                    seen.insert(other.requestID(proposed: nil))
                }
                #expect(seen.count == 2_000)
            }
        }
    }

    @Test("a worker gets its own host, credential and length, and nothing of the client's hop")
    func workersHead() async throws {
        var plan = LaneBench.Plan()
        plan.upstreamName = "their/model"
        try await LaneBench.run(plan) { run in
            try await run.on { [self] bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.ask(
                    LaneBench.chat,
                    [
                        field("authorization", "Bearer client"), field("cookie", "c=1"),
                        field("accept-encoding", "gzip"),
                        field("connection", "x-mine"), field("x-mine", "hop"), field("te", "trailers"),
                        field("expect", "100-continue"), field("x-starling-affinity", "z"), field("x-kept", "yes"),
                        field("x-forwarded-for", "6.6.6.6"), field("x-forwarded-proto", "https"),
                        field("content-length", "\(LaneBench.chat.utf8.count)"),
                    ])
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                let request = bench.worker.requests[0]
                #expect(request.head.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\nhost: worker0.test\r\n"))
                #expect(request.field("authorization") == "Bearer worker-key")
                #expect(request.body == LaneBench.chat.replacingText(#""model":"model""#, #""model":"their/model""#))
                #expect(request.field("content-length") == "\(request.body.utf8.count)")
                #expect(request.field("x-kept") == "yes" && request.field("content-type") == "application/json")
                #expect(request.field("x-request-id") == bench.clients[0].field("x-request-id"))
                #expect(request.field("x-forwarded-for") == "192.0.2.7" && request.field("x-forwarded-proto") == "http")
                for name in [
                    "cookie", "accept-encoding", "x-mine", "te", "expect", "x-starling-affinity", "connection",
                ] {
                    #expect(request.field(name) == nil, "\(name)")
                }
            }
        }
    }

    @Test("a client gets the worker's fields minus those of its hop, and ours", arguments: [true, false])
    func clientsHead(showsFields: Bool) async throws {
        var plan = LaneBench.Plan()
        plan.showsAnswerFields = showsFields
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(
                        Reply.plain(
                            Reply.completion,
                            "Server: w\r\nSet-Cookie: a=b\r\nDate: never\r\nX-Starling-Worker: liar\r\nX-Kept: yes\r\n"
                                + "Connection: x-hop\r\nX-Hop: 1\r\nX-Request-Id: theirs\r\nAlt-Svc: h3\r\n"))
                }
                bench.ask()
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.field("x-kept") == "yes" && client.field("server") == "w")
                #expect(client.field("content-length") == "\(Reply.completion.utf8.count)")
                #expect(client.field("date")?.hasSuffix(" GMT") == true)
                #expect(client.field("x-request-id")?.hasPrefix("req_") == true)
                #expect(client.field("x-starling-worker") == (showsFields ? "w0" : nil))
                #expect(client.field("x-starling-replica") == (showsFields ? "replica-a" : nil))
                for name in ["set-cookie", "x-hop", "connection", "alt-svc"] {
                    #expect(client.field(name) == nil, "\(name)")
                }
                let names = client.heads[0].headerFields.map(\.name.canonicalName)
                #expect(Set(names).count == names.count, "no field twice")
            }
        }
    }

    @Test(
        "usage that only we asked for does not reach the client; what the client asked for does",
        arguments: [false, true])
    func usageFrame(isAskedFor: Bool) async throws {
        try await LaneBench.run { run in
            let events = Reply.role + Reply.content("a") + Reply.finish + Reply.usage + Reply.done
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.stream(events)) }
                bench.ask(
                    isAskedFor
                        ? LaneBench.stream.replacingText(
                            #""stream":true"#, #""stream":true,"stream_options":{"include_usage":true}"#)
                        : LaneBench.stream)
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.worker.requests[0].body.contains(#""include_usage":true"#))
                #expect(bench.clients[0].text == (isAskedFor ? events : events.replacingText(Reply.usage, "")))
                let tally = bench.context.tally.snapshot
                #expect(tally.promptTokens == [0: 7] && tally.completionTokens == [0: 3])
            }
        }
    }

    @Test("who is not known gets a 401, and nothing else happens")
    func unauthorized() async throws {
        var plan = LaneBench.Plan()
        plan.keys = .empty
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.ask()
                let client = bench.clients[0]
                #expect(client.status == 401 && client.field("www-authenticate") == "Bearer")
                #expect(client.text.contains("invalid_api_key") && client.endings == ["end"])
                #expect(bench.owed == [] && bench.outcomes(.unauthorized) == 1 && bench.worker.connections.isEmpty)
            }
        }
    }

    @Test("a multipart body is refused by its head, in whatever case it is written")
    func multipart() async throws {
        try await LaneBench.run { run in
            try await run.on { [self] bench in
                bench.begin([field("content-type", "Multipart/Form-Data; boundary=x")])
                #expect(bench.clients[0].status == 415 && bench.owed == [])
            }
        }
    }
}
