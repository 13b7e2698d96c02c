/// Finds tests that cannot fail: a `@Test` function in whose body, or in whose helpers, nothing is ever expected.
struct TestFunctions: Sendable {
    struct Function: Sendable {
        let path: String
        let line: Int
        let name: String
        let isTest: Bool
        let body: String
    }

    private static let evidence = [
        "#expect", "#require", "Issue.record", "confirmation(", "XCTAssert", "XCTFail", "precondition", "throw ",
    ]

    /// Functions without evidence of their own count as able to fail when they call one that is.
    static func cannotFail(in sources: [SourceText]) -> [Violation] {
        let functions = sources.flatMap(Self.functions)
        var able = Set(functions.filter { function in evidence.contains { function.body.contains($0) } }.map(\.name))
        var grows = true
        while grows {
            let before = able.count
            for function in functions where !able.contains(function.name) {
                if able.contains(where: { function.body.contains("\($0)(") }) { able.insert(function.name) }
            }
            grows = able.count > before
        }
        return functions.filter { function in
            function.isTest && !evidence.contains { function.body.contains($0) }
                && !able.contains { name in name != function.name && function.body.contains("\(name)(") }
        }.map {
            Violation(path: $0.path, line: $0.line, sentence: "the test \($0.name) expects nothing, so it cannot fail")
        }
    }

    /// Every function of a file with its body, by counting braces. Attributes stand between `@Test` and `func`.
    static func functions(in source: SourceText) -> [Function] {
        let code = Array(source.code.utf8)
        var found: [Function] = []
        var line = 1
        var testSeenAt: Int?
        for (place, byte) in code.enumerated() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            if byte == UInt8(ascii: "@"), word("@Test", at: place, in: code) { testSeenAt = line }
            guard byte == UInt8(ascii: "f"), word("func", at: place, in: code),
                place == 0 || !isNameByte(code[place - 1]),
                let (name, body) = nameAndBody(from: place + 4, in: code)
            else { continue }
            found.append(
                Function(path: source.path, line: testSeenAt ?? line, name: name, isTest: testSeenAt != nil, body: body)
            )
            testSeenAt = nil
        }
        return found
    }

    private static func word(_ text: String, at place: Int, in code: [UInt8]) -> Bool {
        let wanted = Array(text.utf8)
        let end = place + wanted.count
        return end <= code.count && code[place..<end].elementsEqual(wanted)
            && (end == code.count || !isNameByte(code[end]))
    }

    private static func nameAndBody(from start: Int, in code: [UInt8]) -> (String, String)? {
        var place = start
        while place < code.count, code[place] == UInt8(ascii: " ") { place += 1 }
        let nameStart = place
        while place < code.count, isNameByte(code[place]) || code[place] == UInt8(ascii: "`") { place += 1 }
        guard place > nameStart else { return nil }
        let name = String(decoding: code[nameStart..<place].filter { $0 != UInt8(ascii: "`") }, as: UTF8.self)
        // The first brace outside parentheses opens the body; a default argument may hold a closure.
        var parentheses = 0
        while place < code.count {
            if code[place] == UInt8(ascii: "(") { parentheses += 1 }
            if code[place] == UInt8(ascii: ")") { parentheses -= 1 }
            if code[place] == UInt8(ascii: "{"), parentheses == 0 { break }
            place += 1
        }
        let bodyStart = place
        var depth = 0
        while place < code.count {
            if code[place] == UInt8(ascii: "{") { depth += 1 }
            if code[place] == UInt8(ascii: "}") { depth -= 1 }
            place += 1
            if depth == 0 { break }
        }
        return (name, String(decoding: code[bodyStart..<place], as: UTF8.self))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            || byte >= 128
    }
}
