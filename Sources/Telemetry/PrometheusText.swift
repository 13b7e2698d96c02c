/// Families as Prometheus' text format 0.0.4: HELP, TYPE, then a line per sample, values escaped.
package enum PrometheusText {
    /// What the answer's `content-type` must say.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package static func render(_ families: [MetricFamily]) -> String {
        var text = ""
        for family in families {
            text += "# HELP \(family.name) \(escapedHelp(family.help))\n# TYPE \(family.name) \(family.type.rawValue)\n"
            for sample in family.samples {
                text += family.name
                text += sample.suffix
                if !sample.labels.isEmpty {
                    text += "{"
                    for (position, label) in sample.labels.enumerated() {
                        if position > 0 { text += "," }
                        text += label.name
                        text += "=\""
                        text += escapedLabel(label.value)
                        text += "\""
                    }
                    text += "}"
                }
                text += " "
                text += number(sample.value)
                text += "\n"
            }
        }
        return text
    }

    /// Whole numbers without a fraction, and the words Go's parser knows for what is no number.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Beyond 2^53 a double has no whole numbers of its own any more.
        if value == value.rounded(), abs(value) < 9_007_199_254_740_992 { return "\(Int64(value))" }
        return "\(value)"
    }

    static func escapedHelp(_ text: String) -> String { escaped(text, quotes: false) }
    static func escapedLabel(_ text: String) -> String { escaped(text, quotes: true) }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        // Nearly no text needs escaping, and looking is cheaper than copying.
        guard text.utf8.contains(where: { $0 == 92 || $0 == 10 || (quotes && $0 == 34) }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func isMetricName(_ name: String) -> Bool { isName(name, colons: true) }
    /// `[a-zA-Z_][a-zA-Z0-9_]*`, without the reserved `__`.
    static func isLabelName(_ name: String) -> Bool { isName(name, colons: false) && !name.hasPrefix("__") }

    private static func isName(_ name: String, colons: Bool) -> Bool {
        guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
        return name.utf8.allSatisfy { isNameByte($0) || (colons && $0 == 58) }
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, 95: true
        default: false
        }
    }
}
