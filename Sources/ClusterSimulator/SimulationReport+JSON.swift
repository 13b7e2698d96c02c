import Determinism
import Membership
import WireCoding

extension SimulationReport {
    /// One line. Fields may be added, those that are here stay.
    package var json: String {
        var fields: [(String, String)] = [
            ("seed", "\(options.seed)"), ("commit", JSON.text(options.commit)), ("replicas", "\(options.replicas)"),
            ("duration", JSON.number(Double(options.duration.rawValue) / 1e9)),
            ("scenario", JSON.text(options.scenario.rawValue)), ("loss", JSON.number(Double(options.loss) / 1e6)),
            ("runs", "\(runs)"), ("trace_hash", JSON.text(hashText)), ("events", "\(events)"),
            ("events_per_second", wallSeconds > 0 ? "\(Int(Double(events) / wallSeconds))" : "null"),
            ("wall_seconds", JSON.number(wallSeconds)),
            ("simulated_seconds", JSON.number(Double(simulated.rawValue) / 1e9)),
            ("violation_count", "\(violationCount)"),
            ("violations", "[\(violations.map(Self.json).joined(separator: ","))]"),
            ("broken_seeds", "[\(brokenSeeds.map(String.init).joined(separator: ","))]"),
        ]
        let names = Mark.allCases.map { "\(JSON.text("\($0)")):\(marks[Int($0.rawValue)])" }
        fields.append(("marks", "{\(names.joined(separator: ","))}"))
        let reasons = DropReason.allCases.map { "\(JSON.text($0.word)):\(drops[Int($0.rawValue)])" }
        fields.append(("drops", "{\(reasons.joined(separator: ","))}"))
        fields += [
            ("detection_seconds", SimulatedTimes(firstDetections).json),
            ("detection_all_seconds", SimulatedTimes(allDetections).json),
            ("join_seconds", SimulatedTimes(joins).json), ("leave_seconds", SimulatedTimes(leaves).json),
            ("heal_seconds", SimulatedTimes(heals).json), ("false_deaths", "\(falseDeaths)"),
            ("node_hours", JSON.number(nodeHours)),
            ("false_deaths_per_node_hour", JSON.number(falseDeathsPerNodeHour)),
            ("bytes_per_node_second", "\(bytesPerNodeSecond)"),
            ("bytes_per_node_second_max", "\(quietBytesPerSecond.max() ?? 0)"), ("packets", "\(packets)"),
            ("streams", "\(streams)"), ("reproduction", JSON.text(options.reproduction)),
        ]
        return "{" + fields.map { "\(JSON.text($0)):\($1)" }.joined(separator: ",") + "}"
    }

    package var hashText: String {
        let digits = String(traceHash, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    private static func json(_ violation: SimulationViolation) -> String {
        "{\"promise\":\(JSON.text(violation.promise.rawValue)),\"at\":\(JSON.number(Double(violation.at.rawValue) / 1e9)),"
            + "\"replica\":\(violation.replica),\"sentence\":\(JSON.text(violation.sentence))}"
    }

    /// For people: what was run, what was broken, what was measured.
    package var text: String {
        var lines = [options.reproduction]
        lines += violations.map(\.line)
        lines.append(
            violationCount == 0
                ? "no promise broken in \(events) events" : "\(violationCount) broken; \(script.count) lines of script")
        func times(_ name: String, _ values: [Int64]) {
            guard !values.isEmpty else { return }
            let times = SimulatedTimes(values)
            lines.append(
                "\(name): \(times.count), median \(JSON.number(times.median)) s, p99 \(JSON.number(times.p99)) s, "
                    + "max \(JSON.number(times.max)) s")
        }
        times("first detection", firstDetections)
        times("all know of a death", allDetections)
        times("all know of a join", joins)
        times("all know of a leave", leaves)
        times("views agree after trouble", heals)
        lines.append("false deaths: \(falseDeaths) in \(JSON.number(nodeHours)) node hours")
        lines.append("idle: \(bytesPerNodeSecond) B/s of UDP a replica; trace \(hashText)")
        return lines.joined(separator: "\n")
    }
}

enum JSON {
    static func text(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// With three digits after the point: reports are read by people too.
    static func number(_ value: Double) -> String {
        let thousandths = Int64((value * 1_000).rounded())
        let digits = String(abs(thousandths) % 1_000)
        return (thousandths < 0 ? "-" : "") + "\(abs(thousandths) / 1_000)."
            + String(repeating: "0", count: 3 - digits.count) + digits
    }
}
