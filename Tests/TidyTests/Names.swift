/// Names that say nothing, and modules that share their name with a type: Swift could then not spell `Module.Other`.
enum Names {
    static let emptyWords = ["Utils", "Util", "Helper", "Helpers", "Common", "Manager", "Misc", "Stub"]

    static func violations(in source: SourceText, room: String) -> [Violation] {
        emptyName(source) + sharedName(source, room: room)
    }

    private static func emptyName(_ source: SourceText) -> [Violation] {
        let name = source.fileName.dropLast(".swift".count)
        return emptyWords.filter { name == $0 || name.hasSuffix($0) }.map {
            Violation(path: source.path, line: 1, sentence: "a file called \($0) is a concept without a name yet")
        }
    }

    private static func sharedName(_ source: SourceText, room: String) -> [Violation] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        return source.lines.enumerated().compactMap { number, line in
            let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
            let shares = zip(words, words.dropFirst()).contains { kinds.contains($0) && $1 == room }
            return shares
                ? Violation(
                    path: source.path, line: number + 1, sentence: "the type \(room) has the name of its module") : nil
        }
    }
}
