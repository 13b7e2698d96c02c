package import Determinism

/// Something that happens at a moment of the worker's own time: a fault begins, a setting changes, the process restarts.
package struct ScenarioStep: Sendable, Equatable {
    package enum Deed: Sendable, Equatable {
        case fault(ScriptedFault)
        case set(MachineSetting)
        /// Cold, after a pause.
        case restart(Duration)
    }

    package let at: Instant
    package let deed: Deed

    package init(at: Instant, deed: Deed) {
        self.at = at
        self.deed = deed
    }

    /// Steps of one scenario.
    package static let stepsMax = 1_024

    /// Which step could not be read, and why.
    package struct Unreadable: Error, Equatable { package let message: String }

    /// `[{"at_ms": 5000, "fault": {"kind": "slow"}}, {"at_ms": 9000, "restart": {"ms": 2000}}, {"at_ms": 0, "set": {…}}]`
    package static func steps(_ value: JSONValue) throws(Unreadable) -> [ScenarioStep] {
        guard let items = value.items else { throw Unreadable(message: "a scenario is a list of steps") }
        guard items.count <= stepsMax else { throw Unreadable(message: "a scenario has at most \(stepsMax) steps") }
        var steps: [ScenarioStep] = []
        for (number, item) in items.enumerated() {
            do throws(ScriptedFault.Unreadable) {
                steps.append(try step(item))
            } catch {
                throw Unreadable(message: "step \(number + 1): \(error.message)")
            }
        }
        // Stable: steps of one moment keep their order.
        return steps.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    private static func step(_ value: JSONValue) throws(ScriptedFault.Unreadable) -> ScenarioStep {
        let names = (value.members ?? []).map(\.name)
        guard let moment = value["at_ms"]?.number, moment >= 0, moment <= 1e12 else {
            throw ScriptedFault.Unreadable(message: "at_ms must be a number of milliseconds")
        }
        let at = Instant.zero + .milliseconds(moment)
        guard names.count == 2, let deed = names.first(where: { $0 != "at_ms" }), let order = value[deed] else {
            throw ScriptedFault.Unreadable(message: "it takes at_ms and one of fault, set, restart")
        }
        switch deed {
        case "fault": return ScenarioStep(at: at, deed: .fault(try ScriptedFault(order)))
        case "set":
            return ScenarioStep(at: at, deed: .set(try MachineSetting(order)))
        case "restart":
            guard let pause = (order["ms"] ?? .integer(0)).number, (0...1e9).contains(pause) else {
                throw ScriptedFault.Unreadable(message: "restart.ms must be a number of milliseconds")
            }
            return ScenarioStep(at: at, deed: .restart(.milliseconds(pause)))
        default: throw ScriptedFault.Unreadable(message: "\(deed): unknown; known are fault, set, restart")
        }
    }
}

extension WorkerMachine {
    /// Takes over a scenario; its moments count from the beginning of the worker's time.
    package mutating func play(_ steps: [ScenarioStep]) { script = steps }

    mutating func playScript() {
        while let step = script.first, step.at <= time {
            script.removeFirst()
            switch step.deed {
            case .fault(let fault): _ = add(fault, at: time)
            case .set(let setting): set(setting, at: time)
            case .restart(let pause): restart(after: pause)
            }
        }
    }
}
