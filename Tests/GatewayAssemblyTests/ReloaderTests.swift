import Balancing
import Determinism
import ExchangeFlow
import HTTPEdge
import Logging
import ReplicaCore
import Settings
import Synchronization
import Telemetry
import Testing
import UpstreamLane

@testable import GatewayAssembly

/// A replica's reloadable parts, and a file that a test writes anew.
private final class ReloadBench: Sendable {
    let board = WorkerBoard()
    let routing: RoutingTable
    let configuration: Published<LaneConfiguration>
    let desk = AdmissionDesk(bound: 256)
    let workerTLS = WorkerTLS(.init())
    let levels = LogLevelSwitch(.info)
    let loadPolicy = Published(LoadPlanner.Policy())
    let reloader: Reloader

    init(_ text: String) throws {
        let started = try SettingsLoader.load(text: text, path: "test.yaml")
        routing = RoutingTable(board: board)
        try routing.configure(started.settings)
        configuration = Published(try LanePolicy.configuration(started.settings, started: started.settings))
        let holder = FileHolder(text)
        holding = holder
        reloader = Reloader(
            started: started,
            load: { () throws(SettingsFailure) in try SettingsLoader.load(text: holder.text, path: "test.yaml") },
            routing: routing, configuration: configuration, desk: desk,
            loadPolicy: loadPolicy, workerTLS: workerTLS, levels: levels,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private let holding: FileHolder

    func reload(_ text: String) async -> ReloadOutcome {
        holding.set(text)
        return await reloader.reload()
    }

    private final class FileHolder: Sendable {
        private let kept: Mutex<String>
        init(_ text: String) { kept = Mutex(text) }
        var text: String { kept.withLock { $0 } }
        func set(_ text: String) { kept.withLock { $0 = text } }
    }
}

extension ReloadOutcome {
    fileprivate var applied: [String]? {
        if case .applied(let changes) = self { changes.applied.map(\.path) } else { nil }
    }
    fileprivate var needRestart: [String]? {
        if case .applied(let changes) = self { changes.needRestart.map(\.path) } else { nil }
    }
    fileprivate var faults: [String]? { if case .rejected(let lines) = self { lines } else { nil } }
}

@Suite("Reloader")
struct ReloaderTests {
    private static let first = """
        server: {port: 8000}
        load_balancing: {stall_seconds: 15, queue_per_model_max: 2, strategy: "round_robin"}
        observability: {log_level: "info"}
        cluster_nodes:
        \(node("a", models: "[\"m\"]"))
        """

    @Test("what a running replica can take is applied: workers, clocks, bounds, level")
    func applied() async throws {
        let bench = try ReloadBench(Self.first)
        let next = """
            server: {port: 8000}
            load_balancing: {stall_seconds: 25, queue_per_model_max: 1, strategy: "least_connections"}
            observability: {log_level: "debug"}
            cluster_nodes:
            \(node("b", models: "[\"n\"]"))
            """
        let outcome = await bench.reload(next)
        let paths = try #require(outcome.applied)
        #expect(paths.contains("load_balancing.stall_seconds") && paths.contains("observability.log_level"))
        #expect(outcome.needRestart == [])
        #expect(bench.routing.view.value.modelNames == ["n"])
        #expect(bench.routing.view.value.strategy.rawValue == "least_connections")
        #expect(bench.configuration.value.policy.stall == .seconds(25))
        #expect(bench.levels.level == .debug)
        let model = bench.routing.view.value.models[0].index
        let tickets = (0..<2).map { _ in bench.desk.enqueue(model: model, tenant: 0, deadline: .never) {} }
        #expect(tickets[0] != nil && tickets[1] == nil, "the queue's new bound")
        let counts = bench.reloader.counts.withLock { $0 }
        #expect(counts.applied == 1 && counts.rejected == 0 && !counts.isLastRejected)
    }

    @Test("the same file again changes nothing")
    func unchanged() async throws {
        let bench = try ReloadBench(Self.first)
        let outcome = await bench.reload(Self.first)
        #expect(outcome.applied == [] && outcome.needRestart == [])
    }

    @Test("what needs a restart is named at every reload until it happened, and not applied")
    func needsRestart() async throws {
        let bench = try ReloadBench(Self.first)
        let moved = Self.first.replacing("8000", with: "8001")
        for _ in 0..<2 {
            let outcome = await bench.reload(moved)
            #expect(outcome.needRestart == ["server.port"] && outcome.applied == [])
        }
        let back = await bench.reload(Self.first)
        #expect(back.needRestart == [])
    }

    @Test("a file with a fault changes nothing at all and says why; the next good one is applied")
    func rejected() async throws {
        let bench = try ReloadBench(Self.first)
        let faulty =
            Self.first.replacing("stall_seconds: 15", with: "stall_seconds: 25")
            .replacing("\"m\"", with: "\"x\"") + "\nserverr: {}\n"
        let outcome = await bench.reload(faulty)
        #expect(outcome.faults?.contains { $0.contains("serverr") } == true)
        #expect(bench.routing.view.value.modelNames == ["m"])
        #expect(bench.configuration.value.policy.stall == .seconds(15))
        var counts = bench.reloader.counts.withLock { $0 }
        #expect(counts.rejected == 1 && counts.isLastRejected)
        let good = await bench.reload(Self.first.replacing("stall_seconds: 15", with: "stall_seconds: 35"))
        #expect(good.applied == ["load_balancing.stall_seconds"])
        counts = bench.reloader.counts.withLock { $0 }
        #expect(counts.applied == 1 && counts.rejected == 1 && !counts.isLastRejected)
    }

    @Test("a fault that only shows when it is built, an unreadable authority, changes nothing either")
    func rejectedLate() async throws {
        let bench = try ReloadBench(Self.first)
        let outcome = await bench.reload(
            """
            load_balancing: {stall_seconds: 25}
            cluster_nodes:
            \(node("b", models: "[\"n\"]", ", tls: true, tls_ca: \"/no/such/ca.pem\""))
            """)
        #expect(outcome.faults?.contains { $0.contains("/no/such/ca.pem") } == true)
        #expect(bench.routing.view.value.modelNames == ["m"])
        #expect(bench.configuration.value.policy.stall == .seconds(15))
        #expect(bench.workerTLS.contexts.value.isEmpty)
    }

    @Test("a worker that finds no cell changes nothing either")
    func boardFull() async throws {
        let bench = try ReloadBench(Self.first)
        for place in 1..<WorkerBoard.workersMax { _ = bench.board.index(for: WorkerID(rawValue: "old\(place)")) }
        let outcome = await bench.reload(
            "load_balancing: {stall_seconds: 25}\ncluster_nodes:\n\(node("b", models: "[\"n\"]"))")
        #expect(outcome.faults?.count == 1)
        #expect(bench.routing.view.value.modelNames == ["m"])
        #expect(bench.configuration.value.policy.stall == .seconds(15))
    }
}
