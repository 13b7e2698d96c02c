/// This replica's part in the flock, as the first service of the group: it begins when the listener has its port, and says
/// goodbye when everything else has ended.
///
/// Between the lane and the gossip there are only copies: the lane counts on its boards, ten times a second what it counted
/// is told; what others say is written to the `FlockBoard` by the gossip's loop.
import Balancing
import GossipDriver
import Logging
import Membership
import NIOCore
import Placement
import ReplicaCore
import ServiceLifecycle
import Settings
import Synchronization
import WireCoding

final class FlockService: Service {
    /// How often the lane's counts are looked at.
    static let beat = Duration.milliseconds(100)
    /// A goodbye and its receipts, at the most.
    static let goodbyeSeconds = 3.0

    private let settings: GatewaySettings
    private let secret: ClusterSecret
    private let version: (major: UInt8, minor: UInt8)
    private let agreement: UInt32
    private let routing: RoutingTable
    private let board: WorkerBoard
    private let logger: Logger
    private let orders: OrderedWorkers
    private let onEased: @Sendable ([WorkerIndex]) -> Void
    private let onProbe: @Sendable ([WorkerIndex]) -> Void
    private let running = Mutex<GossipService?>(nil)
    private let ports: (stream: AsyncStream<Int>, continuation: AsyncStream<Int>.Continuation)
    let traffic = TrafficMeter()

    init(
        settings: GatewaySettings, secret: ClusterSecret, version: String, routing: RoutingTable, board: WorkerBoard,
        orders: OrderedWorkers, logger: Logger, onEased: @escaping @Sendable ([WorkerIndex]) -> Void,
        onProbe: @escaping @Sendable ([WorkerIndex]) -> Void
    ) {
        self.settings = settings
        self.secret = secret
        let numbers = version.split(whereSeparator: { !$0.isNumber }).prefix(2).map { UInt8($0) ?? 0 }
        self.version = (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
        agreement = ClusterAgreement(settings).hash
        self.routing = routing
        self.board = board
        self.orders = orders
        self.logger = logger
        self.onEased = onEased
        self.onProbe = onProbe
        ports = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Nil until it has begun.
    var gossip: GossipService? { running.withLock { $0 } }

    /// The listener has its port: others are told of it.
    func begin(httpPort: Int) {
        ports.continuation.yield(httpPort)
        ports.continuation.finish()
    }

    /// New exchanges should go elsewhere.
    func beginDrain() {
        gossip?.submit(.membership(.changed(.flags(set: .draining, clear: []))))
    }

    func run() async throws {
        let port = await firstPort()
        guard let port else { return }
        let service = try await GossipService.start(configuration(httpPort: port), hooks: hooks(), logger: logger)
        running.withLock { $0 = service }
        await cancelWhenGracefulShutdown { await self.feed(service) }
        await service.leave()
        await service.shutdown()
    }

    private func firstPort() async -> Int? {
        await cancelWhenGracefulShutdown {
            for await port in self.ports.stream { return port }
            return nil
        }
    }

    // MARK: Told to the flock

    func observed(_ worker: Worker, _ condition: WorkerCondition) {
        guard let gossip else { return }
        // An operator's order travels by itself, and says nothing of health.
        switch condition {
        case .draining, .down(.drained): return
        default: break
        }
        gossip.submit(.observed(WorkerShortID(of: worker.id.rawValue), condition))
    }

    private func feed(_ service: GossipService) async {
        var view: RoutingView?
        var told: [WorkerLoadNews] = []
        while !Task.isCancelled {
            let current = routing.view.value
            if current !== view {
                view = current
                service.submit(.workers(routing.configured.map(Self.ringed)))
                for worker in current.workers { observed(worker, board.condition(worker.index)) }
            }
            let loads = loads(of: current)
            if loads != told, service.submit(.loads(loads)) { told = loads }
            traffic.note(service.counts)
            do { try await Task.sleep(for: Self.beat) } catch { return }
        }
    }

    private static func ringed(_ worker: Worker) -> RingedWorker {
        RingedWorker(
            short: WorkerShortID(of: worker.id.rawValue), ringKey: worker.ringKey, weight: worker.weight,
            models: worker.models.map { FlockModel.key(of: $0.name) })
    }

    private func loads(of view: RoutingView) -> [WorkerLoadNews] {
        view.workers.compactMap { worker in
            let running = board.running(worker.index)
            guard running > 0 else { return nil }
            return WorkerLoadNews(
                worker: WorkerShortID(of: worker.id.rawValue), running: UInt16(clamping: running), queued: 0,
                promptTokens: UInt32(clamping: board.promptTokens(worker.index)),
                outputTokens: UInt32(clamping: board.outputTokens(worker.index)))
        }
    }

    // MARK: Told by the flock

    /// Called on the gossip's loop.
    private func hooks() -> GossipHooks {
        var hooks = GossipHooks()
        hooks.flockChanged = { [self] view in took(view) }
        hooks.probe = { [self] short in
            if let worker = worker(short) { onProbe([worker.index]) }
        }
        return hooks
    }

    private func took(_ view: FlockView) {
        let workers = routing.view.value.workers
        let indexes = Dictionary(
            workers.map { (WorkerShortID(of: $0.id.rawValue), $0.index) }, uniquingKeysWith: { first, _ in first })
        let replicas = view.ring.participants.count
        let eased = board.flock.publish(view, replicas: replicas) { indexes[$0] }
        for worker in view.workers { orders.told(worker.short, worker.order) }
        if !eased.isEmpty { onEased(eased) }
    }

    private func worker(_ short: WorkerShortID) -> Worker? {
        routing.view.value.workers.first { WorkerShortID(of: $0.id.rawValue) == short }
    }

    // MARK: Settings

    private func configuration(httpPort: Int) -> GossipConfiguration {
        let gossip = settings.gossip
        var configuration = GossipConfiguration(
            clusterName: settings.cluster.name, secrets: secret.keys, dataDirectory: settings.storage.path)
        configuration.host = gossip.bind.host
        configuration.port = gossip.bind.port
        configuration.advertisedHost = gossip.advertise?.host
        configuration.advertisedPort = gossip.advertise?.port
        configuration.seeds = gossip.seeds.map { seed in
            switch seed {
            case .address(let address): .address(address)
            case .name(let name, let port): .name(name, port: port)
            }
        }
        configuration.name = settings.replica.name
        configuration.httpPort = UInt16(clamping: httpPort)
        configuration.agreement = agreement
        configuration.versionMajor = version.major
        configuration.versionMinor = version.minor
        configuration.timing = gossip.profile == .wan ? .wan : .lan
        configuration.bounds.bytesPerSecond = gossip.bytesPerSecond
        return configuration
    }
}

/// How much the gossip sends and hears, averaged over some seconds.
final class TrafficMeter: Sendable {
    private struct State: Sendable {
        var sent = 0.0
        var received = 0.0
        var lastSent: Int?
        var lastReceived = 0
    }

    /// Of each beat; ten beats are a second, so this remembers about five.
    private static let weight = 0.02
    private let state = Mutex(State())

    func note(_ counts: GossipCounts) {
        let sent = counts.datagramBytesSent + counts.streamBytesSent
        let received = counts.datagramBytesReceived + counts.streamBytesReceived
        state.withLock { state in
            defer {
                state.lastSent = sent
                state.lastReceived = received
            }
            guard let lastSent = state.lastSent else { return }
            state.sent += (Double(sent - lastSent) * 10 - state.sent) * Self.weight
            state.received += (Double(received - state.lastReceived) * 10 - state.received) * Self.weight
        }
    }

    /// Bytes of payload a second.
    var rates: (sent: Double, received: Double) { state.withLock { ($0.sent, $0.received) } }
}
