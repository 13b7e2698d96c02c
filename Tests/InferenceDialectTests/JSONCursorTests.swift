/// The walk over JSON text that may be anything.
import Testing

@testable import InferenceDialect

@Suite("Values are passed over without decoding them")
struct JSONCursorTests {
    /// What is left after one value; nil when the walk broke.
    private static func rest(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            cursor.skipValue()
            guard cursor.position <= bytes.count else { return "past the end" }
            return cursor.isBroken ? nil : String(decoding: bytes[cursor.position...], as: UTF8.self)
        }
    }

    @Test(
        "a value ends where it ends",
        arguments: [
            "1", "-1.5e9", "true", "null", "\"a\"", #""a\"b\\""#, "[]", "{}", #"[1,[2,{"a":"]}"}],"x"]"#,
            #"{"a":{"b":[ ]}}"#,
        ])
    func values(value: String) {
        #expect(Self.rest(value + ",2") == ",2")
        #expect(Self.rest(" \n" + value + "}") == "}")
        #expect(Self.rest(value) == "")
    }

    @Test(
        "text that is no JSON breaks the walk and never holds it",
        arguments: [
            "", ",", ":", "}", "]", "\"", "\"a", "\"a\\", "[", "[1", "[\"\\", "{\"a\":", "[\u{1}]", "[1,\u{1f}",
            "\u{2}", "[\u{0}]",
        ])
    func broken(text: String) { #expect(Self.rest(text) == nil) }

    @Test("nesting at the bound is followed and one level more is not")
    func depth() {
        let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(Self.rest(nested(JSONCursor.depthMax)) == "")
        #expect(Self.rest(nested(JSONCursor.depthMax + 1)) == nil)
    }

    @Test("one of two bytes is found at every place of a word, and only it")
    func search() {
        for length in 0..<40 {
            var bytes = [UInt8](repeating: 0x8a, count: length)
            #expect(bytes.withUnsafeBytes { ByteSearch.first(of: 0x0a, or: 0x0d, in: $0, from: 0) } == length)
            for place in 0..<length {
                bytes[place] = place % 2 == 0 ? 0x0a : 0x0d
                for start in 0...place {
                    #expect(
                        bytes.withUnsafeBytes { ByteSearch.first(of: 0x0a, or: 0x0d, in: $0, from: start) } == place)
                }
                // Neighbours of both bytes in value, which borrows of the arithmetic might take for them.
                bytes[place] = place % 2 == 0 ? 0x0b : 0x0c
            }
        }
    }
}
