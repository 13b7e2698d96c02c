import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

@Suite("A plain answer asked for as a stream")
struct AssemblyTests {
    private static func plan(_ kinds: [WorkerKind] = [.mlxLM], slots: Int = 4) -> LaneBench.Plan {
        var plan = LaneBench.Plan()
        plan.kinds = kinds
        plan.slots = slots
        return plan
    }

    /// mlx_lm ends every answer with its connection.
    private static let head = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\r\n"
    private static let logprobs = #"{"model":"model","logprobs":true,"messages":[{"role":"user","content":"hello"}]}"#

    @Test("the client gets one answer with its length, the worker was asked for a stream", arguments: [true, false])
    func whole(isPooled: Bool) async throws {
        try await LaneBench.run(Self.plan([isPooled ? .llamaCpp : .mlxLM])) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, request in
                    #expect(request.body.contains(#""stream":true"#) && request.body.contains("include_usage"))
                    let events =
                        Reply.role + Reply.content("a") + Reply.content("b") + Reply.finish + Reply.usage + Reply.done
                    if isPooled { return connection.say(Reply.stream(events)) }
                    connection.say(Self.head + events)
                    connection.close()
                }
                bench.ask()
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.status == 200 && client.endings == ["end"] && client.afterEnd == [])
                #expect(client.field("content-type") == "application/json" && client.field("cache-control") == nil)
                #expect(client.field("content-length") == String(client.text.utf8.count))
                #expect(
                    client.text == #"{"object":"chat.completion","model":"model","choices":[{"index":0,"message":"#
                        + #"{"role":"assistant","content":"ab"},"finish_reason":"stop"}],"#
                        + #""usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#)
                #expect(bench.attempts(.answered) == 1 && bench.outcomes(.answered) == 1 && bench.owed == [])
            }
        }
    }

    @Test("nothing is told until all of it came: a worker that dies in the middle is followed by another")
    func failover() async throws {
        try await LaneBench.run(Self.plan([.mlxLM, .mlxLM])) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in
                        connection.say(Self.head + Reply.content("lost"))
                        connection.close()
                    }
                }
                bench.ask()
                bench.workers[1].whenAsked = { connection, _ in
                    connection.say(Self.head + Reply.content("kept") + Reply.finish + Reply.done)
                    connection.close()
                }
                bench.workers[0].whenAsked = { connection, _ in
                    connection.say(Self.head + Reply.content("lost"))
                    connection.close()
                }
                bench.ask()
            }
            try await run.until("two endings") { $0.clients.allSatisfy { !$0.endings.isEmpty } }
            try await run.on { bench in
                for client in bench.clients {
                    #expect(client.status == 200 && client.text.contains(#""content":"kept""#))
                    // The worker told no usage: our own count stands there.
                    #expect(client.text.contains(#""usage":{"prompt_tokens":3,"completion_tokens":1,"#))
                }
                #expect(bench.attempts(.truncated, on: 0) >= 1 && bench.owed == [])
            }
        }
    }

    @Test("an error event is a status, and a client's own fault blames nobody")
    func errorEvents() async throws {
        var plan = Self.plan([.llamaCpp])
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                var answers = [
                    #"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}}"#,
                    #"{"error":{"code":500,"message":"it broke","type":"server_error"}}"#,
                    #"{"error":{"message":"it broke"}}"#,
                ]
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Reply.stream("data: \(answers.removeFirst())\n\n"))
                }
                for _ in 0..<3 {
                    bench.ask()
                }
            }
            try await run.until("three endings") { $0.clients.allSatisfy { !$0.endings.isEmpty } }
            try await run.on { bench in
                #expect(bench.clients.map(\.status).compactMap(\.self).sorted() == [400, 500, 502])
                #expect(bench.attempts(.rejected) == 1 && bench.attempts(.ambiguous) == 1)
                #expect(bench.attempts(.errorEvent) == 1 && bench.owed == [])
            }
        }
    }

    @Test("the client leaves: the worker's connection is gone in the same turn", arguments: [true, false])
    func leaving(hasContent: Bool) async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Self.head + (hasContent ? Reply.content("a") : ": keepalive 0/9\n\n"))
                }
                bench.ask()
            }
            try await run.until("the head") { $0.exchanges[0].answer == .assembled }
            try await run.until("the event") { !hasContent || $0.exchanges[0].firstEventAt != .never }
            try await run.on { bench in
                bench.exchanges[0].clientGone()
                #expect(bench.owed == [] && bench.clients[0].heads.isEmpty)
                #expect(
                    bench.context.tally.snapshot.cancellations == [hasContent ? "decode" : "prefill": 1])
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }

    @Test("a whole answer whose worker does not say goodbye is a whole answer")
    func noGoodbye() async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Self.head + Reply.content("a") + Reply.finish)
                }
                bench.ask()
            }
            try await run.until("the finish") { $0.exchanges[0].stream?.isProven == true }
            try await run.on { bench in
                bench.pass(.seconds(61))
                #expect(bench.clients[0].status == 200 && bench.outcomes(.answered) == 1 && bench.owed == [])
            }
        }
    }

    @Test("a worker that answers plainly all the same is passed on as it is")
    func plainAllTheSame() async throws {
        try await LaneBench.run(Self.plan([.llamaCpp])) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.ask()
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].text == Reply.completion && bench.clients[0].status == 200)
            }
        }
    }

    @Test("other kinds are asked for what the client asked for, and a worker may be told always or never")
    func kinds() async throws {
        try await LaneBench.run(Self.plan(WorkerKind.allCases)) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                }
                for _ in WorkerKind.allCases { bench.ask() }
            }
            try await run.until("all endings") { $0.clients.allSatisfy { !$0.endings.isEmpty } }
            try await run.on { bench in
                for (kind, worker) in zip(WorkerKind.allCases, bench.workers) {
                    let isStream = worker.requests[0].body.contains(#""stream":true"#)
                    #expect(isStream == [.mlxLM, .llamaCpp].contains(kind), "\(kind)")
                }
            }
        }
        for (setting, kind, isStream) in [(PlainAssembly.always, WorkerKind.openAI, true), (.never, .mlxLM, false)] {
            var plan = Self.plan([kind])
            plan.plainAssembly = setting
            try await LaneBench.run(plan) { run in
                try await run.on { bench in
                    bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                    bench.ask()
                }
                try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
                try await run.on { #expect($0.worker.requests[0].body.contains(#""stream":true"#) == isStream) }
            }
        }
    }

    // MARK: Several prompts

    private static func prompts(stream: Bool) -> String {
        #"{"model":"model","prompt":["a","b","c"],"stream":\#(stream),"stream_options":{"include_usage":true}}"#
    }

    private static func completion(_ text: String) -> String {
        #"data: {"id":"c","choices":[{"index":0,"text":"\#(text)","finish_reason":"stop"}]}"# + "\n\n"
    }

    /// Answers each prompt with itself in capitals, in a stream of its own.
    private static func answersInCapitals(_ bench: LaneBench, dyingAt dead: String? = nil) {
        bench.worker.whenAsked = { connection, request in
            let prompt = ["a", "b", "c"].first { request.body.contains(#""prompt":"\#($0)""#) } ?? "?"
            if prompt == dead { return connection.close() }
            connection.say(Self.head + Self.completion(prompt.uppercased()) + Reply.usage + Reply.done)
            connection.close()
        }
    }

    @Test("prompts are asked one after another in one slot, and make one answer")
    func promptByPrompt() async throws {
        try await LaneBench.run(Self.plan(slots: 1)) { run in
            try await run.on { bench in
                Self.answersInCapitals(bench)
                bench.ask(Self.prompts(stream: false), route: .completions)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.status == 200 && client.field("content-length") == String(client.text.utf8.count))
                for (index, text) in ["A", "B", "C"].enumerated() {
                    #expect(client.text.contains(#"{"index":\#(index),"text":"\#(text)""#))
                }
                #expect(client.text.contains(#""usage":{"prompt_tokens":21,"completion_tokens":9,"total_tokens":30"#))
                #expect(bench.worker.requests.count == 3 && bench.attempts(.answered) == 1 && bench.owed == [])
            }
        }
    }

    @Test("a client that streams gets each prompt's text as one event with its index, then usage and [DONE]")
    func promptByPromptStream() async throws {
        try await LaneBench.run(Self.plan(slots: 1)) { run in
            try await run.on { bench in
                Self.answersInCapitals(bench)
                bench.ask(Self.prompts(stream: true), route: .completions)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let events = bench.clients[0].text.split(separator: "\n\n", omittingEmptySubsequences: true)
                #expect(events.count == 5 && events[4] == "data: [DONE]")
                #expect(events[1].contains(#""choices":[{"index":1,"text":"B""#))
                #expect(events[3].contains(#""choices":[],"usage":{"prompt_tokens":21,"#))
                #expect(bench.outcomes(.answered) == 1 && bench.owed == [])
            }
        }
    }

    @Test(
        "a worker that dies between two prompts: a plain answer fails as a whole, a stream is told",
        arguments: [true, false])
    func diesBetween(isStream: Bool) async throws {
        var plan = Self.plan(slots: 1)
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                Self.answersInCapitals(bench, dyingAt: "b")
                bench.ask(Self.prompts(stream: isStream), route: .completions)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.status == (isStream ? 200 : 502))
                #expect(
                    client.text.contains(#""text":"A""#) == isStream && client.text.contains("upstream.closed_early"))
                #expect(bench.attempts(.closedEarly) == 1 && bench.owed == [])
            }
        }
    }

    // MARK: Orphans

    @Test("what comes in no stream is asked for plainly, and computed on without its client: the slot stays taken")
    func orphan() async throws {
        try await LaneBench.run(Self.plan(slots: 2)) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { _, request in #expect(!request.body.contains(#""stream":true"#)) }
                bench.ask(Self.logprobs)
            }
            try await run.until("the request") { $0.worker.requests.count == 1 }
            try await run.on { bench in
                bench.exchanges[0].clientGone()
                #expect(bench.context.openCount == 0)
                #expect(bench.owed == ["w0: 1 slots", "w0: 1 sequences"], "ticket, tokens and memory go at once")
                // A second one waits, another request does not.
                bench.ask(Self.logprobs)
                #expect(bench.shared.desk.waitingTotal == 1)
            }
            try await run.on { bench in
                bench.worker.connections[0].say(Reply.plain(Reply.completion))
                bench.worker.connections[0].close()
            }
            try await run.until("the next one's request") { $0.worker.requests.count == 2 }
            try await run.on { bench in
                #expect(bench.shared.board.running(bench.index(0)) == 1)
                bench.worker.connections[1].say(Reply.plain(Reply.completion))
            }
            try await run.until("its answer") { !$0.clients[1].endings.isEmpty }
            try await run.on { #expect($0.clients[1].text == Reply.completion && $0.owed == []) }
        }
    }

    @Test("an orphan ends with the clock of its exchange at the latest")
    func orphanClock() async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { $0.ask(Self.logprobs) }
            try await run.until("the request") { $0.worker.requests.count == 1 }
            try await run.on { bench in
                bench.exchanges[0].clientGone()
                bench.pass(.seconds(3_500))
                #expect(bench.owed == ["w0: 1 slots", "w0: 1 sequences"])
                bench.pass(.seconds(3_600))
                #expect(bench.owed == [] && bench.shared.board.hasOrphanPlace(bench.index(0)))
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }
}
