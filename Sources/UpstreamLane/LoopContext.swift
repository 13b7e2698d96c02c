/// All that belongs to one event loop of the lane, touched by it alone.
///
/// Built once per loop; every connection of the loop makes its exchanges here. What is shared with other loops is in
/// `LaneShared`: published views, of which the loop keeps its own copy and looks at one atomic when an exchange begins,
/// and boards of atomics.
import Balancing
package import Determinism
import ExchangeFlow
package import HTTPTypes
package import InferenceDialect
import KeyReplication
package import NIOCore
import ReplicaCore

package final class LoopContext: LaneExchangeFactory {
    package let eventLoop: any EventLoop
    package let shared: LaneShared
    package let wheel: DeadlineWheel
    let pool: UpstreamPool
    private let flushes: FlushList
    /// Hops to this loop from wherever a slot was freed.
    private(set) var handle: NIOLoopBound<LoopContext>!

    // Views, refreshed when an exchange begins and never in the middle of one.
    private(set) var view: RoutingView
    private(set) var configuration: LaneConfiguration
    private var keys: KeyTable
    private var viewSeen = UInt64.max
    private var configurationSeen = UInt64.max
    private var keysSeen = UInt64.max

    /// Credentials already judged against the current table: hashing each time would cost more than the lookup.
    private var judged: [String: AuthenticatedTenant] = [:]
    static let judgedMax = 1_024

    // Buffers, reused.
    var candidates: [Candidate] = []
    /// What they were chosen for.
    var query: PlacementQuery?
    var candidatePositions: [Int] = []
    /// Workers without the model that could serve the request, slots of those that have it and are full, and whether one
    /// is about to have it.
    var cold: (workers: [WorkerIndex], slots: Int, isLoading: Bool) = ([], 0, false)
    /// What the last search made of each of the model's workers.
    var reasons: [PlacementReason] = []
    var frames: [EventStreamCutter.Frame] = []
    var lineStorage: [UInt8] = []
    let keepaliveBytes = ByteBuffer(bytes: Keepalive.comment)

    private var chooserInUse: PlacementChooser
    private var chooserStrategy: StrategyName
    var retryBudget: RetryBudget
    private var random: SeededGenerator
    private let seed: UInt64
    /// Tokens that a model's answers have, exponentially averaged: what a request without a limit is expected to make.
    private var answerTokens: [Double] = []
    static let answerTokensUsual = 256.0
    /// Models whose answers are averaged; of others the usual length is expected.
    static let answeringModelsMax = 1_024
    /// Seconds a slot is held, exponentially averaged: what `Retry-After` is made of.
    private(set) var holdSeconds = 2.0
    private var bodyBytesKept = 0

    private var waiting: [Int: ExchangeDriver] = [:]
    private var nextIdentity = 0
    private var open: [ObjectIdentifier: ExchangeDriver] = [:]
    package let tally = LockedTally()
    package let decisions = DecisionLog()
    private var gapsPending = LoopTally.Histogram(LoopTally.gapEdges)
    private var gapsPendingCount = 0

    private var dateSecond = Int64.min
    private(set) var dateText = ""
    private(set) var stampText = ""

    package init(eventLoop: any EventLoop, shared: LaneShared, ordinal: Int) {
        self.eventLoop = eventLoop
        self.shared = shared
        wheel = DeadlineWheel(eventLoop: eventLoop, clock: LoopClock.now)
        var view = RoutingView.empty
        shared.routing.refresh(&view, seen: &viewSeen)
        self.view = view
        configuration = LaneConfiguration(replicaName: "", trustedProxies: .none)
        keys = KeyTable.empty
        seed = shared.seed &+ UInt64(ordinal) &* 0x9e37_79b9_7f4a_7c15
        random = SeededGenerator(seed: seed)
        chooserStrategy = view.strategy
        chooserInUse = PlacementChooser(strategy: view.strategy, seed: seed)
        retryBudget = RetryBudget()
        flushes = FlushList(eventLoop: eventLoop)
        pool = UpstreamPool(eventLoop: eventLoop, shared: shared, flushes: flushes)
        handle = NIOLoopBound(self, eventLoop: eventLoop)
        pool.wheel = wheel
        refreshViews()
    }

    package func now() -> Instant { LoopClock.now() }

    package func flushSoon(_ target: any FlushTarget) { flushes.flushSoon(target) }

    package func makeExchange(
        _ head: HTTPRequest, route: InferenceRoute, facts: ConnectionFacts, client: any ExchangeClient
    ) -> any LaneExchange {
        refreshViews()
        let exchange = ExchangeDriver(loop: self, head: head, route: route, facts: facts, client: client, at: now())
        open[ObjectIdentifier(exchange)] = exchange
        return exchange
    }

    /// The drain deadline: everything still open is ended with the truth. On the loop.
    package func endAll() {
        for exchange in open.values { exchange.endTruthfully() }
    }

    package var openCount: Int { open.count }

    private func refreshViews() {
        shared.routing.refresh(&view, seen: &viewSeen)
        let policyBefore = configurationSeen
        shared.configuration.refresh(&configuration, seen: &configurationSeen)
        if policyBefore != configurationSeen {
            retryBudget = RetryBudget(percent: configuration.policy.retryBudgetPercent)
            pool.configure(configuration)
        }
        let keysBefore = keysSeen
        shared.keys.refresh(&keys, seen: &keysSeen)
        if keysBefore != keysSeen { judged.removeAll(keepingCapacity: true) }
    }

    // MARK: Who

    func authenticate(_ field: String?) -> Result<AuthenticatedTenant, LaneAuthenticationFailure> {
        if let field, let known = judged[field] { return .success(known) }
        let result = shared.judge(field, keys)
        if let field, case .success(let tenant) = result {
            if judged.count >= Self.judgedMax { judged.removeAll(keepingCapacity: true) }
            judged[field] = tenant
        }
        return result
    }

    /// The client's own id if it is short and printable, else one of ours.
    func requestID(proposed: String?) -> String {
        if let proposed, (1...128).contains(proposed.utf8.count),
            proposed.utf8.allSatisfy({ (33...126).contains($0) })
        {
            return proposed
        }
        let digits: StaticString = "0123456789abcdef"
        var bits = random.next()
        return String(unsafeUninitializedCapacity: 20) { buffer in
            var place = 0
            for byte in "req_".utf8 {
                buffer[place] = byte
                place += 1
            }
            while place < 20 {
                buffer[place] = digits.utf8Start[Int(bits & 15)]
                bits >>= 4
                place += 1
            }
            return 20
        }
    }

    // MARK: Where

    func dialect(of kind: WorkerKind) -> WorkerDialect {
        switch kind {
        case .openAI: .openAI
        case .mlxLM: .mlxLM
        case .llamaCpp: .llamaCpp
        case .vllmMLX: .vllmMLX
        case .exo: .exo
        case .ollama: .ollama
        case .lmStudio: .lmStudio
        case .oMLX: .oMLX
        }
    }

    struct Chooser {
        let loop: LoopContext
        func choose(among candidates: [Candidate], for query: PlacementQuery) -> Int? {
            loop.chooserInUse.choose(among: candidates, for: query)
        }
    }

    func chooser(for view: RoutingView) -> Chooser {
        if view.strategy != chooserStrategy {
            chooserStrategy = view.strategy
            chooserInUse = PlacementChooser(strategy: view.strategy, seed: seed)
        }
        return Chooser(loop: self)
    }

    // MARK: Waiting for a slot

    func register(_ exchange: ExchangeDriver) -> Int {
        nextIdentity += 1
        waiting[nextIdentity] = exchange
        exchange.waitingIdentity = nextIdentity
        return nextIdentity
    }

    func unregister(_ exchange: ExchangeDriver) {
        waiting[exchange.waitingIdentity] = nil
    }

    /// Whoever was woken may have left before it heard of it; then the slot is for the next in line.
    func wake(_ identity: Int, _ model: ModelIndex) {
        if let exchange = waiting[identity] { exchange.woken() } else { shared.desk.wakeNext(model) }
    }

    /// Gives back an attempt's slot, and whatever else it took of its worker. `whole`: its answer came to its end.
    func freeSlot(
        of placed: ExchangeDriver.PlacedWorker, in view: RoutingView, whole: Bool = false, at now: Instant
    ) {
        let index = placed.worker.index
        shared.board.loads.end(
            index, sequences: placed.sequences, tokens: placed.promptTokens + placed.outputTokens, whole: whole, at: now
        )
        if placed.plainAnswer == .orphaned { shared.board.releaseOrphanPlace(index) }
        shared.board.endUse(index, placed.model, placed.use, at: now)
        shared.board.releaseSlot(index)
        shared.board.tellIfDrained(index, at: now)
        wakeWaiters(for: placed.worker, in: view)
    }

    /// A slot of this worker is free: whoever waits for one of its models longest gets a look.
    func wakeWaiters(for worker: Worker, in view: RoutingView) {
        guard shared.desk.waitingTotal > 0 else { return }
        for model in worker.models {
            if let position = view.resolve(model.name) { shared.desk.wakeNext(view.models[position].index) }
        }
    }

    // MARK: Memory

    func takeBodyBudget(_ bytes: Int, of budget: Int) -> Bool {
        guard bodyBytesKept + bytes <= budget else { return false }
        bodyBytesKept += bytes
        return true
    }

    func returnBodyBudget(_ bytes: Int) { bodyBytesKept -= bytes }

    // MARK: Counting

    func exchangeOpened() { tally.withLock { $0.inFlight += 1 } }

    func expectedAnswer(of model: ModelIndex) -> Int {
        Int(model.rawValue < answerTokens.count ? answerTokens[model.rawValue] : Self.answerTokensUsual)
    }

    func noteAnswer(of model: ModelIndex, tokens: Int) {
        guard model.rawValue < Self.answeringModelsMax else { return }
        while answerTokens.count <= model.rawValue { answerTokens.append(Self.answerTokensUsual) }
        answerTokens[model.rawValue] += (Double(tokens) - answerTokens[model.rawValue]) * 0.05
    }

    func noteHold(seconds: Double) { holdSeconds += (seconds - holdSeconds) * 0.1 }

    func noteEvent(gapSince last: Instant, at now: Instant) {
        guard last != .never else { return }
        gapsPending.observe(now.seconds(since: last))
        gapsPendingCount += 1
        if gapsPendingCount >= 256 { foldGaps() }
    }

    private func foldGaps() {
        guard gapsPendingCount > 0 else { return }
        tally.withLock { $0.eventGap.add(gapsPending) }
        gapsPending = LoopTally.Histogram(LoopTally.gapEdges)
        gapsPendingCount = 0
    }

    func noteOverhead(seconds: Double) { tally.withLock { $0.overhead.observe(max(0, seconds)) } }
    func tallyRetry() { tally.withLock { $0.retries += 1 } }
    func tallyCancellation(in phase: String) { tally.withLock { $0.cancellations[phase, default: 0] += 1 } }

    func tallyAttempt(worker: WorkerIndex, _ outcome: AttemptOutcome) {
        let key = LoopTally.AttemptKey(worker: worker.rawValue, outcome: outcome.position)
        tally.withLock { $0.attempts[key, default: 0] += 1 }
    }

    func exchangeClosed(_ exchange: ExchangeDriver, _ outcome: ExchangeOutcome, at now: Instant) {
        open[ObjectIdentifier(exchange)] = nil
        foldGaps()
        let routeNumber =
            switch exchange.route {
            case .chatCompletions: 0
            case .completions: 1
            case .embeddings: 2
            case .other: 3
            }
        let model = exchange.modelPosition < 0 ? -1 : exchange.view.models[exchange.modelPosition].index.rawValue
        let key = LoopTally.RequestKey(route: routeNumber, model: model, outcome: outcome.rawValue)
        tally.withLock { tally in
            tally.inFlight -= 1
            tally.requests[key, default: 0] += 1
            if exchange.firstEventAt != .never {
                tally.firstEvent[routeNumber].observe(exchange.firstEventAt.seconds(since: exchange.admittedAt))
            }
            tally.requestSeconds[routeNumber].observe(now.seconds(since: exchange.startedAt))
            if exchange.queuedNanoseconds > 0 { tally.queueWait.observe(Double(exchange.queuedNanoseconds) / 1e9) }
            if let usage = exchange.usage {
                tally.promptTokens[model, default: 0] += usage.prompt
                tally.completionTokens[model, default: 0] += usage.completion
            }
        }
        if configuration.writesAccessLog {
            writeAccessLine(of: exchange, outcome, at: now)
        }
    }

    // MARK: Dates

    /// Brings the texts up to date; returns the milliseconds of the second they tell.
    @discardableResult
    func refreshDate() -> Int {
        let milliseconds = LoopClock.wallMilliseconds()
        let second = milliseconds / 1_000
        let rest = Int(milliseconds % 1_000)
        guard second != dateSecond else { return rest }
        dateSecond = second
        dateText = CalendarText.httpDate(ofSeconds: second)
        stampText = CalendarText.stamp(ofSeconds: second)
        return rest
    }
}
