/// A JSON value that keeps the order of its members and reads numbers as they were written.
///
/// Foundation's reader forgets the order, which would make an answer depend on the process: arguments of a tool are
/// invented in the order of the tool's schema.
package enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// An integer token that fits; everything else that is a number is a `real`.
    case integer(Int)
    case real(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    package struct Member: Sendable, Equatable {
        package let name: String
        package let value: JSONValue

        package init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// Why the bytes are no JSON, and where.
    package struct Unreadable: Error, Equatable {
        package enum Expected: Sendable {
            case value
            case name
            case colon
            case comma
            case quote
            case escape
            case end
        }

        package let message: String
        package let offset: Int
        let expected: Expected
        /// Where the last string or number before it began.
        let token: Int
    }

    /// The first member of this name, nil also when this is no object.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    package var text: String? { if case .string(let text) = self { text } else { nil } }
    package var flag: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    package var items: [JSONValue]? { if case .array(let items) = self { items } else { nil } }
    package var members: [Member]? { if case .object(let members) = self { members } else { nil } }
    package var whole: Int? { if case .integer(let number) = self { number } else { nil } }
    package var number: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .real(let number): number
        default: nil
        }
    }

    package init(_ bytes: [UInt8]) throws(Unreadable) {
        var reader = JSONReader(bytes)
        self = try reader.whole()
    }
}

struct JSONReader {
    /// Deeper nesting is refused: the reader calls itself, and a stack is no place for a stranger's brackets.
    static let depthMax = 512
    static let tooDeep = "nested deeper than"
    private let bytes: [UInt8]
    private var offset = 0
    private var token = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func whole() throws(JSONValue.Unreadable) -> JSONValue {
        let value = try self.value(depth: 0)
        skipSpace()
        guard offset == bytes.count else { throw unreadable("something follows the value", .end) }
        return value
    }

    private func unreadable(
        _ message: String, _ expected: JSONValue.Unreadable.Expected = .value
    ) -> JSONValue.Unreadable {
        .init(message: message, offset: offset, expected: expected, token: token)
    }
    private var byte: UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    private mutating func skipSpace() {
        while offset < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[offset]) { offset += 1 }
    }

    private mutating func value(depth: Int) throws(JSONValue.Unreadable) -> JSONValue {
        guard depth <= Self.depthMax else { throw unreadable("\(Self.tooDeep) \(Self.depthMax)") }
        skipSpace()
        switch byte {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONValue.Unreadable) -> JSONValue {
        let end = offset + word.utf8CodeUnitCount
        guard end <= bytes.count,
            bytes[offset..<end].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        else { throw unreadable("no value") }
        offset = end
        return value
    }

    private mutating func object(_ depth: Int) throws(JSONValue.Unreadable) -> JSONValue {
        var members: [JSONValue.Member] = []
        offset += 1
        skipSpace()
        if byte == UInt8(ascii: "}") {
            offset += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard byte == UInt8(ascii: "\"") else { throw unreadable("a member needs a name in quotes", .name) }
            let name = try string()
            skipSpace()
            guard byte == UInt8(ascii: ":") else { throw unreadable("a colon is missing", .colon) }
            offset += 1
            members.append(.init(name: name, value: try value(depth: depth + 1)))
            if try ends(with: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func array(_ depth: Int) throws(JSONValue.Unreadable) -> JSONValue {
        var items: [JSONValue] = []
        offset += 1
        skipSpace()
        if byte == UInt8(ascii: "]") {
            offset += 1
            return .array(items)
        }
        while true {
            items.append(try value(depth: depth + 1))
            if try ends(with: UInt8(ascii: "]")) { return .array(items) }
        }
    }

    /// After a value: true at the closing bracket, false after a comma.
    private mutating func ends(with bracket: UInt8) throws(JSONValue.Unreadable) -> Bool {
        skipSpace()
        let found = byte
        guard found == bracket || found == UInt8(ascii: ",") else {
            throw unreadable("a comma or a bracket is missing", .comma)
        }
        offset += 1
        return found == bracket
    }

    private mutating func number() throws(JSONValue.Unreadable) -> JSONValue {
        let start = offset
        while offset < bytes.count, "+-.eE0123456789".utf8.contains(bytes[offset]) { offset += 1 }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if !text.isEmpty { token = start }
        if let whole = Int(text) { return .integer(whole) }
        guard !text.isEmpty, let real = Double(text) else {
            offset = start
            throw unreadable("no value")
        }
        return .real(real)
    }

    private mutating func string() throws(JSONValue.Unreadable) -> String {
        token = offset
        offset += 1
        let start = offset
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\""), bytes[offset] != UInt8(ascii: "\\") {
            offset += 1
        }
        guard offset < bytes.count else { throw unreadable("a string has no end", .quote) }
        if bytes[offset] == UInt8(ascii: "\"") {
            offset += 1
            return String(decoding: bytes[start..<(offset - 1)], as: UTF8.self)
        }
        return try stringWithEscapes(from: start)
    }

    private mutating func stringWithEscapes(from start: Int) throws(JSONValue.Unreadable) -> String {
        var units = Array(bytes[start..<offset])
        while offset < bytes.count {
            let next = bytes[offset]
            offset += 1
            if next == UInt8(ascii: "\"") { return String(decoding: units, as: UTF8.self) }
            guard next == UInt8(ascii: "\\") else {
                units.append(next)
                continue
            }
            let escape = byte
            offset += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(escape)
            case UInt8(ascii: "b"): units.append(8)
            case UInt8(ascii: "f"): units.append(12)
            case UInt8(ascii: "n"): units.append(10)
            case UInt8(ascii: "r"): units.append(13)
            case UInt8(ascii: "t"): units.append(9)
            case UInt8(ascii: "u"): units.append(contentsOf: String(try scalar()).utf8)
            default: throw unreadable("an unknown escape", .escape)
            }
        }
        throw unreadable("a string has no end", .quote)
    }

    /// The scalar of a `\u` escape or of two that make a pair. Half a pair becomes the replacement character.
    private mutating func scalar() throws(JSONValue.Unreadable) -> Character {
        let high = try fourHexDigits()
        guard (0xd800..<0xdc00).contains(high), byte == UInt8(ascii: "\\"), offset + 1 < bytes.count,
            bytes[offset + 1] == UInt8(ascii: "u")
        else { return Character(Unicode.Scalar(high) ?? "\u{fffd}") }
        offset += 2
        let low = try fourHexDigits()
        guard (0xdc00..<0xe000).contains(low) else { return "\u{fffd}" }
        return Character(Unicode.Scalar(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)) ?? "\u{fffd}")
    }

    private mutating func fourHexDigits() throws(JSONValue.Unreadable) -> UInt32 {
        guard offset + 4 <= bytes.count,
            let value = UInt32(String(decoding: bytes[offset..<(offset + 4)], as: UTF8.self), radix: 16)
        else { throw unreadable("four hexadecimal digits are missing", .escape) }
        offset += 4
        return value
    }
}
