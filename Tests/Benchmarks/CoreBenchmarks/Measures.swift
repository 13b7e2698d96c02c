/// What is measured, and the list of all benchmarks. The plugin's generated `main` calls `benchmarks`.
import Benchmark

let benchmarks: @Sendable () -> Void = {
    RequestScanBenchmarks.register()
    EventStreamCutterBenchmarks.register()
    StrategyBenchmarks.register()
    SpliceListBenchmarks.register()
}

enum Measures {
    /// Instructions vary by a thousandth where time varies by a tenth: compare those first. Allocations are counted only
    /// where the library was built with its interposer.
    static var metrics: [BenchmarkMetric] {
        var metrics: [BenchmarkMetric] = [.wallClock, .instructions]
        #if canImport(MallocInterposerSwift)
            metrics.append(.mallocCountTotal)
        #endif
        return metrics
    }

    /// For what takes well under a microsecond: a thousand a sample, reported for one.
    static var tiny: Benchmark.Configuration {
        Benchmark.Configuration(
            metrics: metrics, warmupIterations: 3, scalingFactor: .kilo, maxDuration: .seconds(1), maxIterations: 2_000)
    }

    /// For what takes a microsecond or more.
    static var small: Benchmark.Configuration {
        Benchmark.Configuration(
            metrics: metrics, warmupIterations: 3, scalingFactor: .one, maxDuration: .seconds(1), maxIterations: 10_000)
    }
}
