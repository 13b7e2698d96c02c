/// Lays variables and `--set` over the file's tree before anything is read, so that one reader checks all of them and
/// an unknown variable is found like an unknown key.
///
/// `STARLING_SERVER__PORT=8001` and `--set server.port=8001` mean the same place; a number is a list index.
enum SettingsOverlay {
    static let prefix = "STARLING_"

    /// Read by the command line tools, not by the settings.
    static let foreignVariables: Set<String> = ["STARLING_KEY", "STARLING_URL", "STARLING_CONFIG"]

    /// Mappings whose keys are the operator's own words; a dot in the rest of a `--set` path belongs to the word.
    static let freeMappings = [["models", "aliases"]]

    static func apply(
        environment: [String: String], overrides: [String], to root: SettingsNode, report: SettingsReport
    ) -> SettingsNode {
        var root = root
        for name in environment.keys.sorted() where isOurs(name) {
            let words = words(ofVariable: name)
            lay(environment[name] ?? "", at: words, place: .environment(name), onto: &root, report: report)
        }
        for override in overrides {
            guard let equals = override.firstIndex(of: "="), equals != override.startIndex else {
                report.fault(
                    at: .flag(override), "expected a path and a value, like --set server.port=8001")
                continue
            }
            let path = String(override[..<equals])
            let value = String(override[override.index(after: equals)...])
            lay(value, at: words(ofPath: path), place: .flag(path), onto: &root, report: report)
        }
        return root
    }

    /// Container platforms add variables for every service they know; for a service called "starling" these look like
    /// ours (`STARLING_PORT=tcp://10.0.0.7:8000`, `STARLING_SERVICE_HOST`). No setting of ours can have such a name,
    /// because every setting stands in a section and so has `__` in its variable.
    static func isOurs(_ name: String) -> Bool {
        guard name.hasPrefix(prefix), !foreignVariables.contains(name) else { return false }
        let rest = name.dropFirst(prefix.count)
        if rest.contains("__") { return true }
        return !(rest == "PORT" || rest.hasPrefix("PORT_") || rest.hasPrefix("SERVICE_"))
    }

    static func words(ofVariable name: String) -> [String] {
        var words: [String] = []
        var word = ""
        var rest = name.dropFirst(prefix.count)[...]
        while let first = rest.first {
            if rest.hasPrefix("__") {
                words.append(word)
                word = ""
                rest = rest.dropFirst(2)
            } else {
                word += first.lowercased()
                rest = rest.dropFirst()
            }
        }
        return words + [word]
    }

    static func words(ofPath path: String) -> [String] {
        let words = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        for free in freeMappings where words.count > free.count + 1 && words.starts(with: free) {
            return free + [words[free.count...].joined(separator: ".")]
        }
        return words
    }

    private static func lay(
        _ text: String, at words: [String], place: SettingsPlace, onto root: inout SettingsNode, report: SettingsReport
    ) {
        guard !words.contains("") else {
            return report.fault(at: place, "a step of the path is empty")
        }
        do throws(SettingsFailure) {
            let value = try SettingsTree.parseOverride(text, at: place)
            if let sentence = set(value, words[...], place: place, in: &root) { report.fault(at: place, sentence) }
        } catch {
            report.faults += error.faults
        }
    }

    /// The sentence of what is wrong, or nil.
    private static func set(
        _ value: SettingsNode, _ words: ArraySlice<String>, place: SettingsPlace, in node: inout SettingsNode
    ) -> String? {
        guard let word = words.first else {
            node = value
            return nil
        }
        let rest = words.dropFirst()
        if let index = index(word) {
            var items: [SettingsNode] = []
            if case .list(let present, _) = node { items = present }
            // A list grows by one at its end; a larger index is a slip.
            guard index <= items.count else {
                return
                    "index \(index) is past the end of a list of \(items.count) (the next free index is \(items.count))"
            }
            if index == items.count { items.append(.mapping([], place)) }
            let sentence = set(value, rest, place: place, in: &items[index])
            node = .list(items, place)
            return sentence
        }
        var entries: [SettingsEntry] = []
        var own = place
        if case .mapping(let present, let there) = node {
            entries = present
            own = there
        }
        let position = entries.firstIndex { $0.key == word }
        var child = position.map { entries[$0].value } ?? .mapping([], place)
        let sentence = set(value, rest, place: place, in: &child)
        if let position {
            entries[position].value = child
        } else {
            entries.append(SettingsEntry(key: word, keyPlace: place, value: child))
        }
        node = .mapping(entries, own)
        return sentence
    }

    private static func index(_ word: String) -> Int? {
        guard word.utf8.count <= 6, word.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(word)
    }
}
