import Balancing
import Determinism
import ExchangeFlow
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

@Suite("A request whose worker died is tried once more, alone")
struct SuspicionTests {
    private static func plan(_ workers: Int) -> LaneBench.Plan {
        var plan = LaneBench.Plan()
        plan.kinds = Array(repeating: .openAI, count: workers)
        plan.policy.keepaliveAfter = .seconds(7_200)
        return plan
    }

    private static func asking(_ word: String, stream: Bool = false) -> String {
        #"{"model":"model","stream":\#(stream),"messages":[{"role":"user","content":"\#(word)"}]}"#
    }

    /// Every worker hangs up on "poison", without a byte, and answers anything else.
    private static func dieOfPoison(_ bench: LaneBench) {
        for worker in bench.workers {
            worker.whenAsked = { connection, request in
                if request.body.contains("poison") { return connection.close() }
                connection.say(Reply.plain(Reply.completion))
            }
        }
    }

    @Test("what ends two workers is convicted: 502 once, then 422 and no worker is asked; others are served as before")
    func conviction() async throws {
        try await LaneBench.run(Self.plan(3)) { run in
            try await run.on { bench in
                Self.dieOfPoison(bench)
                bench.ask(Self.asking("poison"))
            }
            try await run.until("the second trial") { bench in
                bench.pass(.seconds(1))
                return !bench.clients[0].endings.isEmpty
            }
            try await run.on { bench in
                #expect(bench.clients[0].status == 502 && bench.clients[0].text.contains("worker.poisoned_request"))
                #expect(bench.clients[0].field("x-should-retry") == "false")
                #expect(bench.workers.reduce(0) { $0 + $1.requests.count } == 2 && bench.owed == [])
                #expect(bench.workers.indices.reduce(0) { $0 + bench.shared.board.casualties(bench.index($1)) } == 2)
                // Its form is another, what it asks is the same.
                bench.ask(Self.asking("poison", stream: true))
                #expect(bench.clients[1].status == 422 && bench.clients[1].text.contains("worker.poisoned_request"))
                #expect(bench.clients[1].field("x-should-retry") == "false" && bench.owed == [])
                bench.ask(Self.asking("water"))
            }
            try await run.until("an answer") { !$0.clients[2].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[2].status == 200)
                #expect(bench.workers.reduce(0) { $0 + $1.requests.count } == 3)
                #expect(bench.shared.poison.forget(nil) && bench.shared.poison.hasNone)
            }
        }
    }

    @Test("a suspect whose model is in no memory after the death has it loaded, though it waits in no line")
    func loads() async throws {
        try await LaneBench.run(Self.plan(2)) { run in
            try await run.on { bench in
                Self.dieOfPoison(bench)
                for place in 0..<2 {
                    bench.shared.board.withModels(bench.index(place)) { $0.told([bench.model], askedAt: .zero) }
                }
                bench.ask(Self.asking("poison"))
                for place in 0..<2 {
                    bench.shared.board.withModels(bench.index(place)) { $0.told([], askedAt: .zero) }
                }
            }
            try await run.until("it waits for its model") { bench in
                bench.pass(.seconds(1))
                return bench.shared.desk.wants().wants.first?.workers.isEmpty == false
            }
            try await run.on { bench in
                #expect(bench.shared.desk.waitingTotal == 0 && bench.shared.desk.wants().waiting == [bench.model: 1])
                for place in 0..<2 {
                    bench.shared.board.withModels(bench.index(place)) { $0.told([bench.model], askedAt: .zero) }
                }
            }
            try await run.until("the second trial") { bench in
                bench.pass(.seconds(1))
                return !bench.clients[0].endings.isEmpty
            }
            try await run.on { bench in
                #expect(bench.clients[0].text.contains("worker.poisoned_request") && bench.owed == [])
                #expect(bench.shared.desk.wants().wants.isEmpty)
            }
        }
    }

    @Test("with a single worker there is no second trial by itself; the client's own is alone with it")
    func single() async throws {
        try await LaneBench.run(Self.plan(1)) { run in
            try await run.on { bench in
                Self.dieOfPoison(bench)
                bench.ask(Self.asking("poison"))
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].status == 502 && bench.clients[0].text.contains("upstream.closed_early"))
                #expect(bench.worker.requests.count == 1 && bench.owed == [])
                // It came back to life.
                bench.shared.board.tellHealth(bench.index(0), .connectRefused, at: LoopClock.now())
                bench.shared.board.tellHealth(bench.index(0), .canaryClean, at: LoopClock.now())
                #expect(bench.shared.board.incarnation(bench.index(0)) == 1)
                bench.ask(Self.asking("poison"))
            }
            try await run.until("the second trial") { bench in
                bench.pass(.seconds(1))
                return !bench.clients[1].endings.isEmpty
            }
            try await run.on { bench in
                #expect(bench.clients[1].text.contains("worker.poisoned_request") && bench.owed == [])
            }
        }
    }

    @Test("the second trial waits until nobody without a token is there, and nobody joins it before its first")
    func alone() async throws {
        try await LaneBench.run(Self.plan(2)) { run in
            try await run.on { bench in
                bench.workers[1].whenAsked = { connection, _ in connection.say(Reply.streamHead) }
                bench.ask(Self.asking("zero", stream: true))
                bench.ask(Self.asking("one", stream: true))
            }
            try await run.until("both asked") { $0.workers.allSatisfy { $0.requests.count == 1 } }
            try await run.on { bench in
                // Whichever it was: the first worker dies under its exchange.
                bench.workers[0].connections[0].close()
            }
            try await run.until("suspicion") { $0.exchanges[0].isSuspect || $0.exchanges[1].isSuspect }
            try await run.on { bench in
                bench.pass(.seconds(1))
                #expect(bench.shared.board.isReserved(bench.index(1)) && bench.workers[1].requests.count == 1)
                // A newcomer goes to the other worker, which lives again.
                bench.shared.board.tellHealth(bench.index(0), .canaryClean, at: LoopClock.now())
                bench.ask(Self.asking("newcomer", stream: true))
                bench.ask(Self.asking("newcomer", stream: true))
                #expect(bench.shared.board.unproven(bench.index(0)) == 2)
                bench.workers[1].connections[0].say(Reply.chunk(Reply.content("a")))
            }
            try await run.until("the second trial") { bench in
                bench.pass(.seconds(2))
                return bench.workers[1].requests.count == 2
            }
            try await run.on { bench in
                bench.ask(Self.asking("another", stream: true))
                #expect(bench.shared.board.unproven(bench.index(1)) == 1)
                bench.workers[1].connections[1].say(
                    Reply.chunk(Reply.content("b") + Reply.finish + Reply.done) + Reply.lastChunk)
            }
            try await run.until("an answer") { bench in bench.clients.contains { $0.text.contains(#""content":"b""#) } }
            try await run.on { bench in
                #expect(!bench.shared.board.isReserved(bench.index(1)))
                #expect(bench.shared.poison.hasNone, "its answer cleared it")
                for exchange in bench.exchanges { exchange.clientGone() }
                #expect(bench.owed == [])
            }
        }
    }

    @Test("a suspect whose client leaves while it waits keeps nothing reserved")
    func leaves() async throws {
        try await LaneBench.run(Self.plan(2)) { run in
            try await run.on { bench in
                bench.workers[0].whenAsked = { connection, _ in connection.close() }
                bench.workers[1].whenAsked = { connection, _ in connection.say(Reply.streamHead) }
                bench.ask(Self.asking("a", stream: true))
                bench.ask(Self.asking("b", stream: true))
            }
            try await run.until("suspicion") { $0.exchanges.contains { $0.isSuspect } }
            try await run.until("the other asked") { $0.workers[1].requests.count == 1 }
            try await run.on { bench in
                bench.pass(.seconds(1))
                #expect(bench.shared.board.isReserved(bench.index(1)))
                for exchange in bench.exchanges where exchange.isSuspect { exchange.clientGone() }
                #expect(!bench.shared.board.isReserved(bench.index(1)))
                for exchange in bench.exchanges { exchange.clientGone() }
                #expect(bench.owed == [])
            }
        }
    }

    @Test("an answer that ends properly and says nothing is no death: nobody is suspected", arguments: [true, false])
    func emptyAnswers(isStream: Bool) async throws {
        try await LaneBench.run(Self.plan(2)) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in
                        connection.say(
                            isStream
                                ? Reply.stream(Reply.done)
                                : "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
                                    + Reply.lastChunk)
                    }
                }
                bench.ask(Self.asking("nothing", stream: isStream))
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.clients[0].status == 502 && bench.clients[0].text.contains("upstream.closed_early"))
                #expect(bench.shared.poison.hasNone && !bench.exchanges[0].isSuspect && bench.owed == [])
            }
        }
    }
}
