/// Builds one replica from its settings and runs it until it is told to stop. The only place that knows all names.
import Balancing
import GossipDriver
import HTTPEdge
import KeyReplication
import Logging
import Metrics
import NIOCore
import NIOPosix
import NIOSSL
import ReplicaCore
import ServiceLifecycle
package import Settings
import Synchronization
import Telemetry
import UnixSignals
import UpstreamLane
import WorkerProbe

package enum Gateway {
    /// Bytes of log lines that may wait for a slow reader; about 10,000 access lines.
    static let logBytesMax = 4 << 20
    /// After `drain_seconds` the last words still need a moment to reach their clients.
    static let lastWordsSeconds = 5.0

    /// Returns after a graceful stop. `reload` reads the settings anew, the way they were read at the start.
    package static func run(
        _ loaded: LoadedSettings, version: String, readyFile: String?,
        reload: @escaping @Sendable () throws(SettingsFailure) -> LoadedSettings
    ) async throws(GatewayFailure) {
        let settings = loaded.settings
        let writer = LineWriter(descriptor: 2, bytesMax: logBytesMax)
        defer { writer.close() }
        let levels = LogLevelSwitch(settings.observability.logLevel.level)
        let logger = logger("starling", writer, levels, settings)
        let metrics = MetricRegistry()
        MetricsSystem.bootstrap(metrics.factory)

        let secret = try secret(settings, logger)
        let keys = Published(keyTable(settings, secret))
        // Without a secret of the cluster's the fingerprints of requests are this process's own.
        let poison = PoisonTable(salt: secret?.fingerprintSalt ?? UInt64.random(in: .min ... .max))
        let board = WorkerBoard()
        let desk = AdmissionDesk(bound: settings.loadBalancing.queuePerModelMax)
        let routing = RoutingTable(board: board)
        try routing.configure(settings)
        let configuration = Published(try LanePolicy.configuration(settings, started: settings))
        let workerTLS = WorkerTLS(try WorkerTLS.make(for: settings.clusterNodes))
        let shared = LaneShared(
            routing: routing.view, keys: keys, configuration: configuration, board: board, desk: desk,
            poison: poison, workerTLS: workerTLS.contexts, seed: UInt64.random(in: .min ... .max),
            judge: CredentialJudge.judge,
            writeLine: { writer.append($0) })

        let loops = settings.server.workers == 0 ? System.coreCount : settings.server.workers
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        do {
            let lanes = try await Lanes(group: group, shared: shared)
            let loadPolicy = Published(LanePolicy.loadPolicy(settings))
            let reloader = Reloader(
                started: loaded, load: reload, routing: routing, configuration: configuration, desk: desk,
                loadPolicy: loadPolicy,
                workerTLS: workerTLS, levels: levels, logger: logger)
            let wake: @Sendable ([WorkerIndex]) -> Void = { workers in
                let view = routing.view.value
                for model in view.models
                where model.placements.contains(where: { workers.contains(view.workers[$0.position].index) }) {
                    desk.wakeNext(model.index)
                }
            }
            let late = LateProbes()
            let orders = OrderedWorkers(routing: routing, board: board)
            let flock =
                settings.gossip.isEnabled
                ? secret.map { secret in
                    FlockService(
                        settings: settings, secret: secret, version: version, routing: routing, board: board,
                        orders: orders, logger: logger, onEased: wake, onProbe: { late.look(at: $0) })
                } : nil
            let state = ReplicaState(
                settings: settings, version: version, routing: routing, board: board, desk: desk,
                tallies: lanes.tallies, decisions: lanes.decisions, poison: poison, reloader: reloader, orders: orders,
                flock: flock)
            let probes = ProbeService(
                routing: routing.view, board: board, desk: desk,
                interval: .seconds(settings.loadBalancing.probeIntervalSeconds), loadPolicy: loadPolicy,
                tls: workerTLS.configurations, seed: UInt64.random(in: .min ... .max), now: LoopClock.now,
                cachedTokens: { shared.beliefs.tokens(at: $0, life: board.incarnation($0)) },
                onModels: { routing.told($0, limits: $1, by: $2) },
                onReady: { worker in
                    let view = routing.view.value
                    let positions = worker.models.compactMap { view.resolve($0.name) }
                    for _ in 0..<worker.slots {
                        for position in positions { desk.wakeNext(view.models[position].index) }
                    }
                }, onChange: { flock?.observed($0, $1) }, logger: logger)
            late.begin(probes)
            if let flock { metrics.register { FlockMetrics(service: flock, routing: routing).families() } }
            metrics.register(
                source: LaneMetrics(
                    tallies: lanes.tallies, routing: routing.view, board: board, desk: desk, probes: probes.counts
                ).families)
            metrics.register(source: ProcessFacts.families)
            metrics.register { replicaFacts(state, reloader, writer) }
            try await serve(
                settings, keys: keys, lanes: lanes, state: state, reloader: reloader, metrics: metrics, group: group,
                probes: probes, flock: flock, readyFile: readyFile, logger: logger, flush: { writer.close() })
            try? await group.shutdownGracefully()
        } catch {
            try? await group.shutdownGracefully()
            throw failure(error, settings)
        }
    }

    private static func serve(
        _ settings: GatewaySettings, keys: Published<KeyTable>, lanes: Lanes, state: ReplicaState, reloader: Reloader,
        metrics: MetricRegistry, group: MultiThreadedEventLoopGroup, probes: ProbeService, flock: FlockService?,
        readyFile: String?, logger: Logger, flush: @escaping @Sendable () -> Void
    ) async throws {
        let router = EdgeRouter.make(
            settings: settings.server, facts: state, authenticator: CredentialJudge(keys: keys), metrics: metrics,
            flock: flock.map { service in
                GossipDesk(
                    service: service, name: settings.replica.name,
                    inquiry: ReachabilityInquiry(tls: settings.server.tls), isDraining: { state.isDraining })
            })
        let laneSettings = LanePolicy.laneSettings(settings.server)
        let isTLS = settings.server.tls != nil
        let readiness = Readiness(file: readyFile, host: settings.server.host, version: state.version, logger: logger)
        let listener = try Listener.application(
            settings: settings.server, group: group, router: router,
            makeLaneHandlers: {
                [LaneHandler(settings: laneSettings, factory: lanes.ofThisLoop(), isTLS: isTLS)]
            }, logger: logger,
            onBound: { port in
                readiness.announce(port: port)
                flock?.begin(httpPort: port)
            })
        let notice = DrainNotice(
            state: state, lanes: lanes, noticeSeconds: settings.server.drainNoticeSeconds,
            drainSeconds: settings.server.drainSeconds, logger: logger)
        // Ended in the reverse order: whoever leaves the flock has ended everything else.
        let begun: [any Service] = flock.map { [$0] } ?? []
        var configuration = ServiceGroupConfiguration(services: begun + [probes, listener, notice], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(
            settings.server.drainNoticeSeconds + settings.server.drainSeconds + lastWordsSeconds
                + (flock == nil ? 0 : FlockService.goodbyeSeconds))
        let services = ServiceGroup(configuration: configuration)
        let signals = Signals(group: services, reloader: reloader, logger: logger, flush: flush)
        let trapped = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let listening = Task { await signals.listen(to: trapped) }
        defer { listening.cancel() }
        try await services.run()
        logger.notice("stopped")
    }

    private static func logger(
        _ label: String, _ writer: LineWriter, _ levels: LogLevelSwitch, _ settings: GatewaySettings
    ) -> Logger {
        LoggingSystem.bootstrap { JSONLogHandler(label: $0, writer: writer, levels: levels) }
        var logger = Logger(label: label)
        logger[metadataKey: "replica"] = .string(settings.replica.name)
        return logger
    }

    /// Nil when neither clients nor replicas have to prove who they are.
    private static func secret(
        _ settings: GatewaySettings, _ logger: Logger
    ) throws(GatewayFailure) -> ClusterSecret? {
        if !settings.auth.enabled {
            logger.warning("auth.enabled is false: whoever reaches this port may use every worker")
            guard settings.gossip.isEnabled else { return nil }
        }
        let secret: ClusterSecret
        do throws(ClusterSecret.Failure) {
            secret = try ClusterSecret.loadOrCreate(at: settings.cluster.secretFile)
        } catch {
            throw .settings(error.description)
        }
        if secret.isNew {
            logger.notice("made a new cluster secret", metadata: ["file": "\(settings.cluster.secretFile)"])
        }
        return secret
    }

    private static func keyTable(_ settings: GatewaySettings, _ secret: ClusterSecret?) -> KeyTable {
        guard settings.auth.enabled, let secret else { return .open }
        guard settings.auth.createAdminKey else { return .empty }
        let key = BootstrapKey(secret)
        return KeyTable([
            key.keyID: KeyTable.Entry(
                digest: key.digest, tenant: TenantID(rawValue: "bootstrap"), role: .admin, tier: .enterprise)
        ])
    }

    private static func replicaFacts(
        _ state: ReplicaState, _ reloader: Reloader, _ writer: LineWriter
    ) -> [MetricFamily] {
        let reloads = reloader.counts.withLock { $0 }
        return [
            MetricNames.buildInfo.family([
                MetricSample(labels: [("version", state.version), ("replica", state.replicaName)], value: 1)
            ]),
            MetricNames.ready.family(!state.isDraining && state.reasonsNotReady.isEmpty ? 1 : 0),
            MetricNames.configReloads.family([
                MetricSample(labels: [("result", "applied")], value: Double(reloads.applied)),
                MetricSample(labels: [("result", "rejected")], value: Double(reloads.rejected)),
            ]),
            MetricNames.configRejected.family(reloads.isLastRejected ? 1 : 0),
            MetricNames.logDropped.family(writer.dropped),
        ]
    }

    /// Whatever went wrong below, as a sentence with a remedy.
    private static func failure(_ error: any Error, _ settings: GatewaySettings) -> GatewayFailure {
        switch error {
        case let failure as GatewayFailure: return failure
        case let failure as ListenerFailure: return .settings(failure.description)
        case let failure as GossipFailure:
            return failure.code == .listen ? .unavailable(failure.description) : .settings(failure.description)
        case let failure as IOError:
            let place = "\(settings.server.host):\(settings.server.port)"
            switch failure.errnoCode {
            case EADDRINUSE:
                return .unavailable(
                    "server.host and server.port: \(place) is in use by another process; stop it or choose another port"
                )
            case EADDRNOTAVAIL:
                return .unavailable("server.host: this machine has no address \(settings.server.host)")
            case EACCES: return .unavailable("server.port: \(place) needs privileges this process does not have")
            default: return .unavailable("server.host and server.port: \(place) cannot be opened (\(failure))")
            }
        default: return .unavailable("the replica stopped: \(error)")
        }
    }
}

/// The way to probes that are made after those who ask for them.
private final class LateProbes: Sendable {
    private let probes = Mutex<ProbeService?>(nil)

    func begin(_ service: ProbeService) { probes.withLock { $0 = service } }

    func look(at workers: [WorkerIndex]) { probes.withLock { $0 }?.look(at: workers) }
}

/// Says once that the replica listens, to people and to scripts.
private struct Readiness: Sendable {
    let file: String?
    let host: String
    let version: String
    let logger: Logger

    func announce(port: Int) {
        logger.notice("listening", metadata: ["host": "\(host)", "port": "\(port)", "version": "\(version)"])
        guard let file else { return }
        do throws(GatewayFailure) { try ReadyFile.write(to: file, port: port) } catch {
            logger.error("\(error.description)")
        }
    }
}
