/// One choice of each strategy, from a flock of five and of twenty: mixed chips, some of them busy.
import Balancing
import Benchmark
import Determinism

enum StrategyBenchmarks {
    static func register() {
        for strategy in StrategyName.allCases {
            for count in [5, 20] {
                let flock = flock(of: count)
                // A hundred conversations, so that beliefs and keys are not always the same.
                let queries = (0..<100).map { query($0) }
                Benchmark("choose: \(strategy.rawValue) of \(count)", configuration: Measures.tiny) { benchmark in
                    var chooser = PlacementChooser(strategy: strategy, seed: 7)
                    var next = 0
                    for _ in benchmark.scaledIterations {
                        blackHole(chooser.choose(among: flock, for: queries[next]))
                        next = next == 99 ? 0 : next + 1
                    }
                }
            }
        }
    }

    private static func flock(of count: Int) -> [Candidate] {
        (0..<count).map { index in
            let running = index % 4
            return Candidate(
                worker: WorkerIndex(rawValue: index), ringKey: StableHash64.hash("mac-\(index)"), slots: 4,
                running: running, queued: 0, weight: index % 5 == 0 ? 2 : 1, promptTokensAhead: 400 * running,
                outputTokensAhead: 150 * running, prefillRate: [300, 550, 900][index % 3],
                decodeRate: [25, 45, 70][index % 3], stepSlope: 0.15, loadSeconds: 0, pressure: 0)
        }
    }

    private static func query(_ number: Int) -> PlacementQuery {
        PlacementQuery(
            model: ModelIndex(rawValue: 0), promptTokens: 600, outputTokens: 256,
            prefixFingerprint: StableHash64.hash("conversation \(number)"),
            affinityKey: StableHash64.hash("tenant \(number)"))
    }
}
