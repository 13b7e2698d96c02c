import ArgumentParser
import ClusterSimulator
import Determinism
import Foundation

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A flock of replicas in a world made from a seed: faults, then peace, then every promise is checked.",
        discussion: """
            The same seed tells the same story, and ends with the same trace hash, always. The first line that is printed \
            tells it again. Exits with 1 when a promise was broken.

            Scenarios: \(Scenario.allCases.map(\.rawValue).joined(separator: ", ")).
            """)
    static let replicasMax = 2_000
    static let seedsMax = 1_000_000

    @Option(name: .long, help: "How many replicas, 1 to 2000.")
    var replicas = 5
    @Option(name: .long, help: "Of the world; without it one is drawn, and printed.")
    var seed: UInt64?
    @Option(name: .long, help: "Runs so many seeds, from the first on, and adds up what they show.")
    var seeds = 1
    @Option(name: .long, help: "Of the part with faults: 60s, 500ms, 2m, 30h. Without it the scenario's own.")
    var duration: SpanOption?
    @Option(name: .long, help: "What kind of story.")
    var scenario = Scenario.mixed
    @Option(name: .long, help: "Share of packets lost, 0 to 1, in the scenarios kill, loss, pause and rotate.")
    var loss = 0.0
    @Flag(name: .long, help: "Tells the story, a line for each event.")
    var trace = false
    @Option(name: .long, help: "Tells it from there on: 12s.")
    var traceFrom: SpanOption?
    @Option(name: .long, help: "Tells it of this replica alone: r3.")
    var only: ReplicaOption?
    @Flag(name: .long, help: "Cuts a run that breaks a promise down to what it needs for that.")
    var shrink = false
    @Option(name: .long, help: "text or json: one line with all figures.")
    var format = Format.text
    @Option(
        name: .long,
        help: "What the first line calls the commit; without it, the one of the checkout around the binary.")
    var commit: String?

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    func validate() throws {
        guard (1...Self.replicasMax).contains(replicas) else {
            throw ValidationError("--replicas is a number from 1 to \(Self.replicasMax)")
        }
        guard (0...1).contains(loss) else { throw ValidationError("--loss is a share from 0 to 1, like 0.2") }
        guard (1...Self.seedsMax).contains(seeds) else {
            throw ValidationError("--seeds is a number from 1 to \(Self.seedsMax)")
        }
        if seeds > 1, trace || shrink {
            throw ValidationError("--trace and --shrink are about one seed; leave --seeds out")
        }
        if let only, only.index >= replicas {
            throw ValidationError("--only r\(only.index): there are \(replicas) replicas, r0 is the first")
        }
    }

    func run() throws {
        let first = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let commit = commit ?? Checkout.commit
        var total: SimulationReport?
        for step in 0..<UInt64(seeds) {
            let options = SimulationOptions(
                seed: first &+ step, replicas: replicas, scenario: scenario, duration: duration?.span,
                loss: UInt32((loss * 1_000_000).rounded()), commit: commit, tracesOnly: only?.index,
                tracesFrom: traceFrom?.span ?? .zero)
            // Before the run: if a machine traps, this line is all that is left.
            if seeds == 1 || step == 0 { tell(options.reproduction) }
            let report = Self.timed { Simulation.run(options, tell: trace ? { print($0) } : nil) }
            if !report.isClean, seeds > 1 {
                tell(options.reproduction)
                for violation in report.violations { tell(violation.line) }
            }
            if total == nil { total = report } else { total?.add(report) }
        }
        guard let total else { return }
        switch format {
        case .json: print(total.json)
        case .text: print(total.text.split(separator: "\n").dropFirst().joined(separator: "\n"))
        }
        if shrink, !total.isClean { tellSmallest(total.options) }
        if !total.isClean { throw ExitCode(1) }
    }

    /// As it can be pasted into a test.
    private func tellSmallest(_ options: SimulationOptions) {
        guard let smallest = Simulation.shrink(options, told: { tell("-- \($0)") }) else { return }
        let least = smallest.options
        tell("-- \(smallest.report.violations.first?.line ?? "")")
        tell(
            "seed: \(least.seed), replicas: \(least.replicas), duration: .milliseconds(\(least.duration.wholeMilliseconds)),"
        )
        tell("weather: \(least.weather?.code ?? ".lan"), script: [")
        for line in least.script ?? [] { tell("    \(line)") }
        tell("]")
    }

    private static func timed(_ body: () -> SimulationReport) -> SimulationReport {
        let clock = ContinuousClock()
        let start = clock.now
        var report = body()
        report.wallSeconds = (clock.now - start).wholeSeconds
        return report
    }

    /// Figures alone on standard output when a program reads them.
    private func tell(_ line: String) {
        switch format {
        case .text: print(line)
        case .json: FlockOptions.complain(line)
        }
    }
}

extension Scenario: ExpressibleByArgument {}

/// `60s`, `500ms`, `2m`, `30h`.
struct SpanOption: ExpressibleByArgument {
    let span: Nanoseconds

    init?(argument: String) {
        let units: [(String, Int64)] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        for (unit, milliseconds) in units where argument.hasSuffix(unit) {
            guard let count = Int64(argument.dropLast(unit.count)), (1...Int64(1_000_000_000)).contains(count) else {
                continue
            }
            // A week: longer stories have no scenario.
            let (total, overflow) = count.multipliedReportingOverflow(by: milliseconds)
            guard !overflow, total <= 7 * 24 * 3_600_000 else { return nil }
            span = .milliseconds(total)
            return
        }
        return nil
    }
}

/// `r3`, as traces call it, or `3`.
struct ReplicaOption: ExpressibleByArgument {
    let index: Int

    init?(argument: String) {
        guard let number = Int(argument.hasPrefix("r") ? argument.dropFirst() : argument[...]), number >= 0 else {
            return nil
        }
        index = number
    }
}
