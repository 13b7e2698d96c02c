/// Reads one mapping key by key and remembers which keys were asked for, so that `finish` can name the ones nobody
/// knows. That makes the code that reads a key the only list of keys there is.
///
/// Every fault is noted and reading goes on with the default, so that all of them are told at once.
struct SectionReader {
    /// `server`, `cluster_nodes.0`, or empty for the root.
    let path: String
    let place: SettingsPlace
    let report: SettingsReport
    private let entries: [SettingsEntry]
    private var known: [String] = []

    init(path: String, node: SettingsNode, report: SettingsReport) {
        self.path = path
        self.report = report
        place = node.place
        switch node {
        case .mapping(let entries, _):
            self.entries = entries
        case .scalar(let scalar) where scalar.isNull:
            entries = []
        case .scalar, .list:
            entries = []
            report.fault(at: node.place, "\(path) must be a mapping of keys and values, not \(node.noun)")
        }
    }

    func full(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Where this key's value was written; the default's place if nobody wrote it.
    func place(of key: String) -> SettingsPlace {
        entries.first { $0.key == key }?.value.place ?? .builtIn
    }

    func isWritten(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// Names the keys that nobody asked for. Called last.
    func finish() {
        for entry in entries where !known.contains(entry.key) {
            let section = path.isEmpty ? "at the top of the file" : "in \(path)"
            let sentence = "unknown key \(SettingsText.quoted(entry.key)) \(section)"
            if let nearest = NearestKey.of(entry.key, among: known) {
                let suggestion = spelled(nearest, like: entry.keyPlace)
                report.fault(at: entry.keyPlace, "\(sentence) (did you mean \"\(suggestion)\"?)")
            } else {
                report.fault(at: entry.keyPlace, "\(sentence) (known there: \(SettingsText.list(known)))")
            }
        }
    }

    /// A variable is answered with a variable, a flag with a flag; the steps behind the mistaken one are kept.
    private func spelled(_ key: String, like place: SettingsPlace) -> String {
        let depth = path.isEmpty ? 0 : path.split(separator: ".").count
        switch place {
        case .builtIn, .file: return key
        case .environment(let name):
            var words = SettingsOverlay.words(ofVariable: name)
            words[depth] = key
            return SettingsOverlay.prefix + words.joined(separator: "__").uppercased()
        case .flag(let path):
            var words = SettingsOverlay.words(ofPath: path)
            words[depth] = key
            return words.joined(separator: ".")
        }
    }

    /// The node of a key, and the key is known from here on.
    private mutating func node(_ key: String) -> SettingsNode? {
        known.append(key)
        return entries.first { $0.key == key }?.value
    }

    private func wrong(_ key: String, _ expected: String, _ node: SettingsNode) {
        report.fault(at: node.place, "\(full(key)) must be \(expected), not \(node.noun)")
    }
}

// MARK: - Values

extension SectionReader {
    mutating func wholeNumber(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let node = node(key) else { return nil }
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard case .scalar(let scalar) = node, scalar.style != .quoted else {
            wrong(key, expected, node)
            return nil
        }
        guard let value = Self.plainInteger(scalar.text) else {
            // `1_000`, `0o17` and `1:30` are numbers to YAML 1.1; whoever wrote them should know that they are not here.
            wrong(key, expected + " in plain digits", node)
            return nil
        }
        guard range.contains(value) else {
            report.fault(at: scalar.place, "\(full(key)) must be \(expected), not \(value)")
            return nil
        }
        report.note(full(key), "\(value)", from: scalar.place)
        return value
    }

    mutating func wholeNumber(_ key: String, default value: Int, in range: ClosedRange<Int>) -> Int {
        orDefault(key, wholeNumber(key, in: range), value) { "\($0)" }
    }

    mutating func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
        guard let node = node(key) else { return nil }
        let expected = "a number from \(Self.shown(range.lowerBound)) to \(Self.shown(range.upperBound))"
        guard case .scalar(let scalar) = node, scalar.style != .quoted, let value = Self.plainNumber(scalar.text) else {
            wrong(key, expected + " in plain digits", node)
            return nil
        }
        guard range.contains(value) else {
            report.fault(at: scalar.place, "\(full(key)) must be \(expected), not \(scalar.text)")
            return nil
        }
        report.note(full(key), Self.shown(value), from: scalar.place)
        return value
    }

    mutating func number(_ key: String, default value: Double, in range: ClosedRange<Double>) -> Double {
        orDefault(key, number(key, in: range), value) { Self.shown($0) }
    }

    mutating func flag(_ key: String) -> Bool? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let scalar) = node, scalar.style != .quoted, scalar.text == "true" || scalar.text == "false"
        else {
            wrong(key, "true or false", node)
            return nil
        }
        report.note(full(key), scalar.text, from: scalar.place)
        return scalar.text == "true"
    }

    mutating func flag(_ key: String, default value: Bool) -> Bool {
        orDefault(key, flag(key), value) { "\($0)" }
    }

    /// Text that passes `rule`, which says what is expected when it does not.
    mutating func text(_ key: String, rule: TextRule) -> String? {
        guard let node = node(key) else { return nil }
        guard let text = plainText(node, full(key), rule) else { return nil }
        report.note(full(key), SettingsText.quoted(text), from: node.place)
        return text
    }

    mutating func text(_ key: String, default value: String, rule: TextRule) -> String {
        orDefault(key, text(key, rule: rule), value) { SettingsText.quoted($0) }
    }

    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default value: Choice
    ) -> Choice where Choice.RawValue == String {
        let words = Choice.allCases.map(\.rawValue)
        var chosen: Choice?
        if let node = node(key) {
            let expected = "one of \(SettingsText.list(words))"
            if case .scalar(let scalar) = node, !scalar.isNull {
                chosen = Choice(rawValue: scalar.text)
                if chosen == nil {
                    let nearest = NearestKey.of(scalar.text, among: words).map { " (did you mean \"\($0)\"?)" } ?? ""
                    wrong(key, expected, node, nearest)
                }
            } else {
                wrong(key, expected, node)
            }
            if let chosen { report.note(full(key), SettingsText.quoted(chosen.rawValue), from: node.place) }
        }
        return orDefault(key, chosen, value) { SettingsText.quoted($0.rawValue) }
    }

    /// A file or folder, relative to the settings file. Empty means none.
    mutating func path(_ key: String, default value: String) -> String {
        guard let node = node(key) else {
            let resolved = report.resolve(value)
            report.note(full(key), SettingsText.quoted(resolved), from: .builtIn)
            return resolved
        }
        guard let text = plainText(node, full(key), .path) else { return report.resolve(value) }
        let resolved = report.resolve(text)
        report.note(full(key), SettingsText.quoted(resolved), from: node.place)
        return resolved
    }

    /// Never shown, not even in a fault.
    mutating func secret(_ key: String) -> Redacted<String>? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let scalar) = node, !scalar.isNull, !scalar.text.isEmpty, scalar.text.utf8.count <= 4096,
            scalar.text.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
        else {
            report.fault(at: node.place, "\(full(key)) must be 1 to 4096 visible ASCII characters")
            return nil
        }
        report.note(full(key), "‹redacted›", from: scalar.place)
        return Redacted(scalar.text)
    }

    mutating func texts(_ key: String, countMax: Int, rule: TextRule) -> [String] {
        list(key, countMax: countMax) { reader, node, name in reader.plainText(node, name, rule).map { ($0, $0) } }
    }

    /// Seeds say in their own words what is wrong with them.
    mutating func seeds(_ key: String, countMax: Int) -> [SeedAddress] {
        list(key, countMax: countMax) { reader, node, name in
            let rule = TextRule(expected: "host:port, [v6]:port or dns:name:port") { _ in true }
            guard let text = reader.plainText(node, name, rule) else { return nil }
            do throws(SeedAddress.Mistake) {
                return (text, try SeedAddress(parsing: text))
            } catch {
                reader.report.fault(at: node.place, "\(name) \(SettingsText.quoted(text)) \(error.sentence)")
                return nil
            }
        }
    }

    /// `read` notes the fault of an item that it cannot take.
    private mutating func list<Value: Hashable>(
        _ key: String, countMax: Int, _ read: (SectionReader, SettingsNode, String) -> (text: String, value: Value)?
    ) -> [Value] {
        guard let node = node(key) else {
            report.note(full(key), "[]", from: .builtIn)
            return []
        }
        guard case .list(let items, let place) = node else {
            wrong(key, "a list of texts, like [\"a\", \"b\"]", node)
            return []
        }
        guard items.count <= countMax else {
            report.fault(at: place, "\(full(key)) has \(items.count) entries; at most \(countMax) are kept")
            return []
        }
        let faultsBefore = report.faults.count
        var texts: [String] = []
        var values: [Value] = []
        var seen = Set<Value>()
        for (index, item) in items.enumerated() {
            guard let (text, value) = read(self, item, "\(full(key)).\(index)") else { continue }
            if !seen.insert(value).inserted {
                report.fault(at: item.place, "\(full(key)) lists \(SettingsText.quoted(text)) twice")
            }
            texts.append(text)
            values.append(value)
        }
        if report.faults.count == faultsBefore {
            report.note(full(key), "[\(texts.map(SettingsText.quoted).joined(separator: ", "))]", from: place)
        }
        return values
    }

    private mutating func orDefault<Value>(
        _ key: String, _ value: Value?, _ standard: Value, shown: (Value) -> String
    ) -> Value {
        if let value { return value }
        if !isWritten(key) { report.note(full(key), shown(standard), from: .builtIn) }
        return standard
    }

    private func wrong(_ key: String, _ expected: String, _ node: SettingsNode, _ suggestion: String) {
        report.fault(at: node.place, "\(full(key)) must be \(expected), not \(node.noun)\(suggestion)")
    }

    func plainText(_ node: SettingsNode, _ name: String, _ rule: TextRule) -> String? {
        guard case .scalar(let scalar) = node, !scalar.isNull else {
            report.fault(at: node.place, "\(name) must be \(rule.expected), not \(node.noun)")
            return nil
        }
        if scalar.style == .plain, Self.plainNumber(scalar.text) != nil || ["true", "false"].contains(scalar.text) {
            report.fault(
                at: scalar.place,
                "\(name) must be text, not \(scalar.text); write \"\(scalar.text)\" in quotes if it is meant")
            return nil
        }
        guard rule.accepts(scalar.text) else {
            report.fault(at: scalar.place, "\(name) must be \(rule.expected), not \(node.noun)")
            return nil
        }
        return scalar.text
    }
}

// MARK: - Sections

extension SectionReader {
    /// A section nobody wrote is an empty one.
    mutating func section(_ key: String) -> SectionReader {
        let node = node(key) ?? .mapping([], .builtIn)
        return SectionReader(path: full(key), node: node, report: report)
    }

    /// The entries of a list of mappings.
    mutating func items(_ key: String, countMax: Int) -> [SettingsNode] {
        guard let node = node(key), !node.isNull else { return [] }
        guard case .list(let items, let place) = node else {
            wrong(key, "a list", node)
            return []
        }
        guard items.count <= countMax else {
            report.fault(at: place, "\(full(key)) has \(items.count) entries; at most \(countMax) are kept")
            return []
        }
        return items
    }

    /// A mapping whose keys are the operator's own words.
    mutating func words(_ key: String, countMax: Int, keyRule: TextRule, rule: TextRule) -> [SettingsEntry] {
        guard let node = node(key), !node.isNull else { return [] }
        guard case .mapping(let entries, let place) = node else {
            wrong(key, "a mapping of names", node)
            return []
        }
        guard entries.count <= countMax else {
            report.fault(at: place, "\(full(key)) has \(entries.count) entries; at most \(countMax) are kept")
            return []
        }
        return entries.filter { entry in
            guard keyRule.accepts(entry.key) else {
                report.fault(
                    at: entry.keyPlace,
                    "a key of \(full(key)) must be \(keyRule.expected), not \(SettingsText.quoted(entry.key))")
                return false
            }
            guard let text = plainText(entry.value, "\(full(key)).\(entry.key)", rule) else { return false }
            report.note("\(full(key)).\(entry.key)", SettingsText.quoted(text), from: entry.value.place)
            return true
        }
    }
}

// MARK: - Digits

extension SectionReader {
    /// Decimal digits with an optional minus and no leading zero, so that no reader of the file can see another number.
    static func plainInteger(_ text: String) -> Int? {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        guard digits.utf8.count == 1 || digits.utf8.first != 48 else { return nil }
        return Int(text)
    }

    /// As `plainInteger`, with an optional fraction.
    static func plainNumber(_ text: String) -> Double? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first, plainInteger(String(whole)) != nil else { return nil }
        if parts.count == 2 {
            guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        }
        return Double(text)
    }

    static func shown(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    }
}
