import Determinism
import ExchangeFlow
import NIOCore
import ReplicaCore
import Testing

@testable import UpstreamLane

/// L4: on every ending, slot, ticket, tokens, memory and clock are given back exactly once.
@Suite("L4: nothing is owed after an ending")
struct OwedTests {
    typealias Worker = ScriptedWorker

    /// What a worker does with a request, and how the exchange then ends for its client.
    struct Ending: Sendable, CustomTestStringConvertible {
        let name: String
        let isStream: Bool
        let outcome: ExchangeOutcome
        let attempt: AttemptOutcome
        let act: @Sendable (Worker.Connection) -> Void
        var status = 200
        var ending = "end"
        var testDescription: String { name }

        static let all: [Ending] = [
            Ending(name: "plain answered", isStream: false, outcome: .answered, attempt: .answered) {
                $0.say(Reply.plain(Reply.completion))
            },
            Ending(name: "stream answered", isStream: true, outcome: .answered, attempt: .answered) {
                $0.say(Reply.stream(Reply.role + Reply.content("a") + Reply.finish + Reply.usage + Reply.done))
            },
            Ending(
                name: "refused", isStream: false, outcome: .rejected, attempt: .rejected,
                act: {
                    $0.say(Reply.plain(#"{"error":{"message":"no","type":"x"}}"#, status: "400 Bad Request"))
                }, status: 400),
            Ending(
                name: "full", isStream: true, outcome: .saturated, attempt: .capacity,
                act: {
                    $0.say(Reply.plain("{}", status: "429 Too Many"))
                }, status: 503),
            Ending(
                name: "fault", isStream: false, outcome: .unavailable, attempt: .fault,
                act: {
                    $0.say(Reply.plain("{}", status: "500 Oh"))
                }, status: 500),
            Ending(
                name: "reset before a byte", isStream: true, outcome: .unavailable, attempt: .closedEarly,
                act: {
                    $0.reset()
                }, status: 502),
            Ending(
                name: "closed before a byte", isStream: false, outcome: .unavailable, attempt: .closedEarly,
                act: {
                    $0.close()
                }, status: 502),
            Ending(
                name: "closed inside the head", isStream: false, outcome: .unavailable, attempt: .closedEarly,
                act: {
                    $0.say("HTTP/1.1 200 OK\r\ncontent-ty")
                    $0.close()
                }, status: 502),
            Ending(
                name: "closed after the head", isStream: true, outcome: .unavailable, attempt: .closedEarly,
                act: {
                    $0.say(Reply.streamHead)
                    $0.close()
                }, status: 502),
            Ending(
                name: "closed after a role", isStream: true, outcome: .unavailable, attempt: .closedEarly,
                act: {
                    $0.say(Reply.streamHead + Reply.chunk(Reply.role))
                    $0.close()
                }, status: 502),
            Ending(
                name: "closed inside a plain body", isStream: false, outcome: .truncated, attempt: .closedEarly,
                act: {
                    $0.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":")
                    $0.close()
                }, ending: "cut"),
            Ending(name: "closed after content", isStream: true, outcome: .truncated, attempt: .truncated) {
                $0.say(Reply.streamHead + Reply.chunk(Reply.content("a")))
                $0.close()
            },
            Ending(name: "stream ended without a finish", isStream: true, outcome: .truncated, attempt: .truncated) {
                $0.say(Reply.stream(Reply.content("a")))
            },
            Ending(
                name: "error event first", isStream: true, outcome: .unavailable, attempt: .errorEvent,
                act: {
                    $0.say(Reply.stream(Reply.error))
                }, status: 502),
            Ending(name: "error event after content", isStream: true, outcome: .truncated, attempt: .errorEvent) {
                $0.say(Reply.stream(Reply.content("a") + Reply.error))
            },
            Ending(
                name: "not HTTP", isStream: false, outcome: .unavailable, attempt: .protocolError,
                act: {
                    $0.say("SSH-2.0-OpenSSH_9.9\r\n\r\n")
                }, status: 502),
            Ending(
                name: "an answer without a body", isStream: false, outcome: .unavailable, attempt: .closedEarly,
                act: {
                    $0.say("HTTP/1.0 200 OK\r\n\r\n")
                    $0.close()
                }, status: 502),
        ]
    }

    @Test("whatever the worker does", arguments: Ending.all)
    func workersEndings(ending: Ending) async throws {
        var plan = LaneBench.Plan()
        plan.policy.attemptsMax = 1
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in ending.act(connection) }
                bench.ask(ending.isStream ? LaneBench.stream : LaneBench.chat)
                #expect(bench.shared.board.running(bench.index(0)) == 1)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.owed == [])
                #expect(bench.clients[0].endings == [ending.ending] && bench.clients[0].afterEnd == [])
                #expect(bench.clients[0].heads.count == 1 && bench.clients[0].status == ending.status)
                #expect(bench.outcomes(ending.outcome) == 1 && bench.attempts(ending.attempt) == 1)
                #expect(bench.context.tally.snapshot.requests.values.reduce(0, +) == 1)
                #expect(bench.accessLines.count == 1)
                // A second word after the end changes nothing.
                bench.exchanges[0].clientGone()
                bench.exchanges[0].endTruthfully()
                bench.exchanges[0].end()
                #expect(bench.owed == [] && bench.clients[0].endings.count == 1 && bench.accessLines.count == 1)
            }
        }
    }

    @Test("refused dials: the worker is not there")
    func refusedDial() async throws {
        var plan = LaneBench.Plan()
        plan.port = LaneBench.deadPort
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.ask()
                #expect(bench.shared.board.running(bench.index(0)) == 1)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            try await run.on { bench in
                #expect(bench.owed == [] && bench.attempts(.connectFailed) == 1)
                #expect(bench.clients[0].status == 503 && bench.clients[0].text.contains("upstream.connect_failed"))
                // The dial is counted out as well.
                let isFree = bench.shared.board.tryBeginConnect(bench.index(0), cap: 1)
                #expect(isFree)
            }
        }
    }

    /// How far an exchange is when its client leaves or the replica stops.
    enum Phase: String, CaseIterable, Sendable {
        case collecting, queued, connecting, prefill, role, decode, plain

        /// The word of the cancellation counter.
        var word: String {
            switch self {
            case .collecting: "collecting"
            case .queued: "queued"
            case .connecting: "connecting"
            case .prefill, .role: "prefill"
            case .decode, .plain: "decode"
            }
        }
    }

    /// Brings exchange `which` of the bench to the phase; a queued one stands behind another that holds the only slot.
    private func reach(_ phase: Phase, _ run: Runner) async throws -> Int {
        let isStream = phase != .plain
        let which = phase == .queued ? 1 : 0
        try await run.on { bench in
            bench.worker.whenAsked = { connection, _ in
                switch phase {
                case .role: connection.say(Reply.streamHead + Reply.chunk(Reply.role))
                case .decode: connection.say(Reply.streamHead + Reply.chunk(Reply.content("a")))
                case .plain: connection.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":")
                default: break
                }
            }
            switch phase {
            case .collecting:
                let (exchange, _) = bench.begin()
                exchange.body(ByteBuffer(string: "{\"model\":"))
            case .queued:
                bench.ask()
                bench.ask(LaneBench.stream)
                #expect(bench.shared.desk.waitingTotal == 1)
            default: bench.ask(isStream ? LaneBench.stream : LaneBench.chat)
            }
        }
        switch phase {
        case .collecting: break
        // Connected, as the kernel sees it, and waiting for a handshake that does not come.
        case .connecting: try await run.until("a connection") { $0.worker.connections.count == 1 }
        case .queued, .prefill: try await run.until("a request") { $0.worker.requests.count == 1 }
        case .role: try await run.until("a held role") { !($0.exchanges[0].stream?.held.isEmpty ?? true) }
        case .decode, .plain: try await run.until("content") { $0.clients[0].bytes.readableBytes > 0 }
        }
        return which
    }

    @Test(
        "the client leaves: slot, ticket and connection are gone within the same turn (L7)", arguments: Phase.allCases)
    func clientGone(phase: Phase) async throws {
        var plan = LaneBench.Plan()
        plan.slots = 1
        plan.usesTLS = phase == .connecting
        try await LaneBench.run(plan) { run in
            let which = try await reach(phase, run)
            try await run.on { bench in
                let holds = bench.exchanges[which].placement != nil
                #expect(holds == (phase != .collecting && phase != .queued))
                bench.exchanges[which].clientGone()
                #expect(bench.exchanges[which].connection == nil && bench.exchanges[which].ticket == nil)
                #expect(bench.shared.desk.waitingTotal == 0)
                #expect(bench.clients[which].endings == [], "a client that is gone is not spoken to")
                #expect(bench.context.tally.snapshot.cancellations == [phase.word: 1])
                if phase == .queued {
                    #expect(bench.shared.board.running(bench.index(0)) == 1)
                    bench.exchanges[0].clientGone()
                }
                #expect(bench.owed == [])
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }

    @Test("the replica stops: every client is told, and nothing is owed", arguments: Phase.allCases)
    func drain(phase: Phase) async throws {
        var plan = LaneBench.Plan()
        plan.slots = 1
        plan.usesTLS = phase == .connecting
        try await LaneBench.run(plan) { run in
            let which = try await reach(phase, run)
            try await run.on { bench in
                bench.context.endAll()
                #expect(bench.owed == [])
                let client = bench.clients[which]
                switch phase {
                case .plain: #expect(client.endings == ["cut"])
                case .decode:
                    #expect(client.endings == ["end"] && client.status == 200)
                    #expect(client.text.hasPrefix(Reply.content("a") + "data: {\"error\":"))
                    #expect(client.text.contains("gateway.draining") && client.text.hasSuffix("\n\n"))
                default:
                    #expect(client.endings == ["end"] && client.status == 503)
                    #expect(client.text.contains("gateway.draining"))
                }
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }

    @Test("the replica stops while only the worker's goodbye is missing: the answer is whole, and told so")
    func drainOfWhole() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Reply.streamHead + Reply.chunk(Reply.content("a") + Reply.finish))
                }
                bench.ask(LaneBench.stream)
            }
            try await run.until("the finish") { $0.clients[0].text.hasSuffix(Reply.finish) }
            try await run.on { bench in
                bench.context.endAll()
                #expect(bench.clients[0].text == Reply.content("a") + Reply.finish + Reply.done)
                #expect(bench.clients[0].endings == ["end"] && bench.owed == [])
                #expect(bench.outcomes(.answered) == 1)
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }

    /// Each clock, the wait that makes it ring, and what the client hears.
    struct Clock: Sendable, CustomTestStringConvertible {
        let name: String
        let phase: Phase
        let wait: Duration
        let status: Int
        let code: String
        var isStill: Bool = false
        var testDescription: String { name }

        static let all: [Clock] = [
            Clock(name: "body gap", phase: .collecting, wait: .seconds(30), status: 408, code: "request.body_timeout"),
            Clock(name: "queue", phase: .queued, wait: .seconds(30), status: 503, code: "gateway.saturated"),
            Clock(
                name: "connect", phase: .connecting, wait: .seconds(20), status: 503, code: "upstream.connect_timeout"),
            Clock(
                name: "first event", phase: .role, wait: .seconds(100), status: 504, code: "upstream.first_byte_timeout"
            ),
            Clock(name: "head", phase: .prefill, wait: .seconds(100), status: 504, code: "upstream.first_byte_timeout"),
            Clock(name: "stall", phase: .decode, wait: .seconds(60), status: 200, code: "upstream.stalled"),
            Clock(name: "total", phase: .decode, wait: .seconds(3_600), status: 200, code: "gateway.total_timeout"),
        ]
    }

    @Test("each clock", arguments: Clock.all)
    func clocks(clock: Clock) async throws {
        var plan = LaneBench.Plan()
        plan.slots = 1
        // Keepalives would make a 200 of what is a status here; they have a test of their own.
        plan.policy.keepaliveAfter = .seconds(10_000)
        plan.policy.firstByteStream = .seconds(100)
        plan.policy.connect = .seconds(20)
        plan.policy.attemptsMax = 1
        plan.usesTLS = clock.phase == .connecting
        try await LaneBench.run(plan) { run in
            let which = try await reach(clock.phase, run)
            try await run.on { bench in
                // As much earlier as a busy machine may have paused since the clock was set.
                bench.pass(clock.wait - .seconds(15))
                #expect(bench.clients[which].endings == (clock.name == "total" ? ["end"] : []), "not before its time")
                bench.pass(clock.wait)
                #expect(bench.clients[which].endings == ["end"])
                if clock.name != "total" { #expect(bench.clients[which].text.contains(clock.code)) }
                #expect(bench.clients[which].status == clock.status)
                if which == 1 { bench.exchanges[0].clientGone() }
                #expect(bench.owed == [])
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }

    @Test("a client that reads nothing is cut when its clock rings; while it is full, the worker's clock stands")
    func writeStall() async throws {
        try await LaneBench.run { run in
            _ = try await reach(.decode, run)
            try await run.on { bench in
                bench.exchanges[0].clientWritable(false)
                bench.pass(.seconds(45))
                #expect(bench.clients[0].endings == [])
                bench.pass(.seconds(60))
                #expect(bench.clients[0].endings == ["cut"] && bench.owed == [])
                #expect(bench.context.tally.snapshot.cancellations == ["write_stall": 1])
            }
            try await run.until("the worker's end") { $0.worker.open.isEmpty }
        }
    }

    @Test("an exchange that is over is freed: nobody keeps it")
    func freed() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(Reply.plain(Reply.completion)) }
                bench.ask()
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            let isFreed = try await run.on { bench in
                weak let exchange = bench.exchanges[0]
                bench.forget()
                return exchange == nil
            }
            #expect(isFreed)
        }
    }
}
