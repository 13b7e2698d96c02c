import Balancing
import Determinism
import Foundation
import Logging
import NIOSSL
import ReplicaCore
import Synchronization
import Testing

@testable import WorkerProbe

/// A probe service on a clock that a test moves, and what it told.
final class ProbeBench: Sendable {
    let board = WorkerBoard()
    let desk = AdmissionDesk(bound: 64)
    let routing: Published<RoutingView>
    let service: ProbeService
    private let clock: Clock
    private let told: Told
    /// Shared with the service, which reads it from its own tasks.
    private final class Clock: Sendable { let now = Mutex(Instant(nanoseconds: 1_000_000_000)) }
    private final class Told: Sendable {
        let models = Mutex<[String: [String]]>([:])
        let ready = Mutex<[String]>([])
    }

    static let interval = Duration.seconds(10)

    init(_ workers: [Worker]) {
        let clock = Clock()
        let told = Told()
        let logged = lines
        self.clock = clock
        self.told = told
        for worker in workers { _ = board.index(for: worker.id) }
        routing = Published(Self.view(workers))
        service = ProbeService(
            routing: routing, board: board, desk: desk, interval: Self.interval,
            loadPolicy: Published(LoadPlanner.Policy()), tls: Published([:]), seed: 5,
            now: { clock.now.withLock { $0 } },
            onModels: { models, _, worker in told.models.withLock { $0[worker.rawValue] = models } },
            onReady: { worker in told.ready.withLock { $0.append(worker.id.rawValue) } },
            logger: Logger(label: "test") { _ in LineLog(lines: logged) })
    }

    /// What the service logged, message and metadata in one line.
    let lines = LineLog.Lines()

    struct LineLog: LogHandler {
        final class Lines: Sendable {
            private let kept = Mutex<[String]>([])
            var all: [String] { kept.withLock { $0 } }
            func append(_ line: String) { kept.withLock { $0.append(line) } }
        }

        let lines: Lines
        var logLevel = Logger.Level.notice
        var metadata: Logger.Metadata = [:]
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let facts = (event.metadata ?? [:]).map { "\($0)=\($1)" }.sorted().joined(separator: " ")
            lines.append("\(event.message): \(facts)")
        }
    }

    func logged(_ part: String) -> [String] { lines.all.filter { $0.contains(part) } }

    static func view(_ workers: [Worker]) -> RoutingView {
        var models: [String: [RoutingView.Placement]] = [:]
        for (position, worker) in workers.enumerated() {
            for model in worker.models {
                models[model.name, default: []].append(
                    RoutingView.Placement(
                        position: position, upstreamName: model.upstreamName, contextTokens: nil, vocabulary: nil,
                        prefillRate: 1_000, decodeRate: 50, stepSlope: 0.15))
            }
        }
        let entries = models.sorted { $0.key < $1.key }.enumerated().map { number, model in
            RoutingView.ModelEntry(name: model.key, index: ModelIndex(rawValue: number), placements: model.value)
        }
        return RoutingView(workers: workers, models: entries, aliases: [], strategy: .roundRobin)
    }

    static func worker(
        _ place: Int, _ kind: WorkerKind, port: Int, models: [String] = ["one"], key: String? = nil,
        memoryGB: Int? = nil, gigabytes: Int? = nil, telemetry: String? = nil
    ) -> Worker {
        Worker(
            id: WorkerID(rawValue: "w\(place)"), index: WorkerIndex(rawValue: place), kind: kind, host: "127.0.0.1",
            port: port, useTLS: false, apiKey: key, hostHeader: "mac\(place).test", weight: 1, slots: 4, chip: nil,
            memoryGB: memoryGB,
            models: models.map {
                WorkerModel(name: $0, upstreamName: $0, bytes: gigabytes.map { $0 * 1_000_000_000 })
            },
            telemetryURL: telemetry)
    }

    func foreign(_ place: Int = 0) -> Int? { board.loads.foreign(WorkerIndex(rawValue: place), at: now) }
    func vitals(_ place: Int = 0) -> MacVitals? { board.loads.vitals(WorkerIndex(rawValue: place), at: now) }
    var now: Instant { clock.now.withLock { $0 } }
    func pass(_ duration: Duration) { clock.now.withLock { $0 = $0 + duration } }
    var models: [String: [String]] { told.models.withLock { $0 } }
    /// Workers that became healthy, in order.
    var ready: [String] { told.ready.withLock { $0 } }
    func condition(_ place: Int = 0) -> WorkerCondition { board.condition(WorkerIndex(rawValue: place)) }
    func count(_ result: ProbeCounts.Result, _ place: Int = 0) -> Int {
        service.counts.count(WorkerIndex(rawValue: place), result)
    }

    /// Runs the service for as long as `body` looks at it; that it ends when told to is part of every test.
    func run(_ body: () async throws -> Void) async throws {
        let running = Task { try await service.run() }
        defer { running.cancel() }
        try await body()
        running.cancel()
        try await running.value
    }
}

/// Until it is so; two minutes are for a machine that does other things too.
func until(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool
) async throws {
    let start = ContinuousClock.now
    while !condition() {
        if ContinuousClock.now - start > .seconds(120) {
            Issue.record("not within two minutes: \(what)", sourceLocation: sourceLocation)
            throw CancellationError()
        }
        await Task.yield()
    }
}
