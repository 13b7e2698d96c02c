import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import KeyReplication
import NIOCore
import NIOEmbedded
import NIOPosix
import NIOSSL
import ReplicaCore
import Synchronization
import Testing

@testable import UpstreamLane

/// A real `LoopContext` on a real loop, with scripted workers beside it on the same loop, so that nothing runs while a
/// test looks. Clocks are moved by hand, through the wheel.
final class LaneBench {
    let loop: any EventLoop
    let context: LoopContext
    let shared: LaneShared
    let workers: [ScriptedWorker]
    /// By the order of their asking.
    private(set) var exchanges: [ExchangeDriver] = []
    private(set) var clients: [RecordingClient] = []
    /// Where exchanges believe they came from; they only keep it.
    private let place = EmbeddedChannel()
    private let lines: Lines

    final class Lines: Sendable {
        private let kept = Mutex<[[UInt8]]>([])
        func append(_ bytes: UnsafeRawBufferPointer) { kept.withLock { $0.append(Array(bytes)) } }
        var all: [[UInt8]] { kept.withLock { $0 } }
    }

    /// How a bench is made; every member has a usual value.
    struct Plan: Sendable {
        /// Instead of the scripted worker's own.
        var port: Int?
        var kinds: [WorkerKind] = [.openAI]
        var slots = 4
        var queueBound = 8
        var policy = Plan.patient
        var host = "127.0.0.1"
        var keys = KeyTable.open
        var upstreamName = "model"
        var contextTokens: Int?
        var idleConnectionsMax = 256
        var showsAnswerFields = true
        var renamesModels = false
        var plainAssembly = PlainAssembly.auto
        var strategy = StrategyName.roundRobin
        /// TLS to workers that do not speak it: connected, and never ready.
        var usesTLS = false

        /// The short clocks are longer than any pause of a busy machine: here they ring when a test moves the time.
        private static var patient: ExchangePolicy {
            var policy = ExchangePolicy()
            policy.connect = .seconds(20)
            policy.keepaliveAfter = .seconds(12)
            return policy
        }
    }

    /// Runs `script` on a loop of its own, in steps that each happen whole.
    static func run(_ plan: Plan = Plan(), _ script: (Runner) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.any()
        let making = try await loop.submit { NIOLoopBound(Making(loop, plan), eventLoop: loop) }.get()
        let runner = Runner(loop: loop)
        try await runner.untilTrue { making.value.workers.allSatisfy { $0.port > 0 } }
        runner.bench = try await loop.submit {
            NIOLoopBound(LaneBench(loop, plan, making.value.workers), eventLoop: loop)
        }.get()
        do {
            try await script(runner)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        // Nothing may outlive its test; what an exchange owes is looked at by the tests themselves.
        try await runner.on { $0.tearDown() }
        try await group.shutdownGracefully()
    }

    private struct Making {
        let workers: [ScriptedWorker]
        init(_ loop: any EventLoop, _ plan: Plan) { workers = plan.kinds.map { _ in ScriptedWorker(on: loop) } }
    }

    private init(_ loop: any EventLoop, _ plan: Plan, _ workers: [ScriptedWorker]) {
        self.loop = loop
        self.workers = workers
        let board = WorkerBoard()
        var described: [Worker] = []
        var placements: [RoutingView.Placement] = []
        for (position, kind) in plan.kinds.enumerated() {
            let id = WorkerID(rawValue: "w\(position)")
            let index = board.index(for: id)!
            described.append(
                Worker(
                    id: id, index: index, kind: kind, host: plan.host, port: plan.port ?? workers[position].port,
                    useTLS: plan.usesTLS,
                    apiKey: "worker-key", hostHeader: "worker\(position).test", weight: 1, slots: plan.slots, chip: nil,
                    memoryGB: nil, models: [WorkerModel(name: "model", upstreamName: plan.upstreamName)],
                    plainAssembly: plan.plainAssembly))
            placements.append(
                RoutingView.Placement(
                    position: position, upstreamName: plan.upstreamName, contextTokens: plan.contextTokens,
                    vocabulary: nil, prefillRate: 1_000, decodeRate: 50, stepSlope: 0.1))
            board.tellHealth(index, .canaryClean, at: LoopClock.now())
        }
        let view = RoutingView(
            workers: described,
            models: [RoutingView.ModelEntry(name: "model", index: ModelIndex(rawValue: 0), placements: placements)],
            aliases: [("alias", "model")], strategy: plan.strategy)
        var configuration = LaneConfiguration(replicaName: "replica-a", trustedProxies: .none)
        configuration.policy = plan.policy
        configuration.idleConnectionsMax = plan.idleConnectionsMax
        configuration.showsAnswerFields = plan.showsAnswerFields
        configuration.renamesModels = plan.renamesModels
        let lines = Lines()
        self.lines = lines
        shared = LaneShared(
            routing: Published(view), keys: Published(plan.keys), configuration: Published(configuration), board: board,
            desk: AdmissionDesk(bound: plan.queueBound), poison: PoisonTable(salt: 7), workerTLS: Published([:]),
            seed: 42,
            judge: { field, table in
                if let anonymous = table.anonymous { return .success(anonymous) }
                return .failure(LaneAuthenticationFailure(message: "no: \(field ?? "nothing")"))
            }, writeLine: { lines.append($0) })
        if plan.usesTLS {
            var client = TLSConfiguration.makeClientConfiguration()
            client.certificateVerification = .none
            let made = try! NIOSSLContext(configuration: client)
            shared.workerTLS.publish(Dictionary(uniqueKeysWithValues: described.map { ($0.id.rawValue, made) }))
        }
        context = LoopContext(eventLoop: loop, shared: shared, ordinal: 0)
    }

    private func tearDown() {
        for exchange in exchanges { exchange.clientGone() }
        context.pool.closeAll()
        for worker in workers { worker.stop() }
        forget()
    }

    /// Lets go of exchanges and clients, as the connection side does after an end.
    func forget() {
        exchanges = []
        clients = []
    }

    // MARK: Asking

    var worker: ScriptedWorker { workers[0] }

    /// Nobody listens there, and no system hands it out: a port that was just closed may be another test's already.
    static let deadPort = 1
    static let chat = #"{"model":"model","messages":[{"role":"user","content":"hello"}]}"#
    static let stream = #"{"model":"model","stream":true,"messages":[{"role":"user","content":"hello"}]}"#

    /// An exchange whose head has been looked at and whose body is still to come.
    @discardableResult
    func begin(
        _ fields: [HTTPField] = [], route: InferenceRoute = .chatCompletions
    ) -> (ExchangeDriver, RecordingClient) {
        let client = RecordingClient()
        var head = HTTPRequest(method: .post, scheme: "http", authority: "gateway.test", path: route.path)
        head.headerFields = HTTPFields(fields)
        let facts = ConnectionFacts(
            peer: try? SocketAddress(ipAddress: "192.0.2.7", port: 9), isTLS: false, isHTTP2: false,
            channel: place)
        let exchange = context.makeExchange(head, route: route, facts: facts, client: client) as! ExchangeDriver
        exchanges.append(exchange)
        clients.append(client)
        exchange.begin()
        return (exchange, client)
    }

    /// A whole request; the place of its exchange and its client.
    @discardableResult
    func ask(
        _ body: String = chat, _ fields: [HTTPField] = [], route: InferenceRoute = .chatCompletions
    ) -> Int {
        let (exchange, _) = begin(fields, route: route)
        exchange.body(ByteBuffer(string: body))
        exchange.end()
        return exchanges.count - 1
    }

    /// Moves the lane's clock ahead and rings what is due.
    func pass(_ duration: Duration) { context.wheel.advance(to: LoopClock.now() + duration + .milliseconds(50)) }

    // MARK: Looking

    var accessLines: [[UInt8]] { lines.all }
    func index(_ position: Int) -> WorkerIndex { shared.routing.value.workers[position].index }
    var model: ModelIndex { ModelIndex(rawValue: 0) }

    /// L4: whatever ended, nothing is owed for it. Empty when that is so.
    var owed: [String] {
        var owed: [String] = []
        let board = shared.board
        for position in workers.indices {
            let worker = index(position)
            if board.running(worker) != 0 { owed.append("w\(position): \(board.running(worker)) slots") }
            if board.loads.own(worker) != 0 { owed.append("w\(position): \(board.loads.own(worker)) sequences") }
            if board.unproven(worker) != 0 { owed.append("w\(position): \(board.unproven(worker)) without a token") }
            if board.isReserved(worker) { owed.append("w\(position): a reservation") }
            if board.promptTokens(worker) != 0 {
                owed.append("w\(position): \(board.promptTokens(worker)) prompt tokens")
            }
            if board.outputTokens(worker) != 0 {
                owed.append("w\(position): \(board.outputTokens(worker)) output tokens")
            }
        }
        if shared.desk.waitingTotal != 0 { owed.append("\(shared.desk.waitingTotal) tickets") }
        if context.openCount != 0 { owed.append("\(context.openCount) open exchanges") }
        let counted = context.tally.snapshot.inFlight
        if counted != 0 { owed.append("\(counted) counted in flight") }
        // The whole budget fits only when nothing of it is taken.
        let budget = 1 << 40
        if context.takeBodyBudget(budget, of: budget) {
            context.returnBodyBudget(budget)
        } else {
            owed.append("body budget")
        }
        for exchange in exchanges where exchange.wheelPlace.isArmed { owed.append("an armed clock") }
        return owed
    }

    func attempts(_ outcome: AttemptOutcome, on position: Int = 0) -> Int {
        let key = LoopTally.AttemptKey(worker: index(position).rawValue, outcome: outcome.position)
        return context.tally.snapshot.attempts[key] ?? 0
    }

    func outcomes(_ outcome: ExchangeOutcome) -> Int {
        context.tally.snapshot.requests.filter { $0.key.outcome == outcome.rawValue }.values.reduce(0, +)
    }
}

/// The test's side: steps on the loop, and turns of it in between.
final class Runner {
    let loop: any EventLoop
    fileprivate(set) var bench: NIOLoopBound<LaneBench>!

    init(loop: any EventLoop) { self.loop = loop }

    @discardableResult
    func on<Result: Sendable>(_ step: @escaping @Sendable (LaneBench) throws -> Result) async throws -> Result {
        let bench = bench!
        return try await loop.submit { try step(bench.value) }.get()
    }

    /// Turns the loop until it is so; the minute is for a machine that does other things too.
    func until(
        _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
        _ condition: @escaping @Sendable (LaneBench) -> Bool
    ) async throws {
        let bench = bench!
        try await untilTrue(what, sourceLocation: sourceLocation) { condition(bench.value) }
    }

    fileprivate func untilTrue(
        _ what: Comment = "", sourceLocation: SourceLocation = #_sourceLocation,
        _ condition: @escaping @Sendable () -> Bool
    ) async throws {
        let start = ContinuousClock.now
        while try await !loop.submit(condition).get() {
            if ContinuousClock.now - start > .seconds(20) {
                Issue.record("not within twenty seconds: \(what)", sourceLocation: sourceLocation)
                throw GaveUp()
            }
            await Task.yield()
        }
    }

    struct GaveUp: Error {}
}
