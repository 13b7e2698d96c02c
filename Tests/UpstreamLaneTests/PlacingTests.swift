import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

/// Which worker, and when to try another: and never another after content.
@Suite("Attempts")
struct PlacingTests {
    @Test("a free failure goes to the next worker, and its client hears nothing of it")
    func failover() async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.openAI, .openAI]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { [all = bench.workers] connection, _ in
                        let isFirst = all.reduce(0) { $0 + $1.requests.count } == 1
                        connection.say(
                            isFirst
                                ? Reply.plain("{}", status: "429 Full")
                                : Reply.stream(Reply.content("second") + Reply.finish + Reply.done))
                    }
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.status == 200 && client.text.hasPrefix(Reply.content("second")))
                #expect(client.field("x-starling-attempts") == "2" && client.heads.count == 1)
                #expect(bench.context.tally.snapshot.retries == 1 && bench.owed == [])
                #expect(Set(bench.exchanges[0].triedPositions).count == 2, "no worker twice")
            }
        }
    }

    @Test("after content no attempt starts, whatever happens and however many are left (L5)", arguments: [false, true])
    func noneAfterContent(isStream: Bool) async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.openAI, .openAI, .openAI]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in
                        connection.say(
                            isStream
                                ? Reply.streamHead + Reply.chunk(Reply.content("a"))
                                : "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{")
                    }
                }
                bench.ask(isStream ? LaneBench.stream : LaneBench.chat)
            }
            try await run.until("content") { $0.clients[0].bytes.readableBytes > 0 }
            try await run.on { bench in for worker in bench.workers { worker.connections.first?.reset() } }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.workers.map(\.requests.count).reduce(0, +) == 1)
                #expect(bench.clients[0].endings == [isStream ? "end" : "cut"] && bench.owed == [])
                #expect(bench.exchanges[0].machine.attempts == 1)
            }
        }
    }

    @Test(
        "exchanges of others weigh like ours, as long as their count holds",
        arguments: [StrategyName.resourceAware, .leastConnections])
    func foreign(strategy: StrategyName) async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.vllmMLX, .vllmMLX]
        plan.strategy = strategy
        try await LaneBench.run(plan) { run in
            for (holds, expected) in [(true, [0, 2]), (false, [1, 2])] {
                try await run.on { bench in
                    let board = bench.shared.board
                    let now = LoopClock.now()
                    board.loads.note(
                        bench.index(0), said: 3, since: board.loads.mark(bench.index(0), at: now), besides: 0,
                        until: holds ? now + .seconds(60) : now)
                    #expect(board.loads.foreign(bench.index(0), at: now) == (holds ? 3 : nil))
                    for _ in 0..<(holds ? 2 : 1) { bench.ask(LaneBench.stream) }
                }
                try await run.until("all are asked") { $0.workers.map(\.requests.count) == expected }
            }
        }
    }

    @Test(
        "a worker that cannot have the model hides none that ignores what it obeys",
        arguments: [ModelState.absent, .failed])
    func obeysWithoutModel(state: ModelState) async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.openAI, .vllmMLX]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.workers[1].whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.shared.board.withModels(bench.index(0)) { memory in
                    if state == .absent { memory.toldAbsent([bench.model]) }
                    if state == .failed {
                        memory.beginLoad(bench.model)
                        memory.endLoad(bench.model, evicted: [], succeeded: false, at: .never)
                    }
                }
                bench.ask(#"{"model":"model","seed":7,"messages":[{"role":"user","content":"hello"}]}"#)
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(
                    bench.clients[0].status == 200 && bench.clients[0].field("x-starling-ignored") == "seed")
                #expect(bench.workers[0].connections.isEmpty && bench.owed == [])
            }
        }
    }

    @Test("where a slot too many is dangerous, others take up ours", arguments: [0, 1])
    func strictSlots(others: Int) async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.lmStudio]
        plan.slots = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                let board = bench.shared.board
                let now = LoopClock.now()
                board.loads.note(
                    bench.index(0), said: others, since: board.loads.mark(bench.index(0), at: now), besides: 0,
                    until: now + .seconds(60))
                bench.ask(LaneBench.stream)
                #expect(bench.shared.desk.waitingTotal == others && board.running(bench.index(0)) == 1 - others)
            }
        }
    }

    @Test("each choice and each prompt may take a place, and all are given back")
    func sequences() async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.llamaCpp]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                let loads = bench.shared.board.loads
                bench.ask(#"{"model":"model","n":3,"stream":true,"messages":[{"role":"user","content":"a"}]}"#)
                #expect(loads.own(bench.index(0)) == 3)
                bench.ask(#"{"model":"model","n":2,"stream":true,"prompt":["a","b"]}"#, route: .completions)
                #expect(loads.own(bench.index(0)) == 7)
                bench.ask(#"{"model":"model","input":["a","b","c"]}"#, route: .embeddings)
                #expect(loads.own(bench.index(0)) == 11)
                for exchange in bench.exchanges { exchange.clientGone() }
                #expect(loads.own(bench.index(0)) == 0 && bench.owed == [])
                let mark = loads.mark(bench.index(0), at: LoopClock.now())
                loads.note(bench.index(0), said: 11, since: mark, besides: 0, until: LoopClock.now() + .seconds(9))
                #expect(loads.foreign(bench.index(0), at: LoopClock.now()) == 0, "they may not have noticed yet")
            }
        }
    }

    @Test("no more attempts than allowed, at the bound and at none", arguments: [1, 2, 3])
    func attemptsMax(count: Int) async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.openAI, .openAI, .openAI, .openAI]
        plan.policy.attemptsMax = count
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                for worker in bench.workers {
                    worker.whenAsked = { connection, _ in connection.say(Reply.plain("{}", status: "503 Full")) }
                }
                bench.ask()
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.workers.map(\.requests.count).reduce(0, +) == count)
                #expect(bench.clients[0].status == 503 && bench.owed == [])
            }
        }
    }

    @Test("what a client receives is a prefix of one attempt between keepalives and an ending (L6)")
    func prefix() async throws {
        var plan = LaneBench.Plan()
        plan.kinds = [.openAI, .openAI]
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                // The first keeps silent past the keepalive, sends a role and dies; the second answers and dies, too.
                for worker in bench.workers {
                    worker.whenAsked = { [all = bench.workers] connection, _ in
                        guard all.reduce(0, { $0 + $1.requests.count }) > 1 else { return }
                        connection.say(
                            Reply.streamHead
                                + Reply.chunk(Reply.role + Reply.content("one") + "data: {\"choices\":[{\"ind"))
                    }
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("a first request") { $0.workers.contains { !$0.requests.isEmpty } }
            try await run.on { bench in
                bench.pass(bench.exchanges[0].machine.policy.keepaliveAfter)
                #expect(bench.clients[0].text == ": keep-alive\n\n" && bench.clients[0].status == 200)
                #expect(bench.clients[0].flushes > 0)
                let first = bench.workers.compactMap(\.connections.first)[0]
                first.say(Reply.streamHead + Reply.chunk(Reply.role.replacingText("assistant", "ghost")))
            }
            try await run.until("a held role") { !($0.exchanges[0].stream?.held.isEmpty ?? true) }
            try await run.on { bench in bench.workers.compactMap(\.connections.first)[0].reset() }
            try await run.until("content of the second") { $0.clients[0].text.contains("one") }
            try await run.on { bench in bench.workers.compactMap(\.connections.first).forEach { $0.reset() } }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                let client = bench.clients[0]
                let words = ": keep-alive\n\n" + Reply.role + Reply.content("one")
                #expect(client.text.hasPrefix(words) && client.heads.count == 1)
                #expect(!client.text.contains("ghost"), "a word of the first attempt")
                let rest = String(client.text.dropFirst(words.count))
                // The frame it died in is closed, then the truth is told.
                #expect(rest.hasPrefix("data: {\"choices\":[{\"ind\n\ndata: {\"error\":"))
                #expect(rest.contains("upstream.truncated") && rest.hasSuffix("\n\n"))
                #expect(bench.owed == [])
            }
        }
    }

    @Test("a plain answer to a stream that has begun cannot follow our 200: the next worker, then an error event")
    func plainAfterKeepalive() async throws {
        try await LaneBench.run { run in
            try await run.on { $0.ask(LaneBench.stream) }
            try await run.until("a request") { $0.worker.requests.count == 1 }
            try await run.on { bench in
                bench.pass(bench.exchanges[0].machine.policy.keepaliveAfter)
                #expect(bench.clients[0].status == 200)
                bench.worker.connections[0].say(Reply.plain(Reply.completion))
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                let client = bench.clients[0]
                #expect(client.heads.count == 1 && client.endings == ["end"])
                #expect(client.text.hasPrefix(": keep-alive\n\ndata: {\"error\":"))
                #expect(bench.owed == [])
            }
        }
    }

    @Test("a stream that is answered plainly gets no keepalive inside its body")
    func noKeepaliveInPlain() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \(Reply.completion.utf8.count)\r\n\r\n"
                            + Reply.completion.prefix(10))
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("a part") { $0.clients[0].bytes.readableBytes == 10 }
            try await run.on { bench in
                bench.pass(.seconds(15))
                bench.worker.connections[0].say(String(Reply.completion.dropFirst(10)))
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in #expect(bench.clients[0].text == Reply.completion && bench.owed == []) }
        }
    }

    @Test("a client that was full before its answer began holds the worker back all the same (L8)")
    func fullFromTheStart() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    let words = Reply.content(String(repeating: "a", count: 60_000))
                    connection.say(Reply.streamHead)
                    for _ in 0..<400 { connection.say(Reply.chunk(words)) }
                }
                let (exchange, client) = bench.begin()
                client.isWritable = false
                exchange.body(ByteBuffer(string: LaneBench.stream))
                exchange.end()
            }
            try await run.until("the worker spoke") { $0.worker.requests.count == 1 }
            // Whatever is on its way may arrive; what the kernels do not take stays with the worker.
            for _ in 0..<200 { try await run.on { _ in } }
            try await run.on { bench in
                #expect(bench.clients[0].bytes.readableBytes < 1 << 20)
                bench.clients[0].isWritable = true
                bench.exchanges[0].clientWritable(true)
            }
            try await run.until("all of it") { $0.clients[0].bytes.readableBytes > 400 * 60_000 }
        }
    }

    // MARK: Models that come and go

    // MARK: The queue

    @Test("dials over a worker's backlog wait for their turn, and for their own clock (L8)")
    func waitingDials() async throws {
        var plan = LaneBench.Plan()
        plan.policy.attemptsMax = 1
        plan.policy.connect = .seconds(20)
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                let worker = bench.index(0)
                var taken = 0
                while bench.shared.board.tryBeginConnect(worker, cap: 128) { taken += 1 }
                #expect(taken == 128)
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                for _ in 0..<3 { bench.ask() }
                #expect(bench.worker.connections.isEmpty && bench.exchanges.allSatisfy { $0.connection == nil })
                bench.exchanges[0].clientGone()
                for _ in 0..<taken { bench.shared.board.endConnect(worker) }
            }
            try await run.until("two answers") { $0.clients[1].endings == ["end"] && $0.clients[2].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[2].status == 200 && bench.worker.requests.count == 2 && bench.owed == [])
                bench.context.pool.closeAll()
                while bench.shared.board.tryBeginConnect(bench.index(0), cap: 128) {}
                bench.ask()
                bench.pass(.seconds(20))
                #expect(bench.clients[3].status == 503 && bench.clients[3].text.contains("connect_timeout"))
                #expect(bench.owed == [])
            }
        }
    }

    @Test("a drained worker gets nothing, also as the only one; the last exchange ends its draining")
    func drained() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.ask()
                let worker = bench.index(0)
                bench.shared.board.tellHealth(worker, .drain, at: LoopClock.now())
                bench.shared.board.tellIfDrained(worker, at: LoopClock.now())
                #expect(bench.shared.board.condition(worker) == .draining, "one still runs")
                bench.exchanges[0].clientGone()
                #expect(bench.shared.board.condition(worker) == .down(.drained))
                bench.ask()
                #expect(bench.clients[1].status == 503 && bench.owed == [])
            }
        }
    }

    @Test("a worker by its name is dialled like one by its address")
    func byName() async throws {
        var plan = LaneBench.Plan()
        plan.host = "localhost"
        try await LaneBench.run(plan) { run in
            for count in 1...2 {
                try await run.on { bench in
                    bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                    bench.ask()
                }
                try await run.until("an answer") { $0.clients.last!.endings == ["end"] }
                try await run.on { bench in
                    #expect(bench.clients.last!.status == 200 && bench.clients.count == count)
                    #expect(bench.worker.connections.count == 1, "kept like any other")
                }
            }
            // Gone while its name is looked up: nothing is sent, and nothing stays open.
            try await run.on { bench in
                bench.context.pool.closeAll()
                bench.ask()
                bench.exchanges.last!.clientGone()
                #expect(bench.owed == [])
            }
            try await run.until("no connection stays") { bench in
                let isFree = bench.shared.board.tryBeginConnect(bench.index(0), cap: 1)
                if isFree { bench.shared.board.endConnect(bench.index(0)) }
                return isFree && bench.worker.open.isEmpty
            }
            try await run.on { #expect($0.worker.requests.count == 2) }
        }
    }

    @Test("a name that nobody knows is a failed dial, told as such")
    func unknownName() async throws {
        var plan = LaneBench.Plan()
        plan.host = "no-such-worker.invalid"
        try await LaneBench.run(plan) { run in
            try await run.on { $0.ask() }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            try await run.on { bench in
                #expect(bench.clients[0].status == 503 && bench.clients[0].text.contains("upstream.connect_"))
                #expect(bench.owed == [])
            }
        }
    }
}

extension String {
    func replacingText(_ old: String, _ new: String) -> String {
        guard let place = range(ofFirst: old) else { return self }
        return self[..<place.lowerBound] + new + self[place.upperBound...]
    }
}
