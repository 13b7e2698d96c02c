import Determinism
import Testing

@testable import ClusterSimulator

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Many seeds of the worst there is. `SIM_SEEDS` says how many, `SIM_BASE` which is the first: a constant unless given, so
/// that a red run can be repeated and is red because of a change.
@Suite struct SweepTests {
    static let seeds = number("SIM_SEEDS") ?? 10
    static let base = number("SIM_BASE") ?? 20_261_130
    /// Seeds of one test case: cases run beside each other.
    static let share = 100

    static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    static var shares: [Range<Int>] {
        stride(from: 0, to: seeds, by: share).map { $0..<min($0 + share, seeds) }
    }

    @Test("whatever happens to a flock, nothing unsafe does, and it becomes one again", arguments: shares)
    func mixed(share: Range<Int>) {
        for number in share {
            let replicas = [1, 2, 3, 5, 8][number % 5]
            let seed = UInt64(Self.base + number)
            let report = Simulation.run(SimulationOptions(seed: seed, replicas: replicas, scenario: .mixed))
            // The line that reproduces it.
            #expect(
                report.violations.isEmpty,
                "starling simulate --seed \(seed) --replicas \(replicas) --scenario mixed: \(report.violations.map(\.line))"
            )
        }
    }

    @Test("a whole flock that restarts finds itself again", arguments: [3, 8])
    func restart(replicas: Int) {
        for number in 0..<max(3, Self.seeds / 40) {
            let seed = UInt64(Self.base + number)
            let report = Simulation.run(SimulationOptions(seed: seed, replicas: replicas, scenario: .restart))
            #expect(
                report.violations.isEmpty, "starling simulate --seed \(seed) --replicas \(replicas) --scenario restart")
        }
    }

    @Test("crashes are found within the bars", arguments: [3, 5, 8])
    func kill(replicas: Int) {
        var report = Simulation.run(
            SimulationOptions(seed: UInt64(Self.base), replicas: replicas, scenario: .kill, duration: .seconds(600)))
        for number in 1..<max(2, min(Self.seeds / 100, 16)) {
            report.add(
                Simulation.run(
                    SimulationOptions(
                        seed: UInt64(Self.base + number), replicas: replicas, scenario: .kill, duration: .seconds(600)))
            )
        }
        let detections = report.firstDetections.sorted()
        #expect(detections.count >= 15)
        #expect(detections[detections.count / 2] <= Nanoseconds.seconds(3).rawValue)
        // A p99 is one only of three hundred.
        if detections.count >= 300 {
            #expect(detections[detections.count * 99 / 100] <= Nanoseconds.seconds(4).rawValue)
        }
        #expect(report.violations.isEmpty)
    }
}
