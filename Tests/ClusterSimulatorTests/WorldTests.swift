import Determinism
import Testing

@testable import ClusterSimulator

@Suite struct WorldTests {
    @Test("a quiet flock finds itself, keeps every promise and is quiet", arguments: [1, 2, 3, 5, 8])
    func idle(replicas: Int) {
        let report = Simulation.run(
            SimulationOptions(seed: UInt64(replicas), replicas: replicas, scenario: .idle, duration: .seconds(15)))
        #expect(report.violations.map(\.line) == [])
        #expect(report.joins.count == replicas - (replicas == 1 ? 1 : 0))
        #expect(replicas == 1 || (1...500).contains(report.bytesPerNodeSecond))
    }

    @Test("the same seed tells the same story, another seed another one (M23)")
    func determinism() {
        func story(_ seed: UInt64) -> (lines: [String], hash: UInt64) {
            var lines: [String] = []
            let report = Simulation.run(
                SimulationOptions(seed: seed, replicas: 3, scenario: .mixed, duration: .seconds(30)),
                tell: { lines.append($0) })
            return (lines, report.traceHash)
        }
        let (first, again, other) = (story(4), story(4), story(5))
        #expect(first.lines == again.lines && first.lines.count > 10)
        #expect(first.hash == again.hash && first.hash != other.hash)
    }
}
