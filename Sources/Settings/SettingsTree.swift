/// The file as a tree in which every node knows its place: what YAML gives, without YAML's opinions about values.
///
/// YAML 1.1 reads `1:30` as 90 and `on` as true. Here a scalar stays the text that was written, with the one bit that
/// matters: was it quoted? The reader of a key decides what that text may mean.
import Yams

indirect enum SettingsNode: Sendable {
    case scalar(SettingsScalar)
    case list([SettingsNode], SettingsPlace)
    case mapping([SettingsEntry], SettingsPlace)

    var place: SettingsPlace {
        switch self {
        case .scalar(let scalar): scalar.place
        case .list(_, let place), .mapping(_, let place): place
        }
    }

    /// What an operator would call it.
    var noun: String {
        switch self {
        case .scalar(let scalar): scalar.isNull ? "nothing" : SettingsText.quoted(scalar.text)
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }

    var isNull: Bool {
        if case .scalar(let scalar) = self { scalar.isNull } else { false }
    }
}

struct SettingsScalar: Sendable {
    enum Style: Sendable {
        case plain
        case quoted
        /// From a variable or a flag, where quotes belong to the shell: it may be read as text or as a number.
        case override
    }

    let text: String
    let style: Style
    let place: SettingsPlace

    var isNull: Bool { style == .plain && (text.isEmpty || text == "~" || text == "null") }
}

struct SettingsEntry: Sendable {
    let key: String
    let keyPlace: SettingsPlace
    var value: SettingsNode
}

/// Values as they stand in sentences.
enum SettingsText {
    static func quoted(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars.prefix(80) {
            switch scalar {
            case "\"": shown += "\\\""
            case "\\": shown += "\\\\"
            case "\n": shown += "\\n"
            case "\t": shown += "\\t"
            default: shown += scalar.value < 32 || scalar.value == 127 ? "?" : String(Character(scalar))
            }
        }
        if text.unicodeScalars.count > 80 { shown += "…" }
        return "\"\(shown)\""
    }

    static func list(_ words: [String]) -> String { words.joined(separator: ", ") }
}

enum SettingsTree {
    /// Aliases are copies, and copies of copies grow without end: a file of some lines could fill the memory.
    static let nodesMax = 100_000
    static let depthMax = 32

    /// The root mapping of a file; an empty file is an empty mapping.
    static func parse(_ text: String, path: String) throws(SettingsFailure) -> SettingsNode {
        let root = try compose(text, path: path)
        let top = SettingsPlace.file(path: path, line: 1, column: 1)
        guard let root else { return .mapping([], top) }
        var counter = 0
        let node = try convert(root, path: path, inherited: top, depth: 0, counter: &counter)
        if node.isNull { return .mapping([], top) }
        guard case .mapping = node else {
            throw SettingsFailure([
                SettingsFault(at: node.place, "the file must be a mapping of sections (server:, cluster_nodes: …)")
            ])
        }
        return node
    }

    /// `[a, b]` or `{k: v}` out of a variable or flag. Every node has the override's place.
    static func parseOverride(_ text: String, at place: SettingsPlace) throws(SettingsFailure) -> SettingsNode {
        guard let first = text.first(where: { $0 != " " }), first == "[" || first == "{" else {
            return .scalar(SettingsScalar(text: text, style: .override, place: place))
        }
        guard let root = try? Yams.compose(yaml: text, .basic) else {
            throw SettingsFailure([SettingsFault(at: place, "the value begins like a list or mapping but is not YAML")])
        }
        var counter = 0
        return replaced(try convert(root, path: "", inherited: place, depth: 0, counter: &counter), place)
    }

    private static func replaced(_ node: SettingsNode, _ place: SettingsPlace) -> SettingsNode {
        switch node {
        case .scalar(let scalar):
            .scalar(
                SettingsScalar(
                    text: scalar.text, style: scalar.style == .plain ? .override : scalar.style, place: place))
        case .list(let items, _): .list(items.map { replaced($0, place) }, place)
        case .mapping(let entries, _):
            .mapping(
                entries.map { SettingsEntry(key: $0.key, keyPlace: place, value: replaced($0.value, place)) }, place)
        }
    }

    private static func convert(
        _ node: Node, path: String, inherited: SettingsPlace, depth: Int, counter: inout Int
    ) throws(SettingsFailure) -> SettingsNode {
        let place = node.mark.map { SettingsPlace.file(path: path, line: $0.line, column: $0.column) } ?? inherited
        counter += 1
        guard counter <= nodesMax, depth <= depthMax else {
            throw SettingsFailure([
                SettingsFault(
                    at: place,
                    "more than \(nodesMax) values or \(depthMax) levels; YAML aliases may have multiplied them")
            ])
        }
        switch node {
        case .scalar(let scalar):
            return .scalar(SettingsScalar(text: scalar.string, style: try style(scalar, place), place: place))
        case .sequence(let sequence):
            var items: [SettingsNode] = []
            for item in sequence {
                items.append(try convert(item, path: path, inherited: place, depth: depth + 1, counter: &counter))
            }
            return .list(items, place)
        case .mapping(let mapping):
            var entries: [SettingsEntry] = []
            for (key, value) in mapping {
                let keyPlace =
                    key.mark.map { SettingsPlace.file(path: path, line: $0.line, column: $0.column) } ?? place
                guard case .scalar(let name) = key else {
                    throw SettingsFailure([SettingsFault(at: keyPlace, "a key must be one word, not a list or mapping")]
                    )
                }
                let child = try convert(value, path: path, inherited: keyPlace, depth: depth + 1, counter: &counter)
                // libYAML marks a missing value at the token after it, which may be on the next line.
                let settled: SettingsNode =
                    child.isNull ? .scalar(SettingsScalar(text: "", style: .plain, place: keyPlace)) : child
                entries.append(SettingsEntry(key: name.string, keyPlace: keyPlace, value: settled))
            }
            return .mapping(entries, place)
        case .alias:
            throw SettingsFailure([SettingsFault(at: place, "an alias without its anchor")])
        }
    }

    private static func style(
        _ scalar: Node.Scalar, _ place: SettingsPlace
    ) throws(SettingsFailure) -> SettingsScalar.Style {
        switch scalar.style {
        case .singleQuoted, .doubleQuoted, .literal, .folded: return .quoted
        case .any, .plain: break
        }
        switch "\(scalar.tag)" {
        case "", "!": return .plain
        case "tag:yaml.org,2002:str": return .quoted
        default: throw SettingsFailure([SettingsFault(at: place, "tags like \(scalar.tag) mean nothing here")])
        }
    }

    private static func compose(_ text: String, path: String) throws(SettingsFailure) -> Node? {
        do {
            return try Yams.compose(yaml: text, .basic)
        } catch let error as YamlError {
            throw failure(error, text: text, path: path)
        } catch {
            throw SettingsFailure(file: path, "is not YAML: \(error)")
        }
    }

    private static func failure(_ error: YamlError, text: String, path: String) -> SettingsFailure {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let about = context.map { "\($0.text.split(separator: "\n").first ?? "") " } ?? ""
            return SettingsFailure(
                file: path, line: mark.line, column: mark.column,
                "is not YAML: \(about)\(problem) (column \(mark.column))")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let key = duplicates.first ?? ""
            let first = context.mark
            let again = secondLine(of: key, after: first, in: text)
            let sentence = "key \(SettingsText.quoted(key)) is written twice in one mapping"
            return SettingsFailure(
                file: path, line: again ?? first.line, column: first.column,
                again == nil ? sentence + "; keep one" : sentence + " (first on line \(first.line)); keep one")
        case .reader(let problem, let offset, _, let yaml):
            let line = offset.map { yaml.prefix($0).count { $0.isNewline } + 1 }
            return SettingsFailure(file: path, line: line, "is not YAML: \(problem)")
        default:
            return SettingsFailure(file: path, "is not YAML: \(error)")
        }
    }

    /// Yams tells where the first of two equal keys stands; an operator wants the second. In a block mapping it begins
    /// at the same column of a later line.
    private static func secondLine(of key: String, after mark: Mark, in text: String) -> Int? {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard mark.line >= 1, mark.line < lines.count else { return nil }
        for index in mark.line..<lines.count {
            let line = lines[index].unicodeScalars.dropFirst(mark.column - 1)
            let indent = lines[index].unicodeScalars.prefix(mark.column - 1)
            guard indent.allSatisfy({ $0 == " " }) else { continue }
            for spelling in ["\(key):", "\"\(key)\":", "'\(key)':"] where String(line).hasPrefix(spelling) {
                return index + 1
            }
        }
        return nil
    }
}
