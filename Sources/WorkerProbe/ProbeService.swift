/// Asks workers how they are, off the hot path: on a thread of its own, one question per worker at a time.
///
/// Every worker is asked every `interval` ± 20 %, so that probes of many replicas do not march in step. What a worker
/// says goes to its state machine on the board; what models it names goes to whoever builds the routing view.
import AsyncHTTPClient
package import Balancing
package import Determinism
package import InferenceDialect
package import Logging
import NIOCore
import NIOPosix
package import NIOSSL
package import ReplicaCore
import ServiceLifecycle
import Synchronization

package final class ProbeService: Service {
    /// A probe that takes longer says as much as none.
    static let probeSeconds = 2.0
    /// What one token takes at the most, beyond what stands before it.
    static let canarySeconds = 5.0
    static let canarySecondsMax = 60.0
    /// Exchanges run, and no token came for this long: it is asked for one.
    static let tokenlessSeconds = 60.0
    /// Nothing runs there: it is asked for a token now and then all the same.
    static let idleSeconds = 300.0
    /// Loads of a worker whose lengths are remembered.
    static let loadsKept = 8
    /// Names that a line of the log has at the most.
    static let namesToldMax = 32
    /// What begins to fail, or to come back, is asked again so soon.
    static let again = Duration.milliseconds(250)
    /// While nobody listens there.
    static let refusedEvery = Duration.seconds(1)
    /// Workers that other replicas watch are asked seldom: what they have in memory is told to nobody else. All who do
    /// this together ask a worker twice in this time at the most.
    static let unwatchedSeconds = 10.0
    static let unwatchedSecondsPerReplica = 2.0
    static let canaryPath = "/v1/chat/completions"
    static let tick = Duration.milliseconds(50)

    package typealias Told =
        @Sendable (_ models: [String], _ limits: [String: ModelLimits], _ worker: WorkerID) -> Void
    package typealias Ready = @Sendable (_ worker: Worker) -> Void
    package typealias Changed = @Sendable (_ worker: Worker, _ condition: WorkerCondition) -> Void

    private struct Schedule: Sendable {
        var due: [WorkerID: Instant] = [:]
        var busy: Set<WorkerID> = []
        var canaries: Set<WorkerID> = []
        var known: [WorkerID: WorkerCondition] = [:]
        /// Models that workers list, whether in memory or not.
        var inventory: [WorkerID: Set<String>] = [:]
        /// What the log has told already: the slots a worker says to have, why its last probe failed.
        var toldSlots: [WorkerID: Int] = [:]
        var toldFailures: [WorkerID: String] = [:]
        /// Asked once more at once, since the last answer was another than those before it.
        var turning: Set<WorkerID> = []
        /// Somebody wants to hear of their next probe, whatever it says.
        var looked: Set<WorkerID> = []
        /// Seconds that its last loads took, as its first tokens showed.
        var loads: [WorkerID: [Double]] = [:]
        var random: SeededGenerator
    }

    let routing: Published<RoutingView>
    let board: WorkerBoard
    let desk: AdmissionDesk
    private let interval: Duration
    let tls: Published<[String: TLSConfiguration]>
    let now: @Sendable () -> Instant
    private let onModels: Told
    let onReady: Ready
    let onChange: Changed
    let logger: Logger
    let loads: LoadDesk
    private let schedule: Mutex<Schedule>
    private let loadReader: LoadReader
    package let counts = ProbeCounts()

    package init(
        routing: Published<RoutingView>, board: WorkerBoard, desk: AdmissionDesk, interval: Duration,
        loadPolicy: Published<LoadPlanner.Policy>,
        tls: Published<[String: TLSConfiguration]>, seed: UInt64, now: @escaping @Sendable () -> Instant,
        cachedTokens: @escaping @Sendable (WorkerIndex) -> Int = { _ in 0 }, onModels: @escaping Told,
        onReady: @escaping Ready, onChange: @escaping Changed = { _, _ in }, logger: Logger
    ) {
        self.routing = routing
        self.board = board
        self.desk = desk
        loads = LoadDesk(policy: loadPolicy)
        self.interval = interval
        self.tls = tls
        self.now = now
        self.onModels = onModels
        self.onReady = onReady
        self.onChange = onChange
        self.logger = logger
        loadReader = LoadReader(board: board, interval: interval, now: now, cachedTokens: cachedTokens)
        schedule = Mutex(Schedule(random: SeededGenerator(seed: seed)))
    }

    /// Until the service group says stop.
    package func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(2)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        // The client's own log would tell of every refused connection.
        let silent = Logger(label: "starling.probe") { _ in SwiftLogNoOpLogHandler() }
        let client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
        await cancelWhenGracefulShutdown {
            await self.askForEver(ProbeClient(client: client, logger: silent))
        }
        try? await client.shutdown()
        try? await group.shutdownGracefully()
    }

    private func askForEver(_ client: ProbeClient) async {
        await withDiscardingTaskGroup { tasks in
            while !Task.isCancelled {
                for worker in dueWorkers() {
                    tasks.addTask { await self.probe(worker, client) }
                }
                for worker in wantedCanaries() {
                    tasks.addTask { await self.canary(worker, client) }
                }
                for load in dueLoads() {
                    tasks.addTask { await self.load(load, client) }
                }
                tellChanges()
                do { try await Task.sleep(for: Self.tick) } catch { break }
            }
            tasks.cancelAll()
        }
    }

    // MARK: Whose turn it is

    private func dueWorkers() -> [Worker] {
        let workers = routing.value.workers
        let now = now()
        return schedule.withLock { schedule in
            let ids = Set(workers.map(\.id))
            schedule.due = schedule.due.filter { ids.contains($0.key) }
            schedule.inventory = schedule.inventory.filter { ids.contains($0.key) }
            schedule.toldSlots = schedule.toldSlots.filter { ids.contains($0.key) }
            schedule.toldFailures = schedule.toldFailures.filter { ids.contains($0.key) }
            schedule.loads = schedule.loads.filter { ids.contains($0.key) }
            schedule.turning.formIntersection(ids)
            schedule.looked.formIntersection(ids)
            return workers.filter { worker in
                guard !schedule.busy.contains(worker.id) else { return false }
                if let due = schedule.due[worker.id], due > now {
                    // Whoever becomes its monitor does not wait for the turn that it had as none.
                    guard due > now + interval * 1.2, isWatched(worker) else { return false }
                }
                schedule.busy.insert(worker.id)
                return true
            }
        }
    }

    /// Workers that the lane or a probe has doubts about and that have no canary under way.
    private func wantedCanaries() -> [Worker] {
        routing.value.workers.filter { worker in
            // A load proves as much, and a canary beside it might undo it.
            guard !loads.isLoading(worker.index), board.takeCanaryWish(worker.index) else { return false }
            if case .word = proof(of: worker) {
                tell(worker, .canaryClean)
                return false
            }
            return schedule.withLock { $0.canaries.insert(worker.id).inserted }
        }
    }

    /// What may be asked of a worker to prove its engine.
    private enum Proof {
        /// A token of this model.
        case token((index: ModelIndex, model: WorkerModel))
        /// Nothing: its word is taken.
        case word
        /// Nothing yet: nobody knows its models.
        case later
    }

    private func proof(of worker: Worker) -> Proof {
        switch Self.dialect(of: worker).traits.canary {
        // Whoever runs a plain OpenAI server may pay by the token.
        case .money: return .word
        case .token, .loadUnlessResident: break
        }
        let models = routing.value.models(of: worker.index)
        let now = now()
        if let resident = models.first(where: { board.modelState(worker.index, $0.index, at: now) == .resident }) {
            return .token(resident)
        }
        // Nothing is in memory. A worker that is new is asked all the same where only a request loads anything, since that
        // load must come anyway; else it would load what nobody wants.
        let dialect = Self.dialect(of: worker)
        guard dialect.traits.canary == .token, dialect.orders == nil, board.condition(worker.index) == .loading else {
            return worker.models.isEmpty ? .later : .word
        }
        return models.first.map { .token($0) } ?? .later
    }

    static func dialect(of worker: Worker) -> WorkerDialect {
        WorkerDialect.named(worker.kind.rawValue) ?? .openAI
    }

    private func asked(_ worker: Worker, _ result: ProbeCounts.Result) {
        let now = now()
        let isWatched = isWatched(worker)
        let condition = board.condition(worker.index)
        let isBack = result == .alive && board.incarnation(worker.index) > 0
        schedule.withLock { schedule in
            schedule.busy.remove(worker.id)
            let jitter = 0.8 + 0.4 * schedule.random.fraction()
            // What has just begun to fail, or to come back, is asked once more at once.
            let isTurning = (result == .failed && condition == .healthy) || (isBack && condition == .loading)
            if !isTurning {
                schedule.turning.remove(worker.id)
            } else if schedule.turning.insert(worker.id).inserted {
                schedule.due[worker.id] = now + Self.again
                return
            }
            // A refusal costs its host nothing, and it ends at a moment that somebody waits for.
            let pause = condition == .down(.refused) ? min(interval, Self.refusedEvery) : interval
            schedule.due[worker.id] = now + (isWatched ? pause : unwatchedInterval) * jitter
        }
    }

    /// Whether this replica is to know at once how the worker is: it is one of its monitors, or has its own doubts.
    private func isWatched(_ worker: Worker) -> Bool {
        board.flock.isMonitored(worker.index) || board.condition(worker.index) != .healthy
    }

    private var unwatchedInterval: Duration {
        let seconds = max(Self.unwatchedSeconds, Self.unwatchedSecondsPerReplica * Double(board.flock.replicas))
        return max(interval, .seconds(seconds))
    }

    /// Asks these workers now: somebody else says that they are down.
    package func look(at workers: [WorkerIndex]) {
        let ids = routing.value.workers.filter { workers.contains($0.index) }.map(\.id)
        schedule.withLock { schedule in
            for id in ids {
                schedule.due[id] = .zero
                schedule.looked.insert(id)
            }
        }
    }

    // MARK: A round of questions

    /// A round is counted when it is over: whoever sees it counted may rely on what it told, and on the next being due.
    private func probe(_ worker: Worker, _ client: ProbeClient) async {
        let result = await round(of: worker, client)
        asked(worker, result)
        let condition = board.condition(worker.index)
        let isWanted = schedule.withLock { $0.looked.remove(worker.id) != nil }
        // A worker that is down is told again each time: an old word that it is well must not outlive this one.
        if isWanted || condition.word == "down" { onChange(worker, condition) }
        counts.note(worker.index, result)
    }

    private func round(of worker: Worker, _ client: ProbeClient) async -> ProbeCounts.Result {
        let dialect = Self.dialect(of: worker)
        var heard = Heard()
        var verdict = WorkerHealth.Input.probeAlive
        for request in dialect.probes() {
            let askedAt = now()
            switch await ask(request.path, of: worker, dialect, client, within: Self.probeSeconds, &heard) {
            case .refused:
                tell(worker, .connectRefused)
                return .refused
            case .failed(let why):
                tellFailure(of: worker, why)
                tell(worker, .probeFailed)
                return .failed
            case .reply(let status, let body):
                let reading = dialect.read(ProbeReply(request: request, status: status, body: body))
                switch reading.life {
                case .alive: break
                case .loading: verdict = .probeLoading
                case .dead:
                    tell(worker, .deadVerdict)
                    return .failed
                case .failed:
                    tell(worker, .probeFailed)
                    return .failed
                }
                take(reading, of: worker, askedAt: askedAt)
                if let slots = reading.slots { compareSlots(of: worker, saying: slots) }
            }
        }
        _ = schedule.withLock { $0.toldFailures.removeValue(forKey: worker.id) }
        board.tellBreakers(worker.index, at: now())
        tell(worker, verdict)
        guard verdict == .probeAlive else { return .loading }
        doubt(worker)
        // Where the page of load is one of the questions, it has been read already.
        if let page = dialect.loadPage, heard.load == nil {
            _ = await ask(page.path, of: worker, dialect, client, within: LoadReader.pageSeconds, &heard)
        }
        await loadReader.read(worker, dialect, heard.load, resident: residents(of: worker), client) {
            hasCanary(worker.id)
        }
        // After the verdict, with which a new life may have begun.
        if let (place, status, body) = heard.introduction {
            introduce(worker, in: place, status: status, body, life: board.incarnation(worker.index))
        }
        return .alive
    }

    /// What one round heard that is looked at when it is over.
    private struct Heard {
        var load: LoadReader.Look?
        var introduction: (place: IntroductionPage.Place, status: Int, body: [UInt8])?
    }

    private func ask(
        _ path: String, of worker: Worker, _ dialect: WorkerDialect, _ client: ProbeClient, within seconds: Double,
        _ heard: inout Heard
    ) async -> ProbeAnswer {
        let tls = tls.value[worker.id.rawValue]
        let answer: ProbeAnswer
        if let page = dialect.loadPage, page.path == path {
            let (told, look) = await loadReader.look(at: page, of: worker) {
                hasCanary(worker.id)
            } ask: {
                await client.get(path, of: worker, tls: tls, within: seconds)
            }
            heard.load = look
            answer = told
        } else {
            answer = await client.get(path, of: worker, tls: tls, within: seconds)
        }
        if dialect.introduction?.place == .page(path), case .reply(let status, let body) = answer {
            heard.introduction = (.page(path), status, body)
        }
        return answer
    }

    private func hasCanary(_ worker: WorkerID) -> Bool { schedule.withLock { $0.canaries.contains(worker) } }

    /// What an answer tells of models: which there are, and which are in memory.
    func take(_ reading: ProbeReading, of worker: Worker, askedAt: Instant) {
        if let models = reading.models {
            onModels(models, reading.limits, worker.id)
            let inventory = Set(models + reading.aliases)
            schedule.withLock { $0.inventory[worker.id] = inventory }
            if Self.dialect(of: worker).traits.takesAnyName, reading.listsAll { missModels(of: worker, inventory) }
        }
        switch reading.resident {
        case nil: break
        case .all: board.withModels(worker.index) { $0.toldAll() }
        case .only(let names):
            let inventory = schedule.withLock { $0.inventory[worker.id] ?? [] }
            // What it does not list at all it may have under another name: whoever configured it knows.
            let resident = routing.value.models(of: worker.index).filter { _, model in
                let itsNames = Self.names(of: model, worker.kind)
                return itsNames.contains(where: names.contains) || !itsNames.contains(where: inventory.contains)
            }
            board.withModels(worker.index) { $0.told(Set(resident.map(\.index)), askedAt: askedAt) }
        }
    }

    /// A worker that would answer for any name has only what it lists, whatever its configuration says.
    private func missModels(of worker: Worker, _ inventory: Set<String>) {
        let missing = routing.value.models(of: worker.index).filter { _, model in
            !Self.names(of: model, worker.kind).contains(where: inventory.contains)
        }
        let absent = Set(missing.map(\.index))
        let isNew = board.withModels(worker.index) { memory in
            defer { memory.toldAbsent(absent) }
            return !absent.isSubset(of: memory.absent)
        }
        guard isNew else { return }
        let listed = inventory.sorted().prefix(Self.namesToldMax).joined(separator: ", ")
        logger.warning(
            "a worker does not list a model that it is configured with, and is sent nothing for it: its upstream_name must be one that the worker lists",
            metadata: [
                "worker": "\(worker.id.rawValue)",
                "models": "\(missing.map(\.model.upstreamName).joined(separator: ", "))", "lists": "\(listed)",
            ])
    }

    /// Models in its memory; nil while it has not told that they come and go.
    private func residents(of worker: Worker) -> [WorkerModel]? {
        let models = routing.value.models(of: worker.index)
        let now = now()
        return board.withModels(worker.index) { memory in
            guard memory.isSelective else { return nil }
            return models.filter { [.resident, .evicting].contains(memory.state(of: $0.index, at: now)) }.map(\.model)
        }
    }

    /// What a worker may call a model in its lists.
    private static func names(of model: WorkerModel, _ kind: WorkerKind) -> [String] {
        // A tag that is not written is this one.
        kind == .ollama ? [model.upstreamName, model.upstreamName + ":latest"] : [model.upstreamName]
    }

    /// It answers, which proves little: an engine that has made no token for long is to make one.
    private func doubt(_ worker: Worker) {
        let now = now()
        let proven = max(board.lastToken(worker.index), board.canaries(worker.index).clean)
        let patience = board.running(worker.index) > 0 ? Self.tokenlessSeconds : Self.idleSeconds
        guard now.seconds(since: proven) >= patience else { return }
        tell(worker, .silence)
    }

    func tell(_ worker: Worker, _ input: WorkerHealth.Input) {
        board.tellHealth(worker.index, input, at: now())
    }

    // MARK: The canary

    /// The smallest request there is. Only a token proves that a worker's engine lives: an HTTP thread answers for long
    /// after its engine died.
    private func canary(_ worker: Worker, _ client: ProbeClient) async {
        let view = routing.value
        guard let current = view.workers.first(where: { $0.id == worker.id }),
            case .token(let (index, model)) = proof(of: current)
        else { return canaryEnded(worker.id) }
        let asked = now()
        let isLoading = board.condition(worker.index) == .loading
        let life = board.incarnation(worker.index)
        let answer = await client.post(
            Self.canaryPath, json: Self.canaryBody(model.upstreamName), to: worker, tls: tls.value[worker.id.rawValue],
            within: patience(with: current, isLoading: isLoading, view))
        // Before anybody hears of it: a wish that follows is one for the next.
        canaryEnded(worker.id)
        if board.lastToken(worker.index) >= asked, case .failed = answer {
            // Somebody else got a token meanwhile: it lives, and this one had to wait.
            counts.note(worker.index, .canaryClean)
            return tell(worker, .canaryClean)
        }
        switch answer {
        case .reply(let status, let body) where Self.isAlive(worker.kind, status, body):
            introduce(current, in: .canary, status: status, body, life: life)
            counts.note(worker.index, .canaryClean)
            if isLoading { noteLoad(of: worker.id, seconds: now().seconds(since: asked)) }
            if Self.dialect(of: worker).traits.keepsOneModel, current.models.count > 1 {
                board.withModels(worker.index) { $0.proved(index, only: true) }
            }
            tell(worker, .canaryClean)
        case .reply(let status, _):
            logger.info("a canary was refused", metadata: ["worker": "\(worker.id.rawValue)", "status": "\(status)"])
            counts.note(worker.index, .canaryFailed)
            tell(worker, .canaryFailed)
        case .refused:
            counts.note(worker.index, .refused)
            tell(worker, .connectRefused)
        case .failed(let why):
            logger.info("a canary failed", metadata: ["worker": "\(worker.id.rawValue)", "why": "\(why)"])
            counts.note(worker.index, .canaryFailed)
            tell(worker, .canaryFailed)
        }
    }

    private func canaryEnded(_ worker: WorkerID) { _ = schedule.withLock { $0.canaries.remove(worker) } }

    /// How long a token may take: the load of a model, or the prompts that stand before it.
    private func patience(with worker: Worker, isLoading: Bool, _ view: RoutingView) -> Double {
        guard isLoading else {
            let rate = view.prefillRate(of: worker.id) ?? 1
            return min(Self.canarySeconds + Double(board.promptTokens(worker.index)) / rate, Self.canarySecondsMax)
        }
        return max(LoadForecast.seconds(of: worker.models), 2 * (longestLoad(of: worker.id) ?? 0))
    }

    /// The longest of its last loads; nil before the first.
    func longestLoad(of worker: WorkerID) -> Double? { schedule.withLock { $0.loads[worker]?.max() } }

    func noteLoad(of worker: WorkerID, seconds: Double) {
        schedule.withLock { schedule in
            var loads = schedule.loads[worker] ?? []
            loads.append(min(seconds, LoadForecast.secondsMax))
            schedule.loads[worker] = Array(loads.suffix(Self.loadsKept))
        }
    }

    /// An answer, or a refusal that blames the request: an engine made for embeddings does not chat and is well.
    private static func isAlive(_ kind: WorkerKind, _ status: Int, _ body: [UInt8]) -> Bool {
        if (200..<300).contains(status) { return true }
        let dialect = WorkerDialect.named(kind.rawValue) ?? .openAI
        return dialect.classify(AnswerStart(status: status, contentType: nil, body: body)) == .client
    }

    /// Eight words, always the same, so that it fills one place of the worker's prompt cache and not many. Greedy, since a
    /// server may sample a whole batch as its first request wants it.
    static func canaryBody(_ model: String) -> [UInt8] {
        var name: [UInt8] = []
        for byte in model.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): name += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                name += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: name.append(byte)
            }
        }
        return Array(#"{"model":""#.utf8) + name
            + Array(
                #"","max_tokens":1,"temperature":0,"messages":[{"role":"user","content":"Are you there? Answer with one short word."}]}"#
                    .utf8)
    }

    // MARK: For the log

    /// The same failure is news once, until a probe goes well again.
    private func tellFailure(of worker: Worker, _ why: String) {
        // Broken off because the replica stops: that says nothing of the worker.
        guard !Task.isCancelled else { return }
        guard schedule.withLock({ $0.toldFailures.updateValue(why, forKey: worker.id) }) != why else { return }
        logger.notice("a probe failed", metadata: ["worker": "\(worker.id.rawValue)", "why": "\(why)"])
    }

    /// Exchanges beyond a worker's own slots wait inside it, where our queue, its deadline and failover do not reach.
    private func compareSlots(of worker: Worker, saying slots: Int) {
        let before = schedule.withLock { $0.toldSlots.updateValue(slots, forKey: worker.id) }
        guard slots < worker.slots, before != slots else { return }
        logger.warning(
            "worker runs fewer exchanges at a time than max_concurrency says; set it to the worker's own number",
            metadata: [
                "worker": "\(worker.id.rawValue)", "worker_slots": "\(slots)", "max_concurrency": "\(worker.slots)",
            ])
    }

    /// Conditions change here and on the lane; one place tells of both.
    private func tellChanges() {
        for worker in routing.value.workers {
            let condition = board.condition(worker.index)
            let before = schedule.withLock { $0.known.updateValue(condition, forKey: worker.id) }
            guard before != condition else { continue }
            onChange(worker, condition)
            // Whoever waits for it need not wait until it looks again.
            if condition == .healthy { onReady(worker) }
            var metadata: Logger.Metadata = ["worker": "\(worker.id.rawValue)", "state": "\(condition.word)"]
            if let before { metadata["was"] = "\(before.word)" }
            if let why = condition.why { metadata["why"] = "\(why)" }
            logger.log(level: condition.word == "down" ? .warning : .notice, "worker state", metadata: metadata)
        }
    }
}
