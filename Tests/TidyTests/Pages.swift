/// Pages (`*.md`) name files. Files move, and a page that names one that is gone sends its reader away in vain.
///
/// A word of code (in backticks, or on an indented line) is taken for the name of one of our files when it ends like one
/// (`Rendezvous.swift`), or when it is a path whose first part is a folder of ours (`cluster/bench/run`). A path must
/// exist from the repository's root or from the page's own folder; a bare name anywhere in the repository. Targets of
/// links are read as a browser does, from the page's folder.
struct Page: Sendable {
    /// From the repository's root.
    let path: String
    let text: String

    private static let endings = ["swift", "py", "md", "yaml", "toml", "go", "conf", "sh"]

    private var folder: String { path.split(separator: "/").dropLast().joined(separator: "/") }

    func violations(in tree: FileTree) -> [Violation] {
        var found: [Violation] = []
        var isFenced = false
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") {
                isFenced.toggle()
                continue
            }
            guard !isFenced else { continue }
            let names = Self.words(of: line).filter { isMissing($0, in: tree) }
            let targets = Self.targets(of: line).filter { !tree.contains($0, from: folder) }
            found += (names + targets).map {
                Violation(path: path, line: number + 1, sentence: "names \($0), which does not exist")
            }
        }
        return found
    }

    private func isMissing(_ name: String, in tree: FileTree) -> Bool {
        let parts = name.split(separator: "/")
        guard let first = parts.first, let last = parts.last else { return false }
        let pieces = last.split(separator: ".", omittingEmptySubsequences: false)
        let looksLikeFile = pieces.count > 1 && Self.endings.contains(String(pieces[pieces.count - 1]))
        if parts.count == 1 { return looksLikeFile && !tree.names.contains(name) }
        let startsAtHome = tree.contains(String(first), from: "") || tree.contains(String(first), from: folder)
        guard looksLikeFile || startsAtHome else { return false }
        return !tree.contains(name, from: "") && !tree.contains(name, from: folder)
    }

    /// Words of code that consist of what names of files consist of; a place in a file (`::test`, `:12`) taken off.
    static func words(of line: Substring) -> [String] {
        let isIndented = line.hasPrefix("    ")
        let spans = line.split(separator: "`", omittingEmptySubsequences: false)
        let code = isIndented ? [line] : spans.indices.filter { $0 % 2 == 1 && $0 < spans.count - 1 }.map { spans[$0] }
        return code.flatMap { $0.split(separator: " ") }.compactMap { word in
            guard !word.contains("://") else { return nil }
            let name = word.prefix { $0 != ":" }
            guard !name.isEmpty, name.allSatisfy(isNameCharacter), !["/", "-", "."].contains(name.prefix(1)) else {
                return nil
            }
            return String(name)
        }
    }

    /// Targets of links into this repository, a place in a page (`#words`) taken off.
    static func targets(of line: Substring) -> [String] {
        var found: [String] = []
        var rest = line
        while let opening = rest.firstRange(of: "](") {
            rest = rest[opening.upperBound...]
            let target = rest.prefix { $0 != ")" }
            let path = target.prefix { $0 != "#" }
            if !target.contains("://"), !path.isEmpty { found.append(String(path)) }
        }
        return found
    }

    private static func isNameCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "_-+./".contains(character))
    }
}

/// The files of the repository and the folders they stand in.
struct FileTree: Sendable {
    private(set) var paths: Set<String> = []
    private(set) var names: Set<String> = []

    init(_ files: some Sequence<String>) {
        for file in files {
            var parts = file.split(separator: "/")
            names.insert(parts.last.map(String.init) ?? file)
            while !parts.isEmpty, paths.insert(parts.joined(separator: "/")).inserted { parts.removeLast() }
        }
    }

    /// Whether a path exists, seen from a folder; `..` goes up.
    func contains(_ path: String, from folder: String) -> Bool {
        var parts = folder.split(separator: "/")
        for part in path.split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if parts.popLast() == nil {
                return false
            }
        }
        return parts.isEmpty || paths.contains(parts.joined(separator: "/"))
    }
}
