import Balancing
import ExchangeFlow
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

/// L11: a connection with any doubt about its framing is closed and serves nobody else.
@Suite("L11: which connections are used again")
struct FramingTests {
    struct Answer: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String
        let isKept: Bool
        /// The worker closes after its words, which is what ends the answer.
        var closes = false
        var status = 200
        var testDescription: String { name }

        static let body = Reply.completion
        static let length = "content-length: \(Reply.completion.utf8.count)\r\n"
        static let chunked = "transfer-encoding: chunked\r\n"
        static let inChunks = Reply.chunk(String(body.prefix(20))) + Reply.chunk(String(body.dropFirst(20)))

        static let all: [Answer] = [
            Answer(name: "a length", text: "HTTP/1.1 200 OK\r\n\(length)\r\n\(body)", isKept: true),
            Answer(name: "chunks", text: "HTTP/1.1 200 OK\r\n\(chunked)\r\n\(inChunks)0\r\n\r\n", isKept: true),
            Answer(
                name: "chunks with extensions and trailers",
                text: "HTTP/1.1 200 OK\r\n\(chunked)\r\n\(inChunks)0;x=y\r\nx-t: 1\r\n\r\n", isKept: true),
            Answer(
                name: "HTTP/1.0 that keeps alive",
                text: "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\(length)\r\n\(body)",
                isKept: true),
            Answer(
                name: "1xx before it",
                text:
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\(length)\r\n\(body)",
                isKept: true),
            Answer(
                name: "a refusal", text: Reply.plain(#"{"error":{"message":"no"}}"#, status: "400 No"), isKept: true,
                status: 400),
            Answer(name: "HTTP/1.0", text: "HTTP/1.0 200 OK\r\n\(length)\r\n\(body)", isKept: false),
            Answer(
                name: "Connection: close", text: "HTTP/1.1 200 OK\r\nconnection: close\r\n\(length)\r\n\(body)",
                isKept: false),
            Answer(
                name: "bytes after a length", text: "HTTP/1.1 200 OK\r\n\(length)\r\n\(body)\n", isKept: false),
            Answer(
                name: "a second answer after the first",
                text: Reply.plain(body) + Reply.plain(#"{"of":"somebody else"}"#),
                isKept: false),
            Answer(
                name: "bytes after the last chunk",
                text: "HTTP/1.1 200 OK\r\n\(chunked)\r\n\(inChunks)0\r\n\r\n0\r\n\r\n",
                isKept: false),
            Answer(
                name: "an end by EOF", text: "HTTP/1.1 200 OK\r\n\r\n\(body)", isKept: false, closes: true),
            Answer(
                name: "both framings", text: "HTTP/1.1 200 OK\r\n\(length)\(chunked)\r\n\(body)", isKept: false,
                status: 502),
            Answer(
                name: "two lengths", text: "HTTP/1.1 200 OK\r\n\(length)content-length: 3\r\n\r\n\(body)",
                isKept: false,
                status: 502),
            Answer(
                name: "101", text: "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", isKept: false, status: 502),
            Answer(
                name: "a chunk that lies about its size",
                text: "HTTP/1.1 200 OK\r\n\(chunked)\r\n3\r\nabcdef\r\n0\r\n\r\n",
                isKept: false),
        ]
    }

    @Test("by what the first answer looked like", arguments: Answer.all)
    func reuse(answer: Answer) async throws {
        var plan = LaneBench.Plan()
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(answer.text)
                    if answer.closes { connection.close() }
                }
                bench.ask()
            }
            try await run.until("the first ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.status == answer.status)
                if answer.status == 200, client.endings == ["end"] { #expect(client.text == Answer.body) }
                if !answer.isKept {
                    bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Answer.body)) }
                }
                bench.ask()
            }
            try await run.until("the second ending") { $0.clients[1].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.worker.connections.count == (answer.isKept ? 1 : 2))
                #expect(bench.attempts(.stale) == 0)
                if !answer.isKept { #expect(bench.clients[1].text == Answer.body) }
            }
            if !answer.isKept {
                try await run.until("the doubtful one is closed") { $0.worker.connections[0].isEnded }
            }
        }
    }

    @Test(
        "every answer, a byte at a time, is the same answer",
        arguments: Answer.all.filter { $0.status == 200 && $0.isKept })
    func byteByByte(answer: Answer) async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    // Each byte in a write of its own; how reads cut them is the kernel's affair.
                    for byte in answer.text.utf8 { connection.say(String(decoding: [byte], as: UTF8.self)) }
                }
                bench.ask()
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[0].text == Answer.body && bench.owed == [])
            }
        }
    }

    @Test("bytes or a FIN while idle: closed, and the next exchange dials without having failed", arguments: ["x", ""])
    func idleSpeaks(bytes: String) async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.ask()
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                if bytes.isEmpty { bench.worker.connections[0].close() } else { bench.worker.connections[0].say(bytes) }
            }
            try await run.until("the idle connection is closed") { $0.worker.connections[0].isEnded }
            // The gateway's own side hears of a FIN in a turn of its own.
            try await run.until("a second answer") { bench in
                if bench.clients.count == 1, bench.context.pool.idleCount == 0 { bench.ask() }
                return bench.clients.count == 2 && bench.clients[1].endings == ["end"]
            }
            try await run.on { bench in
                #expect(bench.attempts(.answered) == 2 && bench.attempts(.stale) == 0)
                #expect(bench.worker.connections.count == 2)
            }
        }
    }

    @Test("an answer that came before the request was written is given, and its connection is not used again")
    func earlyAnswer() async throws {
        var plan = LaneBench.Plan()
        plan.policy.requestBodyBytesMax = 64 << 20
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAccepted = { connection in
                    connection.isReading = false
                    connection.say(Reply.plain(#"{"error":{"message":"too much"}}"#, status: "413 Large"))
                }
                // More than both kernels keep for a reader who does not read.
                let text = String(repeating: "a", count: 40 << 20)
                bench.ask(#"{"model":"model","messages":[{"role":"user","content":"\#(text)"}]}"#)
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[0].status == 413 && bench.owed == [])
                #expect(bench.context.pool.idleCount == 0)
                bench.worker.whenAccepted = nil
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.ask()
            }
            try await run.until("a second answer") { $0.clients[1].endings == ["end"] }
            try await run.on { #expect($0.clients[1].status == 200 && $0.worker.connections.count == 2) }
        }
    }

    @Test("a kept connection that ends without a byte is tried again on a fresh one: no attempt, no blame")
    func stale() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    if connection.requests.count == 2 { return connection.close() }
                    connection.say(Reply.plain(Reply.completion))
                }
                bench.ask()
            }
            try await run.until("the first ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { $0.ask() }
            try await run.until("the second ending") { $0.clients[1].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[1].status == 200 && bench.clients[1].field("x-starling-attempts") == "1")
                #expect(bench.worker.connections.count == 2 && bench.worker.requests.count == 3)
                #expect(bench.attempts(.answered) == 2 && bench.context.tally.snapshot.retries == 0)
                #expect(bench.owed == [])
            }
        }
    }

    @Test("if the fresh one ends likewise, that is a failure of the worker")
    func staleTwice() async throws {
        var plan = LaneBench.Plan()
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { [worker = bench.worker] connection, _ in
                    if worker.requests.count > 1 { return connection.close() }
                    connection.say(Reply.plain(Reply.completion))
                }
                bench.ask()
            }
            try await run.until("the first ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { $0.ask() }
            try await run.until("the second ending") { $0.clients[1].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[1].status == 502 && bench.worker.requests.count == 3)
                #expect(bench.attempts(.closedEarly) == 1 && bench.owed == [])
            }
        }
    }

    @Test("a body until EOF that ends inside its JSON is cut at the client, reset or not", arguments: [true, false])
    func cutInsideEOFBody(byReset: Bool) async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say("HTTP/1.0 200 OK\r\n\r\n{\"half\":") }
                bench.ask()
            }
            try await run.until("a part") { $0.clients[0].bytes.readableBytes == 8 }
            try await run.on { bench in
                if byReset { bench.worker.connections[0].reset() } else { bench.worker.connections[0].close() }
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].endings == ["cut"] && bench.owed == [])
                #expect(bench.attempts(byReset ? .closedEarly : .truncated) == 1 && bench.outcomes(.truncated) == 1)
            }
        }
    }

    @Test("a worker without kept connections gets Connection: close, and one connection per request")
    func notPooled() async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.mlxLM]
        try await LaneBench.run(plan) { run in
            for count in 1...2 {
                try await run.on { bench in
                    bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                    bench.ask()
                }
                try await run.until("an ending") { $0.clients.last!.endings == ["end"] }
                try await run.on { bench in
                    #expect(bench.worker.connections.count == count)
                    #expect(bench.worker.requests.last!.field("connection") == "close")
                }
            }
        }
    }

    @Test("idle connections at their bound are kept; one more is closed (L8)")
    func idleBound() async throws {
        var plan = LaneBench.Plan()
        plan.idleConnectionsMax = 2
        try await LaneBench.run(plan) { run in
            try await run.on { bench in for _ in 0..<3 { bench.ask() } }
            try await run.until("three requests") { $0.worker.requests.count == 3 }
            try await run.on { bench in
                for connection in bench.worker.connections { connection.say(Reply.plain(Reply.completion)) }
            }
            try await run.until("three endings") { $0.clients.allSatisfy { $0.endings == ["end"] } }
            try await run.on { #expect($0.context.pool.idleCount == 2) }
            try await run.until("one is closed") { $0.worker.open.count == 2 }
        }
    }
}
