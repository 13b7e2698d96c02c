import Balancing
import Determinism
import ExchangeFlow
import ReplicaCore
import Testing

@testable import UpstreamLane

/// The bench's workers are of unknown speed: 1,000 prompt tokens a second and 50 of decoding are believed, and tenfold
/// patience is had with what was never measured. A first event is then asked for after 15 s, the next after 10.
@Suite("A silent worker is asked before it is given up")
struct SilenceTests {
    private static func plan(_ kind: WorkerKind = .llamaCpp) -> LaneBench.Plan {
        var plan = LaneBench.Plan()
        plan.kinds = [kind]
        plan.policy.attemptsMax = 1
        plan.policy.keepaliveAfter = .seconds(7_200)
        return plan
    }

    /// One stream whose worker says these events and then nothing.
    private static func silent(
        after events: String = "", _ plan: LaneBench.Plan = plan(), body: String = LaneBench.stream,
        _ script: @escaping (Runner) async throws -> Void
    ) async throws {
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.streamHead + Reply.chunk(events)) }
                bench.ask(body)
            }
            try await run.until("the head") { $0.exchanges[0].answer != .none }
            try await run.until("the event") { events.isEmpty || $0.exchanges[0].firstEventAt != .never }
            try await script(run)
        }
    }

    @Test(
        "neither a token nor an answer: a zombie's exchange ends, and the worker counts as stalled",
        arguments: [true, false])
    func zombie(hasContent: Bool) async throws {
        try await Self.silent(after: hasContent ? Reply.content("a") : "") { run in
            try await run.on { bench in
                bench.pass(.seconds(2))
                #expect(!bench.shared.board.takeCanaryWish(bench.index(0)))
                bench.pass(.seconds(16))
                #expect(bench.shared.board.takeCanaryWish(bench.index(0)), "it is asked")
                #expect(bench.clients[0].endings.isEmpty)
                bench.pass(.seconds(20))
                #expect(bench.clients[0].endings.isEmpty, "five seconds are its own")
                bench.pass(.seconds(22))
                #expect(bench.attempts(hasContent ? .stalled : .firstByteTimedOut) == 1)
                #expect(bench.clients[0].text.contains("and none for our own question"))
                #expect(bench.shared.board.condition(bench.index(0)) == .degraded(.stalled) && bench.owed == [])
            }
        }
    }

    @Test("a worker that answers is waited for, twice; after that the exchange is lost on it")
    func answers() async throws {
        try await Self.silent(after: Reply.content("a")) { run in
            try await run.on { bench in
                let worker = bench.index(0)
                for (asked, answered) in [(11, 12), (23, 24)] {
                    bench.pass(.seconds(asked))
                    #expect(bench.exchanges[0].machine.askedAt != .never)
                    bench.shared.board.tellHealth(worker, .canaryClean, at: LoopClock.now() + .seconds(answered))
                    bench.pass(.seconds(answered))
                    #expect(bench.exchanges[0].machine.askedAt == .never && bench.clients[0].endings.isEmpty)
                }
                bench.pass(.seconds(35))
                #expect(bench.attempts(.stalled) == 1 && bench.owed == [])
            }
        }
    }

    @Test("a worker that fails the question, or is gone, is given up at the next look")
    func fails() async throws {
        try await Self.silent { run in
            try await run.on { bench in
                bench.pass(.seconds(16))
                bench.shared.board.tellHealth(bench.index(0), .canaryFailed, at: LoopClock.now() + .seconds(17))
                bench.pass(.seconds(17))
                #expect(bench.attempts(.firstByteTimedOut) == 1 && bench.owed == [])
            }
        }
    }

    @Test("tokens for another exchange show that the worker lives: it is not even asked")
    func others() async throws {
        try await Self.silent { run in
            try await run.on { bench in
                for second in [16, 40, 61] {
                    bench.shared.board.noteToken(bench.index(0), at: LoopClock.now() + .seconds(second - 1))
                    bench.pass(.seconds(second))
                    #expect(!bench.shared.board.takeCanaryWish(bench.index(0)), "after \(second) s")
                }
                #expect(bench.clients[0].endings.isEmpty)
                bench.pass(.seconds(90))
                #expect(bench.shared.board.takeCanaryWish(bench.index(0)), "the others are silent, too")
            }
        }
    }

    @Test("what a kind writes in silence is waited for: a call of tools on mlx_lm, up to five minutes")
    func withheld() async throws {
        let body =
            #"{"model":"model","stream":true,"tools":[{"type":"function","function":{"name":"f"}}],"#
            + #""messages":[{"role":"user","content":"hello"}]}"#
        try await Self.silent(after: Reply.content("a"), Self.plan(.mlxLM), body: body) { run in
            try await run.on { bench in
                for seconds in stride(from: 11, to: 290, by: 12) { bench.pass(.seconds(seconds)) }
                #expect(!bench.shared.board.takeCanaryWish(bench.index(0)) && bench.clients[0].endings.isEmpty)
                bench.pass(.seconds(301))
                #expect(bench.attempts(.stalled) == 1)
            }
        }
    }

    @Test("who loads a model has no token to give, and is not asked for one")
    func loading() async throws {
        try await Self.silent { run in
            try await run.on { bench in
                bench.shared.board.tellHealth(bench.index(0), .probeLoading, at: LoopClock.now())
                for seconds in stride(from: 16, to: 590, by: 21) { bench.pass(.seconds(seconds)) }
                #expect(bench.clients[0].endings.isEmpty)
                bench.pass(.seconds(601))
                #expect(bench.attempts(.firstByteTimedOut) == 1, "the setting's own limit")
            }
        }
    }

    @Test("a worker whose tokens may cost money is not asked: its clocks alone decide")
    func money() async throws {
        try await Self.silent(after: Reply.content("a"), Self.plan(.openAI)) { run in
            try await run.on { bench in
                bench.pass(.seconds(45))
                #expect(bench.clients[0].endings.isEmpty && !bench.shared.board.takeCanaryWish(bench.index(0)))
                bench.pass(.seconds(61))
                #expect(bench.attempts(.stalled) == 1)
            }
        }
    }

    @Test(
        "a plain answer that has its head before anything is computed is sent on when it is whole, and may be had elsewhere"
    )
    func held() async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.exo, .exo]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
                var isFirst = true
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in
                        connection.say(head + Reply.chunk(#"{"id":"#))
                        if isFirst {
                            connection.close()
                        } else {
                            connection.say(Reply.chunk(String(Reply.completion.dropFirst(6))) + Reply.lastChunk)
                        }
                        isFirst = false
                    }
                }
                bench.ask()
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].status == 200 && bench.clients[0].text == Reply.completion)
                #expect(bench.attempts(.answered, on: 0) + bench.attempts(.answered, on: 1) == 1 && bench.owed == [])
            }
        }
    }

    @Test("answers teach the worker's speed: decoding from the first event to the last, a prompt by its uncached part")
    func rates() async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Reply.streamHead + Reply.chunk(Reply.content("a")))
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("the event") { $0.exchanges[0].firstEventAt != .never }
            try await run.on { bench in
                let usage =
                    #"data: {"choices":[],"usage":{"prompt_tokens":900,"completion_tokens":101,"#
                    + #""prompt_tokens_details":{"cached_tokens":500}}}"# + "\n\n"
                // As if it had been sent two seconds ago, and its first token come a second later.
                let now = LoopClock.now()
                bench.exchanges[0].attemptSentAt = now + .seconds(-2)
                bench.exchanges[0].firstEventAt = now + .seconds(-1)
                bench.worker.connections[0].say(
                    Reply.chunk(Reply.content("b") + Reply.finish + usage + Reply.done) + Reply.lastChunk)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let rates = try #require(bench.shared.board.rates(bench.index(0), model: bench.model))
                let decode = rates.decodeRate(prior: 0, at: LoopClock.now())
                #expect(rates.decodeConfidence > 0.3 && decode < 100 * rates.decodeConfidence + 1)
                #expect(decode > 60 * rates.decodeConfidence)
                let prefill = rates.prefillRate(prior: 0) / rates.prefillConfidence
                #expect(prefill > 399 && prefill < 401)
            }
        }
    }

    @Test(
        "nobody is sent to a worker that loads: its clients wait, beyond the queue's clock, and leave without a trace there"
    )
    func waitsForLoad() async throws {
        var plan = Self.plan(.mlxLM)
        plan.policy.total = .seconds(7_200)
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                let worker = bench.index(0)
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Reply.stream(Reply.content("a") + Reply.finish + Reply.done))
                }
                bench.shared.board.tellHealth(worker, .connectRefused, at: LoopClock.now())
                bench.shared.board.tellHealth(worker, .probeAlive, at: LoopClock.now())
                #expect(bench.shared.board.condition(worker) == .loading)
                for _ in 0..<4 { bench.ask(LaneBench.stream) }
                for seconds in stride(from: 31, to: 95, by: 31) { bench.pass(.seconds(seconds)) }
                bench.exchanges[0].clientGone()
                bench.exchanges[1].clientGone()
                #expect(bench.worker.connections.isEmpty && bench.clients[2].endings.isEmpty)
                #expect(bench.shared.desk.waitingTotal == 2)
                bench.shared.board.tellHealth(worker, .canaryClean, at: LoopClock.now())
                bench.pass(.seconds(94))
            }
            try await run.until("two answers") { $0.clients[2...].allSatisfy { !$0.endings.isEmpty } }
            try await run.on { bench in
                #expect(bench.clients[2...].allSatisfy { $0.status == 200 && $0.text.contains(#""content":"a""#) })
                #expect(bench.worker.requests.count == 2 && bench.owed == [])
            }
        }
    }
}
