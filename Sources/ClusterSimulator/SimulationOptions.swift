package import Determinism

/// What is run. Everything else follows from the seed.
package struct SimulationOptions: Sendable {
    package var seed: UInt64
    package var replicas: Int
    package var scenario: Scenario
    /// Of the part with faults.
    package var duration: Nanoseconds
    /// Millionths of packets lost, where the scenario takes it.
    package var loss: UInt32
    /// Instead of the scenario's own lines.
    package var script: [ScriptLine]?
    package var weather: LinkWeather?
    /// Nil: a third of the seeds of `mixed` have small ones.
    package var hasSmallBounds: Bool?
    package var commit: String
    /// Only lines about this replica, and after that time, go into the trace.
    package var tracesOnly: Int?
    package var tracesFrom: Nanoseconds

    package init(
        seed: UInt64, replicas: Int = 5, scenario: Scenario = .mixed, duration: Nanoseconds? = nil, loss: UInt32 = 0,
        script: [ScriptLine]? = nil, weather: LinkWeather? = nil, hasSmallBounds: Bool? = nil,
        commit: String = "unknown",
        tracesOnly: Int? = nil, tracesFrom: Nanoseconds = .zero
    ) {
        self.seed = seed
        self.replicas = replicas
        self.scenario = scenario
        self.duration = duration ?? scenario.usualDuration
        self.loss = loss
        self.script = script
        self.weather = weather
        self.hasSmallBounds = hasSmallBounds
        self.commit = commit
        self.tracesOnly = tracesOnly
        self.tracesFrom = tracesFrom
    }

    /// The command that tells the same story again.
    package var reproduction: String {
        "starling simulate --seed \(seed) --commit \(commit) --replicas \(replicas) --scenario \(scenario.rawValue) "
            + "--duration \(duration.wholeMilliseconds)ms" + (loss > 0 ? " --loss \(Self.fraction(loss))" : "")
    }

    /// 0.2, 0.05, 0.000001.
    private static func fraction(_ perMillion: UInt32) -> String {
        var digits = String(perMillion % 1_000_000)
        digits = String(repeating: "0", count: 6 - digits.count) + digits
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        return "\(perMillion / 1_000_000).\(digits)"
    }
}
