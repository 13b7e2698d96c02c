package import Determinism

/// What kind of story is told.
package enum Scenario: String, Sendable, CaseIterable {
    /// All that can go wrong, half of its kinds in each seed.
    case mixed
    /// Nothing.
    case idle
    /// One crash after the other in a quiet network.
    case kill
    /// The same, with loss.
    case loss
    /// One pause after the other.
    case pause
    /// One partition after the other.
    case partition
    /// Everybody ends and starts again within ten seconds.
    case restart
    /// One replica after the other joins.
    case join
    /// One replica after the other leaves, and comes back.
    case leave
    /// Traffic keys are changed while replicas come and go.
    case rotate
    /// Thirty hours: sleep, old backups, what is forgotten.
    case long

    package var usualDuration: Nanoseconds {
        switch self {
        case .long: .seconds(30 * 3_600)
        case .mixed: .seconds(90)
        default: .seconds(60)
        }
    }

    /// How long the part without faults is looked at, at most.
    var settling: Nanoseconds { .seconds(60) }
    /// And the quiet part.
    var quiet: Nanoseconds { .seconds(30) }
}

/// A scenario made concrete.
struct Plan: Sendable {
    var weather = LinkWeather.lan
    var script: [ScriptLine] = []
    /// Replicas that do not start at the beginning.
    var joinsLater: Set<Int> = []
    /// All start within this time.
    var startsWithin = Nanoseconds.seconds(1)
    /// Clocks are wrong and run differently.
    var hasBadClocks = false
    var hasSmallBounds = false
    /// Crashes stay away until they are noticed, so detection is measured.
    var measuresDetection = false
    /// A replica of another cluster exists.
    var hasStranger = false

    init(_ options: SimulationOptions) {
        let world = WorldGenerator(seed: options.seed)
        let replicas = options.replicas
        var generator = world.stream("plan")
        switch options.scenario {
        case .mixed:
            let drawn = Nemesis.draw(world, replicas: replicas, duration: options.duration)
            weather = drawn.weather
            script = drawn.script
            hasBadClocks = generator.isHeads()
            hasSmallBounds = generator.below(3) == 0
            startsWithin = generator.span(.zero, .seconds(5))
        case .idle: break
        case .kill, .loss:
            weather = .lossy(options.loss)
            measuresDetection = true
            script = Self.crashes(replicas, options, &generator)
        case .pause:
            weather = .lossy(options.loss)
            script = Self.each(options, from: 10, every: 40) { at, place in
                let pauses: [Int64] = [1_000, 2_000, 10_000, 10_000, 20_000]
                let length = pauses[Int(generator.below(UInt64(pauses.count)))]
                return ScriptLine(at: at, .pause(place % replicas, .milliseconds(length)))
            }
        case .partition:
            script = Self.each(options, from: 10, every: 45) { at, place in
                var groups = [UInt8](repeating: 0, count: replicas)
                for index in groups.indices { groups[index] = UInt8((index + place) * 2 / replicas % 2) }
                return ScriptLine(at: at, .part(groups, isOneWay: false, .seconds(20)))
            }
        case .restart:
            hasBadClocks = true
            startsWithin = .seconds(2)
            script = Self.each(options, from: 15, every: 40) { at, _ in
                ScriptLine(at: at, .crashAll(restartWithin: .seconds(10)))
            }
        case .join:
            let joiners = max(1, min(replicas / 2, Int(options.duration.wholeSeconds) / 4))
            joinsLater = Set((replicas - joiners)..<replicas)
            script = (0..<joiners).map { place in
                ScriptLine(at: .milliseconds(6_000 + 3_000 * Int64(place)), .join(replicas - joiners + place))
            }
        case .leave:
            script = Self.each(options, from: 10, every: 6) { at, place in
                ScriptLine(at: at, .leave(place % replicas, restartAfter: .seconds(3)))
            }
        case .rotate:
            weather = .lossy(options.loss)
            script = Self.each(options, from: 8, every: 20) { at, place in
                ScriptLine(at: at, .rotate(by: place % replicas))
            }
            script += Self.each(options, from: 15, every: 20) { at, place in
                ScriptLine(
                    at: at,
                    .crash((place + 1) % replicas, disk: .kept, host: .refuses, restartAfter: .seconds(8)))
            }
            script.sort { $0.at < $1.at }
        case .long: script = Self.longStory(replicas, options, &generator)
        }
        if let given = options.weather { weather = given }
        if let given = options.script { script = given }
        if let given = options.hasSmallBounds { hasSmallBounds = given }
        for line in script {
            if case .stranger = line.trouble { hasStranger = true }
            if case .join(let joiner) = line.trouble { joinsLater.insert(joiner) }
        }
    }

    private static func each(
        _ options: SimulationOptions, from first: Int64, every step: Int64, _ line: (Nanoseconds, Int) -> ScriptLine
    ) -> [ScriptLine] {
        let last = max(first + 1, options.duration.wholeSeconds - step / 2)
        return stride(from: first, to: last, by: Int(step)).enumerated().map { line(.seconds($1), $0) }
    }

    /// Each crash is given the longest suspicion to be noticed, then the process comes back.
    private static func crashes(
        _ replicas: Int, _ options: SimulationOptions, _ generator: inout SeededGenerator
    ) -> [ScriptLine] {
        let away: Int64 = replicas > 200 ? 30 : 20
        return each(options, from: replicas > 200 ? 20 : 10, every: away + 10) { at, _ in
            let jitter = Nanoseconds.milliseconds(Int64(generator.below(1_000)))
            // The host is gone with it: nobody is refused, and suspicion has to run its course.
            return ScriptLine(
                at: at + jitter,
                .crash(
                    Int(generator.below(UInt64(replicas))), disk: .kept, host: .silent, restartAfter: .seconds(away)))
        }
    }

    private static func longStory(
        _ replicas: Int, _ options: SimulationOptions, _ generator: inout SeededGenerator
    ) -> [ScriptLine] {
        var lines: [ScriptLine] = []
        let hours = max(1, options.duration.wholeSeconds / 3_600)
        func anyone(_ generator: inout SeededGenerator) -> Int { Int(generator.below(UInt64(replicas))) }
        for hour in 0..<hours {
            let at = Nanoseconds.seconds(hour * 3_600 + 60 + Int64(generator.below(3_000)))
            switch generator.below(8) {
            case 0:
                lines.append(
                    ScriptLine(at: at, .pause(anyone(&generator), .seconds(3_600 * Int64(generator.whole(1...8))))))
            case 1:
                lines.append(
                    ScriptLine(
                        at: at,
                        .crash(anyone(&generator), disk: .olderBackup, host: .silent, restartAfter: .seconds(600))))
            case 2:
                lines.append(
                    ScriptLine(
                        at: at, .crash(anyone(&generator), disk: .wiped, host: .silent, restartAfter: .seconds(7_200))))
            case 3:
                var groups = [UInt8](repeating: 0, count: replicas)
                groups[anyone(&generator)] = 1
                lines.append(
                    ScriptLine(at: at, .part(groups, isOneWay: false, .seconds(3_600 * Int64(generator.whole(1...26)))))
                )
            case 4: lines.append(ScriptLine(at: at, .leave(anyone(&generator), restartAfter: .seconds(3_600))))
            case 5: lines.append(ScriptLine(at: at, .jump(anyone(&generator), seconds: 3_600)))
            case 6: lines.append(ScriptLine(at: at, .rotate(by: anyone(&generator))))
            default: break
            }
        }
        return lines
    }
}
