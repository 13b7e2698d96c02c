/// What is wrong with a body that is no JSON, in the words of Python's parser and of the one in llama.cpp.
///
/// A gateway tells failures apart by these words. Those of the cases that were observed are exact.
struct ParseComplaint {
    let problem: JSONValue.Unreadable
    let body: [UInt8]

    /// `json.JSONDecodeError` without its place.
    var python: String {
        switch problem.expected {
        case .value: "Expecting value"
        case .name: "Expecting property name enclosed in double quotes"
        case .colon: "Expecting ':' delimiter"
        case .comma: "Expecting ',' delimiter"
        case .quote: "Unterminated string starting at"
        case .end: "Extra data"
        case .escape: "Invalid \\escape"
        }
    }

    /// The same with its place, as `str(error)` writes it.
    var pythonWithPlace: String { "\(python): line \(line) column \(column) (char \(problem.offset))" }

    private var line: Int { 1 + body[..<min(problem.offset, body.count)].count { $0 == 0x0a } }

    private var column: Int {
        let before = body[..<min(problem.offset, body.count)]
        return problem.offset - (before.lastIndex(of: 0x0a) ?? -1)
    }

    /// nlohmann's `parse_error.101`.
    var llama: String {
        guard !body.isEmpty else {
            return parseError(
                column,
                "attempting to parse an empty input; check that your input string or stream contains the expected JSON")
        }
        switch problem.expected {
        case .value: return value
        case .name: return unexpected("object key", "expected string literal")
        case .colon: return unexpected("object separator", "expected ':'")
        case .comma: return unexpected("object", "expected '}'")
        case .end: return unexpected("value", "expected end of input")
        case .quote, .escape: return parseError(column, "syntax error while parsing value - invalid string")
        }
    }

    private func parseError(_ column: Int, _ message: String) -> String {
        "[json.exception.parse_error.101] parse error at line \(line), column \(column): \(message)"
    }

    /// A word that is none is read up to the letter that differs, and shown from the last string or number on.
    private var value: String {
        let found = body[min(problem.offset, body.count)...]
        let words = ["true", "false", "null"].map { Array($0.utf8) }
        guard let first = found.first, first != UInt8(ascii: "}"), first != UInt8(ascii: "]") else {
            return unexpected("value", "expected '[', '{', or a literal")
        }
        let word = words.first { $0[0] == first }
        let same = word.map { zip($0, found).prefix { $0.0 == $0.1 }.count } ?? 0
        let end = min(problem.offset + same + 1, body.count)
        let read = String(decoding: body[min(problem.token, end)..<end], as: UTF8.self)
        return parseError(
            column + same, "syntax error while parsing value - invalid literal; last read: '\(read)'")
    }

    private func unexpected(_ place: String, _ wanted: String) -> String {
        let found =
            switch problem.offset < body.count ? body[problem.offset] : nil {
            case nil: "end of input"
            case UInt8(ascii: "\"")?: "string literal"
            case let byte? where (0x30...0x39).contains(byte) || byte == 0x2d: "number literal"
            case let byte?: "'\(Character(Unicode.Scalar(byte)))'"
            }
        return parseError(column, "syntax error while parsing \(place) - unexpected \(found); \(wanted)")
    }
}
