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

    struct Schedule: Sendable {
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
    let onModels: Told
    let onReady: Ready
    let onChange: Changed
    let logger: Logger
    let loads: LoadDesk
    let schedule: Mutex<Schedule>
    let loadReader: LoadReader
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

    static func dialect(of worker: Worker) -> WorkerDialect {
        WorkerDialect.named(worker.kind.rawValue) ?? .openAI
    }

    func asked(_ worker: Worker, _ result: ProbeCounts.Result) {
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

    func tell(_ worker: Worker, _ input: WorkerHealth.Input) {
        board.tellHealth(worker.index, input, at: now())
    }
}
