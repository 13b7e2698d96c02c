/// ollama's `keep_alive`: how long a model stays after its last use. Seconds, or a duration as Go writes it.
package enum KeepAlive: Sendable, Equatable {
    case forever
    case duration(Duration)

    /// Nil when it says nothing that could be understood.
    package init?(_ value: JSONValue?) {
        switch value {
        case .integer(let seconds): self = seconds < 0 ? .forever : .duration(.seconds(min(seconds, 1_000_000_000)))
        case .real(let seconds) where seconds.isFinite:
            self = seconds < 0 ? .forever : .duration(.seconds(min(seconds, 1e9)))
        case .string(let text):
            if text.hasPrefix("-") {
                self = .forever
                return
            }
            guard let seconds = Self.seconds(text) else { return nil }
            self = .duration(.seconds(seconds))
        default: return nil
        }
    }

    /// `300`, `5m`, `1h30m`, `500ms`.
    private static func seconds(_ text: String) -> Double? {
        if let plain = Double(text) { return plain.isFinite ? min(plain, 1e9) : nil }
        let units: [(name: String, seconds: Double)] = [("ms", 0.001), ("h", 3_600), ("m", 60), ("s", 1)]
        var rest = Substring(text)
        var sum = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            guard let number = Double(digits), let unit = units.first(where: { rest.hasPrefix($0.name) }) else {
                return nil
            }
            rest = rest.dropFirst(unit.name.count)
            sum += number * unit.seconds
        }
        return text.isEmpty ? nil : min(sum, 1e9)
    }
}
