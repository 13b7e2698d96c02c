import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

/// Who waits for a slot or a model, how long, and who is woken.
@Suite("The queue")
struct QueueTests {
    @Test("a model that is in no memory: its clients wait without any worker's knowing, longer than for a slot")
    func notResident() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.shared.board.withModels(bench.index(0)) { $0.told([], askedAt: .zero) }
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.ask()
                bench.ask()
                let want = bench.shared.desk.wants().wants.first
                #expect(want?.workers == [bench.index(0)] && want?.model == bench.model)
                #expect(want?.expectedWait == .infinity)
                bench.pass(.seconds(70))
                bench.pass(.seconds(140))
                #expect(bench.clients.map(\.endings) == [[], []] && bench.worker.connections.isEmpty)
                bench.exchanges[1].clientGone()
                #expect(bench.shared.desk.waitingTotal == 1)
                bench.shared.board.withModels(bench.index(0)) { $0.told([bench.model], askedAt: .zero) }
                bench.shared.desk.wakeNext(bench.model)
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[0].status == 200 && bench.worker.requests.count == 1 && bench.owed == [])
                #expect(bench.shared.board.withModels(bench.index(0)) { $0.running(bench.model) } == 0)
            }
        }
    }

    @Test("a model that is to go gets no new exchange; one that could not be loaded is told to those who wait")
    func leavingModel() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                let board = bench.shared.board
                board.withModels(bench.index(0)) { $0.told([bench.model], askedAt: .zero) }
                bench.ask()
                #expect(board.withModels(bench.index(0)) { $0.running(bench.model) } == 1)
                board.withModels(bench.index(0)) { $0.giveUp([bench.model]) }
                bench.ask()
                #expect(bench.shared.desk.waitingTotal == 1)
                board.withModels(bench.index(0)) {
                    $0.beginLoad(bench.model)
                    $0.endLoad(bench.model, evicted: [], succeeded: false, at: .never)
                }
                bench.pass(.seconds(1))
                #expect(bench.clients[1].endings == ["end"] && bench.clients[1].status == 503)
                #expect(bench.clients[1].text.contains("gateway.no_worker"))
            }
            try await run.until("the first is there") { $0.worker.requests.count == 1 }
            try await run.on { bench in bench.worker.connections[0].say(Reply.plain(Reply.completion)) }
            try await run.until("its ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in #expect(bench.owed == []) }
        }
    }

    @Test("a ticket that waits for a slot tells of a load as soon as the model is gone from where it was")
    func goneWhileWaiting() async throws {
        var plan = LaneBench.Plan()
        plan.slots = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                for _ in 0..<2 { bench.ask() }
                #expect(bench.shared.desk.waitingTotal == 1 && bench.shared.desk.wants().wants.isEmpty)
                bench.shared.board.withModels(bench.index(0)) { $0.told([], askedAt: .zero) }
                bench.pass(.seconds(1))
                #expect(bench.shared.desk.wants().wants.first?.workers == [bench.index(0)])
            }
        }
    }

    @Test("a freed slot goes to whoever waits longest; the queue holds at its bound and refuses one more (L8)")
    func queue() async throws {
        var plan = LaneBench.Plan()
        plan.slots = 1
        plan.queueBound = 2
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                for _ in 0..<4 { bench.ask() }
                #expect(bench.shared.desk.waitingTotal == 2)
                #expect(bench.clients.map(\.endings) == [[], [], [], ["end"]])
                #expect(bench.clients[3].status == 503 && bench.clients[3].text.contains("gateway.saturated"))
                #expect(bench.clients[3].field("retry-after") != nil)
            }
            for place in 0..<3 {
                try await run.until("request \(place)") { $0.worker.requests.count == place + 1 }
                try await run.on { bench in
                    #expect(bench.shared.board.running(bench.index(0)) == 1)
                    #expect(bench.shared.desk.waitingTotal == 2 - place)
                    bench.worker.connections.last!.say(Reply.plain(Reply.completion))
                }
                try await run.until("ending \(place)") { $0.clients[place].endings == ["end"] }
            }
            try await run.on { bench in
                #expect(bench.owed == [] && bench.clients[2].status == 200)
                #expect(bench.clients[0].field("x-starling-queue-ms") == "0")
            }
        }
    }

    @Test("an open breaker beside a full worker: those who wait, wait; nobody is woken for nothing")
    func openBreaker() async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.openAI, .openAI]
        plan.slots = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                // It stays open for longer than any pause of a busy machine.
                let later = bench.context.now() + .seconds(60)
                for _ in 0..<10 {
                    bench.shared.board.recordBreaker(
                        bench.index(1), model: bench.model, .failure, wasProbe: false, at: later)
                }
                #expect(bench.shared.board.breakerLevel(bench.index(1), model: bench.model) == 2)
                for _ in 0..<3 { bench.ask() }
                #expect(bench.shared.desk.waitingTotal == 2)
            }
            let before = try await run.on { bench in bench.exchanges.compactMap { $0.ticket?.rawValue } }
            for _ in 0..<50 { try await run.on { _ in } }
            let after = try await run.on { bench in bench.exchanges.compactMap { $0.ticket?.rawValue } }
            #expect(before.count == 2 && before == after, "a ticket that changes is a place lost and taken again")
        }
    }

    @Test("a wake-up that finds its exchange gone goes to the next in line")
    func lostWake() async throws {
        var plan = LaneBench.Plan()
        plan.slots = 1
        plan.policy.queueLook = .seconds(20)
        try await LaneBench.run(plan) { run in
            try await run.on { bench in for _ in 0..<3 { bench.ask() } }
            try await run.until("a request") { $0.worker.requests.count == 1 }
            try await run.on { bench in
                // The slot is free, the ticket of the second is used up, and its client leaves before it hears of it.
                bench.exchanges[0].clientGone()
                #expect(bench.shared.desk.waitingTotal == 1)
                bench.exchanges[1].clientGone()
            }
            try await run.until("the third's turn") { $0.worker.requests.count == 2 }
            try await run.on { #expect($0.exchanges[2].placement != nil) }
        }
    }
}
