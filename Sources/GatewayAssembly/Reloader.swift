/// Reads the settings again, on SIGHUP and on `POST /admin/config/reload`, and applies what a running replica can take.
///
/// One at a time: two reloads in parallel could leave workers of one file with limits of another.
import Balancing
import HTTPEdge
import Logging
import ReplicaCore
import Settings
import Synchronization
import Telemetry
import UpstreamLane

actor Reloader {
    private let started: LoadedSettings
    private var current: LoadedSettings
    private let load: @Sendable () throws(SettingsFailure) -> LoadedSettings
    private let routing: RoutingTable
    private let configuration: Published<LaneConfiguration>
    private let desk: AdmissionDesk
    private let loadPolicy: Published<LoadPlanner.Policy>
    private let workerTLS: WorkerTLS
    private let levels: LogLevelSwitch
    private let logger: Logger
    /// For `/metrics`, which does not wait for a reload to end.
    nonisolated let counts = Mutex(Counts())

    struct Counts: Sendable {
        var applied = 0
        var rejected = 0
        var isLastRejected = false
    }

    init(
        started: LoadedSettings, load: @escaping @Sendable () throws(SettingsFailure) -> LoadedSettings,
        routing: RoutingTable, configuration: Published<LaneConfiguration>, desk: AdmissionDesk,
        loadPolicy: Published<LoadPlanner.Policy>, workerTLS: WorkerTLS, levels: LogLevelSwitch, logger: Logger
    ) {
        self.started = started
        current = started
        self.load = load
        self.routing = routing
        self.configuration = configuration
        self.desk = desk
        self.loadPolicy = loadPolicy
        self.workerTLS = workerTLS
        self.levels = levels
        self.logger = logger
    }

    func reload() -> ReloadOutcome {
        let next: LoadedSettings
        do throws(SettingsFailure) {
            next = try load()
        } catch {
            return reject(error.lines)
        }
        do throws(GatewayFailure) {
            let made = try WorkerTLS.make(for: next.settings.clusterNodes)
            let lane = try LanePolicy.configuration(next.settings, started: started.settings)
            try routing.configure(next.settings)
            workerTLS.publish(made)
            configuration.publish(lane)
        } catch {
            return reject([error.description])
        }
        loadPolicy.publish(LanePolicy.loadPolicy(next.settings))
        desk.setBound(next.settings.loadBalancing.queuePerModelMax)
        levels.level = next.settings.observability.logLevel.level
        // What needs a restart is compared with the start, so it is told at every reload until it happened.
        let changes = SettingsChanges(
            applied: SettingsChanges.changes(from: current, to: next).applied,
            needRestart: SettingsChanges.changes(from: started, to: next).needRestart)
        current = next
        counts.withLock {
            $0.applied += 1
            $0.isLastRejected = false
        }
        logger.notice(
            "settings reloaded",
            metadata: [
                "applied": .array(changes.applied.map { .string($0.line) }),
                "needs_restart": .array(changes.needRestart.map { .string($0.line) }),
            ])
        for warning in next.warnings { logger.warning("\(warning.line)") }
        return .applied(changes)
    }

    private func reject(_ lines: [String]) -> ReloadOutcome {
        counts.withLock {
            $0.rejected += 1
            $0.isLastRejected = true
        }
        logger.error(
            "settings not reloaded: the file has faults, the settings in use stay",
            metadata: ["faults": .array(lines.map { .string($0) })])
        return .rejected(lines)
    }
}

extension ObservabilitySettings.LogLevel {
    /// The words are swift-log's own.
    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
