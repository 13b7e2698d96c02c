/// Reads Prometheus' text format back, strictly, so that what we write is checked by something that did not write it.
import Telemetry

struct PrometheusReader {
    struct Failure: Error { let sentence: String }

    static func read(_ text: String) throws -> [MetricFamily] {
        guard text.isEmpty || text.hasSuffix("\n") else { throw Failure(sentence: "the last line has no end") }
        var families: [MetricFamily] = []
        var seen = Set<String>()
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# HELP ") {
                let parts = line.dropFirst(7).split(separator: " ", maxSplits: 1)
                guard parts.count == 2 else { throw Failure(sentence: "no help: \(line)") }
                guard seen.insert(String(parts[0])).inserted else { throw Failure(sentence: "\(parts[0]) comes twice") }
                families.append(
                    MetricFamily(name: String(parts[0]), help: try unescaped(parts[1]), type: .gauge, samples: []))
            } else if line.hasPrefix("# TYPE ") {
                let parts = line.dropFirst(7).split(separator: " ")
                guard parts.count == 2, let last = families.indices.last, families[last].name == parts[0],
                    let type = MetricFamily.Kind(rawValue: String(parts[1]))
                else { throw Failure(sentence: "a type out of place: \(line)") }
                families[last].type = type
            } else {
                guard let last = families.indices.last else { throw Failure(sentence: "a sample before its family") }
                families[last].samples.append(try sample(line, of: families[last].name))
            }
        }
        return families
    }

    private static func sample(_ line: Substring, of family: String) throws -> MetricSample {
        guard line.hasPrefix(family) else { throw Failure(sentence: "\(line) stands under \(family)") }
        var rest = line.dropFirst(family.count)
        let suffix = rest.prefix { $0 != "{" && $0 != " " }
        guard ["", "_bucket", "_sum", "_count"].contains(suffix) else { throw Failure(sentence: "suffix \(suffix)") }
        rest = rest.dropFirst(suffix.count)
        var labels: [(name: String, value: String)] = []
        if rest.first == "{" {
            rest = rest.dropFirst()
            while rest.first != "}" {
                let name = rest.prefix { $0 != "=" }
                rest = rest.dropFirst(name.count)
                guard rest.hasPrefix("=\"") else { throw Failure(sentence: "a label without quotes: \(line)") }
                rest = rest.dropFirst(2)
                var end = rest.startIndex
                while end < rest.endIndex, rest[end] != "\"" {
                    end = rest.index(end, offsetBy: rest[end] == "\\" ? 2 : 1)
                }
                labels.append((String(name), try unescaped(rest[..<end])))
                rest = rest[end...].dropFirst()
                if rest.first == "," { rest = rest.dropFirst() }
            }
            rest = rest.dropFirst()
        }
        guard rest.first == " ", let value = number(rest.dropFirst()) else {
            throw Failure(sentence: "no value: \(line)")
        }
        return MetricSample(suffix: String(suffix), labels: labels, value: value)
    }

    private static func number(_ text: Substring) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        case "NaN": .nan
        default: Double(text)
        }
    }

    private static func unescaped(_ text: Substring) throws -> String {
        var plain = ""
        var rest = text
        while let first = rest.first {
            rest = rest.dropFirst()
            guard first == "\\" else {
                plain.append(first)
                continue
            }
            switch rest.first {
            case "\\": plain.append("\\")
            case "\"": plain.append("\"")
            case "n": plain.append("\n")
            default: throw Failure(sentence: "an escape nobody knows: \(text)")
            }
            rest = rest.dropFirst()
        }
        return plain
    }
}
