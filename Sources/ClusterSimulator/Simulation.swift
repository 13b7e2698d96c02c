import Determinism

/// Runs of the simulator, for the command line and for tests.
package enum Simulation {
    /// One run. `tell` gets the story line by line.
    package static func run(_ options: SimulationOptions, tell: ((String) -> Void)? = nil) -> SimulationReport {
        var world = World(options, tell: tell)
        world.run()
        return SimulationReport(world)
    }

    /// The script that a run with these options has.
    package static func script(_ options: SimulationOptions) -> [ScriptLine] { Plan(options).script }
    /// The weather that it has, as it is written in a test.
    package static func weather(_ options: SimulationOptions) -> LinkWeather { Plan(options).weather }

    /// Cuts a run that breaks a promise down to what it needs for that, keeping the promise that is broken first: lines of
    /// the script by bisection, then weather, then replicas, then time. `told` hears of each step.
    package static func shrink(
        _ options: SimulationOptions, runsMax: Int = 400, told: ((String) -> Void)? = nil
    ) -> (options: SimulationOptions, report: SimulationReport)? {
        var shrinker = Shrinker(options, runsMax: runsMax, told: told)
        return shrinker.shrink()
    }
}

/// See `Simulation.shrink`.
struct Shrinker {
    private var best: SimulationOptions
    private var report: SimulationReport?
    private var runsLeft: Int
    private let told: ((String) -> Void)?

    init(_ options: SimulationOptions, runsMax: Int, told: ((String) -> Void)?) {
        best = options
        runsLeft = runsMax
        self.told = told
    }

    mutating func shrink() -> (options: SimulationOptions, report: SimulationReport)? {
        let whole = Simulation.run(best)
        guard !whole.isClean else { return nil }
        report = whole
        // From here on the script stands by itself: fewer replicas must not mean another one.
        let plan = Plan(best)
        best.script = plan.script
        best.weather = plan.weather
        best.hasSmallBounds = plan.hasSmallBounds
        guard attempt("as a script of its own", best) else { return (best, whole) }
        shrinkScript()
        calmWeather()
        fewerReplicas()
        shorter()
        shrinkScript()
        return report.map { (best, $0) }
    }

    /// True when the same promise is still broken; then that is the best so far.
    private mutating func attempt(_ what: String, _ options: SimulationOptions) -> Bool {
        guard runsLeft > 0, let wanted = report?.violations.first?.promise else { return false }
        runsLeft -= 1
        let attempt = Simulation.run(options)
        guard attempt.violations.contains(where: { $0.promise == wanted }) else { return false }
        best = options
        report = attempt
        told?("\(wanted.rawValue) \(what): \(options.script?.count ?? 0) lines, \(options.replicas) replicas")
        return true
    }

    private mutating func shrinkScript() {
        var chunk = max(1, (best.script?.count ?? 0) / 2)
        while let script = best.script, !script.isEmpty, runsLeft > 0 {
            var first = 0
            while first < best.script?.count ?? 0, runsLeft > 0 {
                var smaller = best
                smaller.script?.removeSubrange(first..<min(first + chunk, best.script?.count ?? 0))
                if !attempt("without \(chunk)", smaller) { first += chunk }
            }
            guard chunk > 1 else { return }
            chunk /= 2
        }
    }

    private mutating func calmWeather() {
        var calm = best
        calm.weather = .lan
        if attempt("on a LAN", calm) { return }
        let changes: [(String, (inout LinkWeather) -> Void)] = [
            (
                "without delay",
                {
                    $0.delayMin = LinkWeather.lan.delayMin; $0.delayTail = LinkWeather.lan.delayTail
                }
            ),
            ("without spread", { $0.delaySpread = .zero }), ("without loss", { $0.loss = 0 }),
            ("without bursts", { $0.bursts = nil }), ("without copies", { $0.duplication = 0 }),
            ("without replays", { $0.replay = 0 }), ("without holding back", { $0.held = 0 }),
            ("without damage", { $0.damage = 0 }), ("with wide links", { $0.narrowBytes = nil }),
            ("with fast links", { $0.bytesPerSecond = nil }),
        ]
        for (what, change) in changes {
            var weather = best.weather ?? .lan
            change(&weather)
            guard weather != best.weather else { continue }
            var calmer = best
            calmer.weather = weather
            _ = attempt(what, calmer)
        }
    }

    private mutating func fewerReplicas() {
        while best.replicas > 1, runsLeft > 0 {
            var fewer = best
            fewer.replicas -= 1
            fewer.script = best.script?.compactMap { line in
                line.trouble.among(fewer.replicas).map { ScriptLine(at: line.at, $0) }
            }
            guard attempt("with \(fewer.replicas)", fewer) else { return }
        }
    }

    private mutating func shorter() {
        while best.duration > .seconds(1), runsLeft > 0 {
            var shorter = best
            shorter.duration = best.duration / 2
            guard attempt("in \(shorter.duration.wholeMilliseconds) ms", shorter) else { return }
        }
    }
}

extension Trouble {
    /// The same with so many replicas; nil when it needs one that is not there.
    func among(_ replicas: Int) -> Trouble? {
        switch self {
        case .crash(let place, _, _, _), .dies(let place, _), .pause(let place, _), .slow(let place, _, _),
            .jump(let place, _), .rebind(let place), .join(let place), .leave(let place, _), .rotate(let place),
            .stranger(let place):
            place < replicas ? self : nil
        case .part(let groups, let isOneWay, let length):
            .part(Array(groups.prefix(replicas)), isOneWay: isOneWay, length)
        case .cut(let from, let to, _, _, _): from < replicas && to < replicas ? self : nil
        case .forceLeave(let by, let of): by < replicas && of < replicas ? self : nil
        case .crashAll, .weather: self
        }
    }
}
