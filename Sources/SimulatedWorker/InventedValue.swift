/// A small value that satisfies a JSON schema, for tool arguments and structured answers.
///
/// It knows the words that tools use in practice: types, properties, items, enum, const, bounds and the first branch of a
/// choice. References and patterns it does not know; a value for those is a word.
package enum InventedValue {
    /// Schemas nested deeper than this get `null` inside: a recursive schema has no end of its own.
    package static let depthMax = 16

    package static func satisfying(_ schema: JSONValue, _ words: inout TokenText, depth: Int = 0) -> JSONValue {
        guard depth < depthMax else { return .null }
        if let constant = schema["const"] { return constant }
        if let choices = schema["enum"]?.items, let first = choices.first { return first }
        for word in ["anyOf", "oneOf", "allOf"] {
            if let branch = schema[word]?.items?.first { return satisfying(branch, &words, depth: depth + 1) }
        }
        switch type(of: schema) {
        case "object": return object(schema, &words, depth)
        case "array":
            let count = min(max(1, schema["minItems"]?.whole ?? 1), 8)
            let item = schema["items"] ?? .members(["type": "string"])
            return .array((0..<count).map { _ in satisfying(item, &words, depth: depth + 1) })
        case "integer": return .integer(bounded(Int(words.next()[1]) % 10, schema))
        case "number":
            return .real(Double(bounded(Int(words.next()[1]) % 10, schema)) + (schema["maximum"] == nil ? 0.5 : 0))
        case "boolean": return .bool(words.next()[2] % 2 == 0)
        case "null": return .null
        default: return .string(word(schema, &words))
        }
    }

    private static func type(of schema: JSONValue) -> String? {
        if let type = schema["type"]?.text { return type }
        if let types = schema["type"]?.items { return types.lazy.compactMap(\.text).first { $0 != "null" } }
        return schema["properties"] == nil ? nil : "object"
    }

    private static func object(_ schema: JSONValue, _ words: inout TokenText, _ depth: Int) -> JSONValue {
        var members: [JSONValue.Member] = []
        for property in schema["properties"]?.members ?? [] {
            members.append(.init(name: property.name, value: satisfying(property.value, &words, depth: depth + 1)))
        }
        return .object(members)
    }

    private static func bounded(_ value: Int, _ schema: JSONValue) -> Int {
        var value = value
        if let least = schema["minimum"]?.number { value = max(value, whole(least.rounded(.up))) }
        if let most = schema["maximum"]?.number { value = min(value, whole(most.rounded(.down))) }
        return value
    }

    /// A bound outside of what an integer holds is a stranger's joke, not a reason to trap.
    private static func whole(_ real: Double) -> Int { Int(exactly: real) ?? 0 }

    private static func word(_ schema: JSONValue, _ words: inout TokenText) -> String {
        let least = min(schema["minLength"]?.whole ?? 0, 1_000)
        var text = String(decoding: words.next().dropFirst(), as: UTF8.self)
        while text.utf8.count < least { text += String(decoding: words.next().dropFirst(), as: UTF8.self) }
        if let most = schema["maxLength"]?.whole, most >= 0 { text = String(text.prefix(most)) }
        return text
    }
}

extension JSONValue: ExpressibleByStringLiteral {
    package init(stringLiteral value: String) { self = .string(value) }
}
