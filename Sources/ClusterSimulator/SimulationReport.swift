package import Determinism
package import Membership
import WireCoding

/// What a run has shown. Reports of several runs add up, so a bar can have the sample that it needs.
package struct SimulationReport: Sendable {
    package private(set) var options: SimulationOptions
    package private(set) var runs = 1
    package private(set) var violations: [SimulationViolation] = []
    package private(set) var violationCount = 0
    /// Seeds whose runs broke a promise.
    package private(set) var brokenSeeds: [UInt64] = []
    package private(set) var traceHash: UInt64
    package private(set) var events: Int
    package private(set) var simulated: Nanoseconds
    /// How often each of `Mark.allCases` was reached.
    package private(set) var marks: [Int]
    /// By `DropReason`.
    package private(set) var drops: [Int]
    package private(set) var firstDetections: [Int64]
    package private(set) var allDetections: [Int64]
    package private(set) var joins: [Int64]
    package private(set) var leaves: [Int64]
    package private(set) var heals: [Int64]
    package private(set) var falseDeaths: Int
    /// Time that replicas were up, all together.
    package private(set) var upTime: Int64
    /// Of UDP with headers, one figure for each replica's quiet time at the end.
    package private(set) var quietBytesPerSecond: [Int]
    package private(set) var packets: Int
    package private(set) var streams: Int
    /// What was to go wrong.
    package private(set) var script: [ScriptLine]
    /// By the wall clock, which this room does not know: set by whoever ran it.
    package var wallSeconds: Double = 0

    init(_ world: World) {
        options = world.options
        let measures = world.observer.measures
        violations = world.observer.violations
        violationCount = world.observer.violationCount
        brokenSeeds = violationCount > 0 ? [world.options.seed] : []
        traceHash = world.hash.digest()
        events = world.events
        simulated = world.simulated
        marks = measures.marks
        drops = measures.drops
        firstDetections = measures.firstDetections
        allDetections = measures.allDetections
        joins = measures.joins
        leaves = measures.leaves
        heals = measures.heals
        falseDeaths = measures.falseDeaths
        upTime = measures.upTime
        quietBytesPerSecond = world.quietBytesPerSecond
        packets = measures.packets
        streams = measures.streams
        script = world.script
    }

    /// Adds another run: figures are pooled, violations of the first few seeds are kept.
    package mutating func add(_ other: SimulationReport) {
        runs += other.runs
        if violations.count < Self.violationsMax {
            violations += other.violations.prefix(Self.violationsMax - violations.count)
        }
        violationCount += other.violationCount
        brokenSeeds += other.brokenSeeds.prefix(max(0, Self.violationsMax - brokenSeeds.count))
        var hash = StableHash64(seed: traceHash)
        hash.update(other.traceHash)
        traceHash = hash.digest()
        events += other.events
        simulated += other.simulated
        for place in marks.indices { marks[place] += other.marks[place] }
        for place in drops.indices { drops[place] += other.drops[place] }
        firstDetections += other.firstDetections
        allDetections += other.allDetections
        joins += other.joins
        leaves += other.leaves
        heals += other.heals
        falseDeaths += other.falseDeaths
        upTime += other.upTime
        quietBytesPerSecond += other.quietBytesPerSecond
        packets += other.packets
        streams += other.streams
        wallSeconds += other.wallSeconds
    }

    private static let violationsMax = 100

    package var isClean: Bool { violationCount == 0 }

    package var falseDeathsPerNodeHour: Double {
        upTime == 0 ? 0 : Double(falseDeaths) / (Double(upTime) / 3_600e9)
    }

    package var nodeHours: Double { Double(upTime) / 3_600e9 }

    package var bytesPerNodeSecond: Int {
        quietBytesPerSecond.isEmpty ? 0 : quietBytesPerSecond.reduce(0, +) / quietBytesPerSecond.count
    }

    package func count(of mark: Mark) -> Int { marks[Int(mark.rawValue)] }
}

/// Count, median, p99 and greatest of some times in seconds.
package struct SimulatedTimes: Sendable {
    package let count: Int
    package let median: Double
    package let p99: Double
    package let max: Double

    /// Ranks are nearest ones: the p99 of a hundred is the ninety-ninth.
    package init(_ nanoseconds: [Int64]) {
        let sorted = nanoseconds.sorted()
        func rank(_ percent: Int) -> Double {
            guard !sorted.isEmpty else { return 0 }
            let place = (sorted.count * percent + 99) / 100 - 1
            return Double(sorted[Swift.max(0, place)]) / 1e9
        }
        count = sorted.count
        median = rank(50)
        p99 = rank(99)
        max = rank(100)
    }

    var json: String {
        "{\"count\":\(count),\"median\":\(JSON.number(median)),\"p99\":\(JSON.number(p99)),\"max\":\(JSON.number(max))}"
    }
}
