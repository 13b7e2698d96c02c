import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

/// L8: each bound of the exchange side, at it and one past it.
@Suite("L8: bounds of an exchange")
struct BoundsTests {
    /// Speaks to a stream's exchange and returns once all of `text` was read.
    private func hear(_ text: String, _ run: Runner, closes: Bool = false) async throws {
        try await run.on { bench in
            bench.worker.whenAsked = { connection, _ in
                connection.say(text)
                if closes { connection.close() }
            }
            bench.ask(LaneBench.stream)
        }
    }

    @Test("events before content are held up to their number; one more is taken for content", arguments: [16, 17])
    func heldEvents(count: Int) async throws {
        try await LaneBench.run { run in
            let events = String(repeating: Reply.role, count: count)
            try await hear(Reply.streamHead + Reply.chunk(events), run)
            try await run.until("all are here") { bench in
                bench.exchanges[0].stream?.cutter.facts.events == count
                    || bench.clients[0].bytes.readableBytes > 0
            }
            try await run.on { bench in
                #expect(bench.exchanges[0].machine.policy.heldEventsMax == 16)
                #expect(bench.exchanges[0].machine.isContentCommitted == (count > 16))
                #expect(bench.clients[0].text == (count > 16 ? events : ""))
            }
        }
    }

    @Test("bytes before content are held up to their number; one more is taken for content", arguments: [0, 1])
    func heldBytes(over: Int) async throws {
        var plan = LaneBench.Plan()
        plan.policy.heldBytesMax = 1_000
        try await LaneBench.run(plan) { run in
            let filling = 1_000 + over - Reply.role.utf8.count - #""x":"","#.utf8.count
            let event = Reply.role.replacingText(
                #""index":0"#, #""x":"\#(String(repeating: "y", count: filling))","index":0"#)
            let padded = event.utf8.count
            try await hear(Reply.streamHead + Reply.chunk(event), run)
            try await run.until("it is here") { bench in
                !(bench.exchanges[0].stream?.held.isEmpty ?? true) || bench.clients[0].bytes.readableBytes > 0
            }
            try await run.on { bench in
                #expect(padded == 1_000 + over)
                #expect(bench.exchanges[0].machine.isContentCommitted == (over > 0))
            }
        }
    }

    @Test("an unfinished event is kept up to the bound; past it, it travels as it comes", arguments: [0, 1])
    func carriedBytes(over: Int) async throws {
        var plan = LaneBench.Plan()
        plan.policy.heldBytesMax = 1_000
        try await LaneBench.run(plan) { run in
            let start = "data: {\"choices\":[{\"delta\":{\"content\":\""
            let part = start + String(repeating: "x", count: 1_000 + over - start.utf8.count)
            try await hear(Reply.streamHead + Reply.chunk(part), run)
            try await run.until("it is here") { bench in
                (bench.exchanges[0].stream?.carryBytes ?? 0) > 0 || bench.clients[0].bytes.readableBytes > 0
            }
            try await run.on { bench in
                #expect(bench.exchanges[0].stream?.carryBytes == (over > 0 ? 0 : 1_000))
                #expect(bench.clients[0].text == (over > 0 ? part : ""))
                let rest = "\"}}]}\n\n" + Reply.finish + Reply.done
                bench.worker.connections[0].say(Reply.chunk(rest) + Reply.lastChunk)
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[0].text == part + "\"}}]}\n\n" + Reply.finish + Reply.done)
                #expect(bench.owed == [])
            }
        }
    }

    @Test("a worker's error body up to the bound is passed on; a byte more is no answer", arguments: [0, 1])
    func errorBody(over: Int) async throws {
        var plan = LaneBench.Plan()
        plan.policy.heldBytesMax = 1_000
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            let frame = #"{"error":{"message":"","type":"invalid_request_error","param":null,"code":null}}"#
            let body = frame.replacingText(
                #""message":"""#, #""message":"\#(String(repeating: "z", count: 1_000 + over - frame.utf8.count))""#)
            #expect(body.utf8.count == 1_000 + over)
            try await hear(Reply.plain(body, status: "400 Bad"), run)
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[0].status == (over > 0 ? 502 : 400))
                #expect((bench.clients[0].text == body) == (over == 0) && bench.owed == [])
            }
        }
    }

    // MARK: The request's side

    private static func body(of bytes: Int) -> String {
        let frame = #"{"model":"model","messages":[{"role":"user","content":""}]}"#
        return frame.replacingText(
            #""content":"""#, #""content":"\#(String(repeating: "b", count: bytes - frame.utf8.count))""#)
    }

    private static func length(_ bytes: Int) -> [HTTPField] { [HTTPField(name: .contentLength, value: "\(bytes)")] }

    @Test(
        "a body of the largest size is taken, a byte more is 413, declared or not", arguments: [0, 1], [false, true])
    func bodySize(over: Int, isDeclared: Bool) async throws {
        var plan = LaneBench.Plan()
        plan.policy.requestBodyBytesMax = 1_000
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                let (exchange, client) = bench.begin(isDeclared ? Self.length(1_000 + over) : [])
                #expect(
                    client.endings == (over > 0 && isDeclared ? ["end"] : []), "declared: refused before it is read")
                exchange.body(ByteBuffer(string: Self.body(of: 1_000 + over)))
                exchange.end()
                #expect(client.status == (over > 0 ? 413 : nil))
                if over > 0 {
                    #expect(client.text.contains("request_too_large") && client.endings == ["end"] && bench.owed == [])
                }
            }
        }
    }

    @Test("bodies of a loop share a budget: full is taken, a byte more is refused, and freed is free")
    func budget() async throws {
        var plan = LaneBench.Plan()
        plan.policy.bodyBudgetBytes = 2_000
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.begin(Self.length(1_000))
                bench.begin(Self.length(1_000))
                bench.begin(Self.length(1))
                #expect(bench.clients.map(\.status) == [nil, nil, 503])
                #expect(bench.clients[2].text.contains("request.body_budget"))
                // In chunks: what comes is counted as it comes.
                bench.exchanges[0].clientGone()
                let (chunked, client) = bench.begin()
                chunked.body(ByteBuffer(string: String(repeating: " ", count: 600)))
                chunked.body(ByteBuffer(string: String(repeating: " ", count: 400)))
                #expect(client.status == nil)
                chunked.body(ByteBuffer(string: " "))
                #expect(client.status == 503)
                bench.exchanges[1].clientGone()
                #expect(bench.owed == [])
            }
        }
    }

    @Test("a length that no integer holds is too large, and none at all is counted")
    func hugeLength() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                let digits = String(repeating: "9", count: 40)
                bench.begin([HTTPField(name: .contentLength, value: digits)])
                #expect(bench.clients[0].status == 413 && bench.owed == [])
            }
        }
    }

    @Test("a body that dribbles in is kept as few pieces, and arrives as it was")
    func dribble() async throws {
        try await LaneBench.run { run in
            let body = Self.body(of: 20_000)
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                let (exchange, _) = bench.begin()
                for byte in body.utf8 { exchange.body(ByteBuffer(bytes: [byte])) }
                #expect(exchange.body.count < 50)
                #expect(exchange.bodyBytes == 20_000)
                exchange.end()
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in #expect(bench.worker.requests[0].body == body && bench.owed == []) }
        }
    }

    @Test("a prompt that cannot fit is refused here, one that may is the worker's to count", arguments: [0, 1])
    func context(over: Int) async throws {
        var plan = LaneBench.Plan()
        plan.contextTokens = 100
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                // (bytes + 5) / 6 + 1 tokens at the very least.
                let text = String(repeating: "w", count: 99 * 6 + over)
                bench.ask(#"{"model":"model","messages":[{"role":"user","content":"\#(text)"}]}"#)
                #expect(bench.clients[0].status == (over > 0 ? 400 : nil))
                if over > 0 { #expect(bench.clients[0].text.contains("context_length_exceeded") && bench.owed == []) }
            }
        }
    }

    @Test("bytes after an early refusal are thrown away, whatever they are")
    func afterRefusal() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                let (exchange, client) = bench.begin()
                exchange.body(ByteBuffer(string: "this is no JSON"))
                #expect(client.status == 400)
                let told = client.text
                exchange.body(ByteBuffer(string: LaneBench.chat))
                exchange.end()
                #expect(client.text == told && client.endings == ["end"] && bench.owed == [])
            }
        }
    }
}
