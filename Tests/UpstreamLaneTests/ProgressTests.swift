import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import ReplicaCore
import Testing

@testable import UpstreamLane

/// The bench's workers are of unknown speed: a first event is asked for after 15 s (`SilenceTests`).
@Suite("Events of a prompt's progress")
struct ProgressTests {
    private static func plan(_ kind: WorkerKind = .llamaCpp) -> LaneBench.Plan {
        var plan = LaneBench.Plan()
        plan.kinds = [kind]
        plan.policy.keepaliveAfter = .seconds(7_200)
        return plan
    }

    private static func told(_ done: Int, index: Int = 0) -> String {
        #"data: {"choices":[{"index":\#(index),"delta":{"role":"assistant","content":null},"finish_reason":null}],"#
            + #""prompt_progress":{"total":8192,"cache":0,"processed":\#(done),"time_ms":9}}"# + "\n\n"
    }

    private static let progress = told(0) + told(2_048) + told(4_096)
    private static let asking =
        #"{"model":"model","stream":true,"return_progress":true,"messages":[{"role":"user","content":"hello"}]}"#

    /// The words of an answer between its prompt's progress and that of a second choice.
    private static func answer(_ more: String) -> String {
        Reply.role + Reply.content("a") + more + Reply.content("b") + Reply.finish + Reply.usage + Reply.done
    }

    @Test(
        "they are asked for and kept from a client that did not ask, wherever the bytes are cut", arguments: [1, 7, 64])
    func hidden(piece: Int) async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, request in
                    #expect(request.body.contains(#""return_progress":true"#))
                    let events = Array((Self.progress + Self.answer(Self.told(8_192, index: 1))).utf8)
                    var pieces = Reply.streamHead
                    for start in stride(from: 0, to: events.count, by: piece) {
                        let end = min(start + piece, events.count)
                        pieces += Reply.chunk(String(decoding: events[start..<end], as: UTF8.self))
                    }
                    connection.say(pieces + "0\r\n\r\n")
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].endings == ["end"] && bench.clients[0].status == 200)
                let seen = Reply.role + Reply.content("a") + Reply.content("b") + Reply.finish + Reply.done
                #expect(bench.clients[0].text == seen)
                #expect(bench.attempts(.answered) == 1 && bench.owed == [])
            }
        }
    }

    @Test("each is a sign of life: a long prompt that goes on is not asked about, one that stands still is")
    func clocks() async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.streamHead + Reply.chunk(Self.told(0)))
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("the head") { $0.exchanges[0].answer != .none }
            let before = try await run.on { $0.exchanges[0].machine.lastSign }
            try await run.on { $0.worker.connections[0].say(Reply.chunk(Self.told(2_048))) }
            try await run.until("a sign") { $0.exchanges[0].machine.lastSign > before }
            try await run.on { bench in
                let machine = bench.exchanges[0].machine
                #expect(
                    !machine.isContentCommitted && bench.clients[0].heads.isEmpty, "another worker may still be asked")
                #expect(bench.shared.board.lastToken(bench.index(0)) == machine.lastSign)
                bench.pass(.seconds(14))
                #expect(!bench.shared.board.takeCanaryWish(bench.index(0)))
                bench.pass(.seconds(30))
                #expect(bench.shared.board.takeCanaryWish(bench.index(0)), "nothing more came")
            }
        }
    }

    @Test("a client that asked for them gets each as it comes, and its worker is not yet the only one")
    func shown() async throws {
        var plan = Self.plan()
        plan.kinds = [.llamaCpp, .llamaCpp]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in
                        connection.say(Reply.streamHead + Reply.chunk(Self.told(0)) + Reply.chunk(Self.told(2_048)))
                    }
                }
                bench.ask(Self.asking)
            }
            try await run.until("progress") { $0.clients[0].text.contains("2048") }
            try await run.on { bench in
                #expect(bench.clients[0].text == Self.told(0) + Self.told(2_048) && bench.clients[0].flushes > 0)
                #expect(bench.clients[0].status == 200 && !bench.exchanges[0].machine.isContentCommitted)
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in
                        connection.say(Reply.stream(Self.told(0) + Self.answer(Self.told(8_192, index: 1))))
                    }
                    worker.connections.first?.reset()
                }
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let rest =
                    Reply.role + Reply.content("a") + Self.told(8_192, index: 1) + Reply.content("b") + Reply.finish
                    + Reply.done
                #expect(bench.clients[0].text == Self.told(0) + Self.told(2_048) + Self.told(0) + rest)
                #expect(bench.clients[0].heads.count == 1 && bench.clients[0].endings == ["end"] && bench.owed == [])
            }
        }
    }

    @Test("an answer that is put together knows nothing of them")
    func assembled() async throws {
        try await LaneBench.run(Self.plan()) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, request in
                    #expect(request.body.contains(#""return_progress":true"#))
                    connection.say(Reply.stream(Self.progress + Self.answer(Self.told(8_192))))
                }
                bench.ask()
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].status == 200 && bench.clients[0].text.contains(#""content":"ab""#))
                #expect(!bench.clients[0].text.contains("prompt_progress") && bench.owed == [])
            }
        }
    }

    @Test("exo's comments on a prompt are signs of life; its keep-alives come from a thread that computes nothing")
    func comments() async throws {
        try await LaneBench.run(Self.plan(.exo)) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Reply.streamHead + Reply.chunk(": keep-alive\n\n"))
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("the head") { $0.exchanges[0].answer != .none }
            let before = try await run.on { bench in
                #expect(bench.shared.board.lastToken(bench.index(0)) == .zero)
                return bench.exchanges[0].machine.lastSign
            }
            try await run.on { bench in
                let figures = #"{"PrefillProgressChunk":{"model":"m","processed_tokens":2048,"total_tokens":8192}}"#
                bench.worker.connections[0].say(Reply.chunk(": prefill_progress \(figures)\n\n"))
            }
            try await run.until("a sign") { $0.exchanges[0].machine.lastSign > before }
            try await run.on { #expect($0.shared.board.lastToken($0.index(0)) > before) }
        }
    }
}
