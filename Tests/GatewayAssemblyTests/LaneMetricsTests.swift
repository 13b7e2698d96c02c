import Balancing
import Determinism
import ExchangeFlow
import Logging
import ReplicaCore
import Settings
import Telemetry
import Testing
import WorkerProbe

@testable import GatewayAssembly
@testable import UpstreamLane

@Suite("LaneMetrics")
struct LaneMetricsTests {
    private let board = WorkerBoard()
    private let desk = AdmissionDesk(bound: 4)
    private let tallies = [LockedTally(), LockedTally()]
    private let table: RoutingTable
    private let probes: ProbeCounts

    init() throws {
        table = RoutingTable(board: board)
        probes =
            ProbeService(
                routing: table.view, board: board, desk: desk, interval: .seconds(1),
                loadPolicy: Published(LoadPlanner.Policy()), tls: Published([:]), seed: 1, now: { .zero },
                onModels: { _, _, _ in }, onReady: { _ in },
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ).counts
        try table.configure(
            settings("cluster_nodes:\n\(node("a", models: "[\"m\", \"n\"]"))\(node("b", models: "[\"m\"]"))"))
    }

    private var families: [MetricFamily] {
        LaneMetrics(
            tallies: tallies, routing: table.view, board: board, desk: desk,
            probes: probes
        ).families()
    }

    private func family(_ name: MetricName) throws -> MetricFamily {
        try #require(families.first { $0.name == name.name })
    }

    private func value(_ name: MetricName, _ labels: [String]) throws -> Double? {
        try family(name).samples.first { $0.labels.map(\.value) == labels }?.value
    }

    /// Counts of two loops, with everything in them that may come twice.
    private func fill() {
        for (place, tally) in tallies.enumerated() {
            tally.withLock { tally in
                for model in [-1, 0, 1, 500, 501] {
                    for outcome in ExchangeOutcome.allCases {
                        for route in LoopTally.routeNames.indices {
                            tally.requests[.init(route: route, model: model, outcome: outcome.rawValue)] = 1
                        }
                    }
                    tally.promptTokens[model] = 10
                    tally.completionTokens[model] = 3
                }
                for worker in [0, 1, 200, 201] {
                    for outcome in AttemptOutcome.all {
                        tally.attempts[.init(worker: worker, outcome: outcome.position)] = 1
                    }
                }
                tally.cancellations = ["queued": 1, "decode": 2]
                tally.retries = 1 + place
                tally.inFlight = 2
                for route in LoopTally.routeNames.indices { tally.requestSeconds[route].observe(0.2) }
                tally.eventGap.observe(0.004)
            }
        }
    }

    @Test("a series appears once, whatever was counted; each family is known and has its labels")
    func unique() throws {
        fill()
        let known = Dictionary(uniqueKeysWithValues: MetricNames.all.map { ($0.name, $0) })
        var seen: Set<String> = []
        for family in families {
            let name = try #require(known[family.name])
            #expect(family.type == name.type && family.help == name.help)
            #expect(seen.insert(family.name).inserted, "\(family.name) twice")
            var series: Set<String> = []
            for sample in family.samples {
                let labels = sample.labels.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
                #expect(
                    series.insert(sample.suffix + "{" + labels + "}").inserted,
                    "\(family.name)\(sample.suffix){\(labels)}")
                #expect(sample.labels.map(\.name).filter { $0 != "le" } == name.labels, "\(family.name)")
            }
        }
    }

    @Test("loops are summed; what no view knows any more is one series, and no client's word is a label")
    func sums() throws {
        fill()
        #expect(try value(MetricNames.requests, ["chat_completions", "m", "answered"]) == 2)
        // -1 and two removed models, in two loops.
        #expect(try value(MetricNames.requests, ["chat_completions", "unknown", "answered"]) == 6)
        #expect(try value(MetricNames.promptTokens, ["m"]) == 20 && value(MetricNames.promptTokens, ["unknown"]) == 60)
        #expect(try value(MetricNames.upstreamAttempts, ["a", "answered"]) == 2)
        #expect(try value(MetricNames.upstreamAttempts, ["removed", "answered"]) == 4)
        #expect(try value(MetricNames.cancellations, ["decode"]) == 4)
        #expect(try value(MetricNames.upstreamRetries, []) == 3 && value(MetricNames.inFlight, []) == 4)
        let models = try family(MetricNames.requests).samples.map { $0.labels[1].value }
        #expect(Set(models) == ["m", "n", "unknown"])
    }

    @Test("gauges say what the board and the desk know now")
    func gauges() throws {
        let view = table.view.value
        let worker = view.workers[0].index
        let isTaken = board.tryTakeSlot(worker, cap: 4)
        #expect(isTaken)
        board.tellHealth(worker, .canaryClean, at: .zero)
        for _ in 0..<3 {
            board.recordBreaker(worker, model: view.models[1].index, .failure, wasProbe: false, at: .zero)
        }
        let ticket = desk.enqueue(model: view.models[0].index, tenant: 0, deadline: .never) {}
        #expect(ticket != nil)
        #expect(try value(MetricNames.workerRunning, ["a"]) == 1 && value(MetricNames.workerRunning, ["b"]) == 0)
        #expect(try value(MetricNames.workerState, ["a", "degraded"]) == 1)
        #expect(try value(MetricNames.workerState, ["b", "loading"]) == 1)
        for id in ["a", "b"] {
            let states = try family(MetricNames.workerState).samples.filter { $0.labels[0].value == id }
            #expect(states.map(\.value).reduce(0, +) == 1 && states.count == WorkerCondition.words.count)
        }
        #expect(try value(MetricNames.breakerState, ["a", view.models[1].name]) == 2)
        #expect(try value(MetricNames.breakerState, ["a", view.models[0].name]) == 0)
        #expect(try value(MetricNames.queued, [view.models[0].name]) == 1)
        #expect(try value(MetricNames.workerSlots, ["a"]) == Double(view.workers[0].slots))
    }

    @Test("the page of all families is what Prometheus reads")
    func rendered() throws {
        fill()
        let registry = MetricRegistry()
        let metrics = LaneMetrics(
            tallies: tallies, routing: table.view, board: board, desk: desk, probes: probes)
        registry.register(source: metrics.families)
        let lines = registry.render().split(separator: "\n")
        #expect(
            lines.contains { $0.hasPrefix("starling_request_seconds_bucket{route=\"chat_completions\",le=\"0.25\"} 2") }
        )
        #expect(lines.contains("starling_in_flight 4"))
        let series = lines.filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != " " } }
        #expect(Set(series).count == series.count)
    }
}
