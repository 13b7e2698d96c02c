/// The text of `/metrics`: exact where it is short, read back where it is long, bounded everywhere.
import CoreMetrics
import Determinism
import Foundation
import Telemetry
import Testing

@Suite("the metrics text")
struct MetricRegistryTests {
    @Test("is Prometheus 0.0.4, byte for byte")
    func snapshot() {
        let registry = MetricRegistry()
        registry.register {
            [
                MetricFamily(
                    name: "b_seconds", help: "A \\ and\na line.", type: .histogram,
                    samples: MetricSample.histogram(
                        labels: [("route", "chat")], edges: [0.5, 1], counts: [2, 0, 1], sum: 3.75)),
                MetricFamily(
                    name: "a_total", help: "Things.", type: .counter,
                    samples: [
                        MetricSample(labels: [("model", "q\"uo\\te\n"), ("route", "x")], value: 3),
                        MetricSample(value: 0.25), MetricSample(labels: [("z", "")], value: .infinity),
                    ]),
            ]
        }
        #expect(
            registry.render() == #"""
                # HELP a_total Things.
                # TYPE a_total counter
                a_total{model="q\"uo\\te\n",route="x"} 3
                a_total 0.25
                a_total{z=""} +Inf
                # HELP b_seconds A \\ and\na line.
                # TYPE b_seconds histogram
                b_seconds_bucket{route="chat",le="0.5"} 2
                b_seconds_bucket{route="chat",le="1"} 2
                b_seconds_bucket{route="chat",le="+Inf"} 3
                b_seconds_sum{route="chat"} 3.75
                b_seconds_count{route="chat"} 3
                # HELP starling_metrics_series_refused_total Metric series that found no room.
                # TYPE starling_metrics_series_refused_total counter
                starling_metrics_series_refused_total 0

                """#)
    }

    @Test("reads back as what was put in")
    func roundTrip() throws {
        let registry = MetricRegistry()
        let values: [Double] = [0, -1, 1e-9, 1.5e300, -0.1, 9_007_199_254_740_991, 1e17, .infinity, -.infinity]
        let samples = values.enumerated().map { position, value in
            MetricSample(labels: [("n", "\(position) \\ \" \n {},= ü")], value: value)
        }
        let family = MetricFamily(name: "x", help: "Help.", type: .gauge, samples: samples)
        registry.register { [family] }
        let families = try PrometheusReader.read(registry.render())
        #expect(families.first { $0.name == "x" } == family)
    }

    @Test("puts families of one name together, whoever reports them")
    func merged() throws {
        let registry = MetricRegistry()
        for loop in 0..<3 {
            registry.register {
                [MetricNames.requests.family([MetricSample(labels: [("route", "\(loop)")], value: 1)])]
            }
        }
        let families = try PrometheusReader.read(registry.render())
        #expect(families.first { $0.name == "starling_requests_total" }?.samples.count == 3)
    }

    @Test("keeps a thousand series of a family and counts the one that is refused")
    func bound() throws {
        func render(_ count: Int) throws -> (kept: Int, refused: Double?) {
            let registry = MetricRegistry()
            let samples = (0..<count).flatMap {
                MetricSample.histogram(labels: [("model", "\($0)")], edges: [1], counts: [1, 0], sum: 1)
            }
            registry.register { [MetricFamily(name: "h", help: "H.", type: .histogram, samples: samples)] }
            let families = try PrometheusReader.read(registry.render())
            let kept = families.first { $0.name == "h" }?.samples.filter { $0.suffix == "_count" }.count ?? 0
            return (kept, families.first { $0.name == "starling_metrics_series_refused_total" }?.samples.first?.value)
        }
        let atBound = try render(1_000)
        #expect(atBound.kept == 1_000)
        #expect(atBound.refused == 0)
        let past = try render(1_001)
        #expect(past.kept == 1_000)
        #expect(past.refused == 1)
    }

    @Test("every name of ours is what promtool wants it to be")
    func names() {
        #expect(Set(MetricNames.all.map(\.name)).count == MetricNames.all.count)
        for metric in MetricNames.all {
            #expect(metric.name.hasSuffix("_total") == (metric.type == .counter), "\(metric.name)")
            #expect(metric.type != .histogram || metric.name.hasSuffix("_seconds"), "\(metric.name)")
            #expect(!metric.help.isEmpty && metric.help.hasSuffix("."), "\(metric.name)")
            #expect(metric.name.allSatisfy { $0.isLowercase || $0 == "_" }, "\(metric.name)")
        }
    }

    @Test("promtool finds nothing to say", .enabled(if: PromTool.path != nil))
    func promtool() throws {
        let registry = MetricRegistry()
        registry.register(source: ProcessFacts.families)
        registry.register {
            MetricNames.all.filter { !$0.name.hasPrefix("process_") && $0 != MetricNames.seriesRefused }.map { metric in
                let labels = metric.labels.map { (name: $0, value: "w \"1\"") }
                let samples =
                    metric.type == .histogram
                    ? MetricSample.histogram(
                        labels: labels, edges: HistogramEdges.eventGap,
                        counts: [Int](repeating: 1, count: HistogramEdges.eventGap.count + 1), sum: 2)
                    : [MetricSample(labels: labels, value: 1)]
                return metric.family(samples)
            }
        }
        let said = try PromTool.check(registry.render())
        #expect(said.output == "")
        #expect(said.status == 0)
        // The tool must be able to object, or its silence means nothing.
        #expect(try PromTool.check("# TYPE bad counter\nbad 1\n").output.contains("_total"))
    }

    @Test("the process knows itself")
    func process() throws {
        let families = ProcessFacts.families()
        func value(_ metric: MetricName) throws -> Double {
            try #require(families.first { $0.name == metric.name }?.samples.first?.value)
        }
        #expect(families.count == 5)
        #expect(try value(MetricNames.processCPU) > 0)
        #expect(try value(MetricNames.processResidentMemory) > 1_000_000)
        #expect(try value(MetricNames.processOpenFDs) >= 3)
        #expect(try value(MetricNames.processMaxFDs) >= value(MetricNames.processOpenFDs))
        let age = try Date().timeIntervalSince1970 - value(MetricNames.processStartTime)
        #expect(age > -2 && age < 3_600)
    }

    @Test("an opened file shows in the count of descriptors")
    func descriptors() throws {
        func count() throws -> Double {
            try #require(ProcessFacts.families().first { $0.name == "process_open_fds" }?.samples.first?.value)
        }
        let handles = (0..<40).map { _ in FileHandle(forReadingAtPath: "/dev/null") }
        let during = try count()
        for handle in handles { try handle?.close() }
        let after = try count()
        // Other tests run beside this one and open files too, but not forty.
        #expect(during - after > 20)
    }
}

@Suite("metrics of libraries")
struct LibraryMetricsTests {
    @Test("counters, meters, recorders and timers come out under Prometheus' names")
    func kinds() throws {
        let registry = MetricRegistry()
        let factory = registry.factory
        factory.makeCounter(label: "http.server.requests", dimensions: [("le", "x"), ("a.b", "y")]).increment(by: 2)
        factory.makeFloatingPointCounter(label: "work_total", dimensions: []).increment(by: 0.5)
        let meter = factory.makeMeter(label: "active", dimensions: [])
        meter.set(5.0)
        meter.decrement(by: 2)
        factory.makeRecorder(label: "latest", dimensions: [], aggregate: false).record(Int64(7))
        factory.makeRecorder(label: "sizes", dimensions: [], aggregate: true).record(Int64(50))
        factory.makeTimer(label: "http.server.request.duration", dimensions: []).recordNanoseconds(2_000_000_000)
        let families = try PrometheusReader.read(registry.render())
        func samples(_ name: String) -> [MetricSample] { families.first { $0.name == name }?.samples ?? [] }
        #expect(
            samples("http_server_requests_total") == [MetricSample(labels: [("le_", "x"), ("a_b", "y")], value: 2)])
        #expect(samples("work_total") == [MetricSample(value: 0.5)])
        #expect(samples("active") == [MetricSample(value: 3)])
        #expect(samples("latest") == [MetricSample(value: 7)])
        #expect(samples("sizes").first { $0.labels.first?.value == "100" }?.value == 1)
        #expect(samples("sizes").first { $0.labels.first?.value == "10" }?.value == 0)
        let timer = samples("http_server_request_duration_seconds")
        #expect(timer.first { $0.suffix == "_sum" }?.value == 2)
        #expect(timer.first { $0.labels.first?.value == "1" }?.value == 0)
        #expect(timer.first { $0.labels.first?.value == "2.5" }?.value == 1)
    }

    @Test("one name and labels is one series, and a destroyed one is gone")
    func identity() throws {
        let registry = MetricRegistry()
        let first = registry.factory.makeCounter(label: "c", dimensions: [("a", "1")])
        registry.factory.makeCounter(label: "c", dimensions: [("a", "1")]).increment(by: 1)
        first.increment(by: 1)
        first.increment(by: -5)
        let other = registry.factory.makeCounter(label: "c", dimensions: [("a", "2")])
        other.increment(by: 9)
        registry.factory.destroyCounter(other)
        let families = try PrometheusReader.read(registry.render())
        #expect(families.first { $0.name == "c_total" }?.samples == [MetricSample(labels: [("a", "1")], value: 2)])
    }

    @Test("a name that is something else already counts nothing and is counted")
    func conflict() {
        let registry = MetricRegistry()
        registry.factory.makeMeter(label: "x", dimensions: []).set(1.0)
        registry.factory.makeRecorder(label: "x", dimensions: [], aggregate: true).record(1.0)
        #expect(registry.refused == 1)
    }

    @Test("the thousandth series has room, the next one is refused and counted")
    func bound() throws {
        let registry = MetricRegistry()
        for position in 0..<1_000 {
            registry.factory.makeCounter(label: "c", dimensions: [("n", "\(position)")]).increment(by: 1)
        }
        #expect(registry.refused == 0)
        registry.factory.makeCounter(label: "c", dimensions: [("n", "one more")]).increment(by: 1)
        #expect(registry.refused == 1)
        let families = try PrometheusReader.read(registry.render())
        #expect(families.first { $0.name == "c_total" }?.samples.count == 1_000)
    }

    @Test("a value on an edge belongs to the bucket below it, and many threads lose nothing")
    func histogram() async {
        let cells = HistogramCells(edges: [1, 2])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask { for _ in 0..<2_000 { for value in [1, 1.5, 2, 3] { cells.record(value) } } }
            }
        }
        cells.record(.nan)
        #expect(cells.counts == [8_000, 16_000, 8_000])
        #expect(cells.sum == 60_000)
    }
}

enum PromTool {
    static let path = ["/usr/bin/promtool", "/usr/local/bin/promtool", "/opt/homebrew/bin/promtool"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    static func check(_ text: String) throws -> (output: String, status: Int32) {
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = path.map { URL(fileURLWithPath: $0) }
        process.arguments = ["check", "metrics"]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        try input.fileHandleForWriting.close()
        let said = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (String(decoding: said, as: UTF8.self), process.terminationStatus)
    }
}
