import Balancing
import Determinism
import ExchangeFlow
import ReplicaCore
import Testing

@testable import UpstreamLane

/// The breaker's permit is lent like a slot, and given back like one.
@Suite("A breaker's trial")
struct BreakerTests {
    /// How the exchange with the permit ends, and what the breaker then says to the next.
    enum Ending: CaseIterable, Sendable { case answered, failed, clientGone, full }

    @Test("one exchange has the permit, others are refused; every ending gives it back", arguments: Ending.allCases)
    func trial(ending: Ending) async throws {
        var plan = LaneBench.Plan()
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                // It opened a while ago, longer than it stays open.
                let before = Instant(nanoseconds: bench.context.now().nanoseconds - 10_000_000_000)
                for _ in 0..<3 {
                    bench.shared.board.recordBreaker(
                        bench.index(0), model: bench.model, .failure, wasProbe: false, at: before)
                }
                bench.ask()
                #expect(bench.exchanges[0].placement?.isBreakerProbe == true)
                bench.ask()
                #expect(bench.clients[1].status == 503 && bench.clients[1].text.contains("gateway.no_worker"))
            }
            try await run.until("a request") { $0.worker.requests.count == 1 }
            let ended = try await run.on { bench in
                let now = bench.context.now()
                let connection = bench.worker.connections[0]
                switch ending {
                case .answered: connection.say(Reply.plain(Reply.completion))
                case .failed: connection.reset()
                case .clientGone: bench.exchanges[0].clientGone()
                case .full: connection.say(Reply.plain("{}", status: "429 Full"))
                }
                return now
            }
            try await run.until("an ending") { $0.context.openCount == 0 }
            try await run.on { bench in
                #expect(bench.owed == [])
                // It opened anew, and stays so for less than this machine may pause.
                let now = ending == .failed ? ended : bench.context.now()
                let refuses = bench.shared.board.breakerRefuses(bench.index(0), model: bench.model, at: now)
                let level = bench.shared.board.breakerLevel(bench.index(0), model: bench.model)
                #expect(refuses == (ending == .failed))
                #expect(level == (ending == .answered ? 0 : 2))
                // Looking took no permit: who asks now gets it.
                let admission = bench.shared.board.breakerAllows(bench.index(0), model: bench.model, at: now)
                #expect(admission == (ending == .answered ? .closed : ending == .failed ? .refused : .probe))
            }
        }
    }
}
