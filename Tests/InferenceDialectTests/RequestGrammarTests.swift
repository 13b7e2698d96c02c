/// The scan is as strict as RFC 8259 and UTF-8 are, wherever the slices are cut.
import Testing

@testable import InferenceDialect

@Suite("The grammar of requests")
struct RequestGrammarTests {
    private static let before = Array(#"{"model":"m","x":"#.utf8)
    private static let after = Array(#","messages":[{"role":"user"}]}"#.utf8)

    /// A request with these bytes as the value of a member that nobody reads.
    private static func around(_ value: [UInt8]) -> [UInt8] { before + value + after }
    private static func around(_ value: String) -> [UInt8] { around(Array(value.utf8)) }

    @Test(
        "Values of any JSON shape pass unread",
        arguments: [
            "0", "-0", "1.5", "-1.5E+10", "1e-7", "0.0e0", "true", "false", "null", "[]", "{}", "[[],{}]", #""""#,
            #"{"a":{"b":[1,"x",null,{"c":[]}]},"a":2,"":0}"#, #""\"\\\/\b\f\n\r\t\u0000\uFFFF\uffff""#, "[1 , 2\t,\n3]",
            #""\ud834\udd1e""#, #""\uDBFF\uDFFF\n""#, "\"\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\"",
        ])
    func passes(value: String) {
        #expect(throws: Never.self) { try scan(Self.around(value)).get() }
        #expect(cutThatMatters(Self.around(value)) == nil)
    }

    @Test(
        "What is not JSON is refused",
        arguments: [
            "", "01", "-", "+1", ".5", "1.", "1e", "1e+", "--1", "1-", "0x10", "1.2.3", "1e5.5", "NaN", "Infinity",
            "-Infinity", "nul", "nulll", "True", "tru", "'a'", "[1,]", "[,1]", "[1 2]", "[", "]", "[}", #"{"a"}"#,
            #"{"a":}"#, #"{"a":1,}"#, #"{,}"#, #"{a:1}"#, #"{1:1}"#, #"{"a":1 "b":2}"#, #"{"a"::1}"#, #"{"a":1]"#,
            #""\x""#, #""\u12""#, #""\u12g4""#, #""\U0041""#, "\"\n\"", "\"\t\"", "\"\u{0}\"", "\"\u{1f}\"", "\u{1}",
            #""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\ud800x""#, #""\ud800\n""#, #""\ud800\u0041""#,
            #""\ud800é""#, #""\udc00\ud800""#, "/**/1", "1//", "\u{a0}1", "\u{feff}1",
        ])
    func refused(value: String) throws {
        let body = Self.around(value)
        guard case .failure(let failure) = scan(body) else {
            Issue.record("it passed")
            return
        }
        #expect(failure.code == "invalid_json")
        #expect(failure.param == nil)
        #expect(cutThatMatters(body) == nil)
    }

    @Test(
        "Bytes that are not UTF-8 are refused, in values and in keys",
        arguments: [
            [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xc2, 0x41], [0xc2, 0xc2], [0xe0, 0x80, 0x80],
            [0xe0, 0x9f, 0xbf], [0xe1, 0x80], [0xe1, 0x80, 0x41], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf],
            [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x90, 0x80], [0xf4, 0x90, 0x80, 0x80],
            [0xf5, 0x80, 0x80, 0x80], [0xff], [0xfe], [0xf1, 0x80, 0x80, 0x22],
        ] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        let quote = [UInt8(ascii: "\"")]
        // Words of eight bytes are read at a time: the bad ones stand at each place of a word.
        for padding in 0..<9 {
            let text =
                quote + Array(repeating: UInt8(ascii: "a"), count: padding) + bytes + Array("aaaaaaaaaaaa".utf8) + quote
            for body in [Self.around(text), Self.around(Array("{".utf8) + text + Array(":1}".utf8))] {
                guard case .failure(let failure) = scan(body) else {
                    Issue.record("it passed with \(padding) bytes before")
                    continue
                }
                #expect(failure.code == "invalid_json")
                #expect(cutThatMatters(body) == nil)
            }
        }
    }

    @Test("Characters of every length pass at every place of a word")
    func characters() {
        for character in ["é", "߿", "ࠀ", "€", "\u{d7ff}", "\u{e000}", "😀", "\u{10ffff}"] {
            for padding in 0..<9 {
                let text = "\"" + String(repeating: "a", count: padding) + character + character + "b\""
                #expect(throws: Never.self) { try scan(Self.around(text)).get() }
                #expect(cutThatMatters(Self.around(text)) == nil)
            }
        }
    }

    @Test(
        "Whole bodies that are not one object are refused",
        arguments: ["", " ", "[]", "1", "\"a\"", "null", "{", "{\"a\""])
    func notAnObject(body: String) {
        guard case .failure(let failure) = scan(body) else {
            Issue.record("it passed")
            return
        }
        #expect(failure.code == "invalid_json")
    }

    @Test("Nothing but white space may follow the object")
    func trailing() {
        for rest in [" \r\n\t", ""] { #expect(throws: Never.self) { try scan(chat("") + rest).get() } }
        for rest in ["{}", ",", "}", "\u{0}", "x"] {
            guard case .failure(let failure) = scan(chat("") + rest) else {
                Issue.record("it passed with \(rest)")
                continue
            }
            #expect(failure.code == "invalid_json")
        }
    }

    @Test("Nesting ends at its bound")
    func depth() {
        // The outermost object is a level too.
        let inside = RequestScan.depthMax - 1
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            func body(_ levels: Int) -> [UInt8] {
                Self.around(
                    String(repeating: open, count: levels - 1) + (open == "[" ? "[]" : "{}")
                        + String(repeating: close, count: levels - 1))
            }
            #expect(throws: Never.self) { try scan(body(inside)).get() }
            guard case .failure(let failure) = scan(body(inside + 1)) else {
                Issue.record("it passed")
                continue
            }
            #expect(failure.code == "invalid_json")
            #expect(failure.message.contains("\(RequestScan.depthMax) levels"))
            #expect(cutThatMatters(body(inside + 1)) == nil)
        }
    }

    @Test("A number has at most its bound of characters")
    func numbers() {
        let digits = String(repeating: "7", count: RequestScan.numberBytesMax)
        #expect(throws: Never.self) { try scan(Self.around(digits)).get() }
        guard case .failure(let failure) = scan(Self.around(digits + "7")) else {
            Issue.record("it passed")
            return
        }
        #expect(failure.code == "invalid_json")
        #expect(cutThatMatters(Self.around(digits + "7")) == nil)
        // In a member that is read, the digits are not what is wrong.
        guard case .failure(let read) = scan(chat(#""frequency_penalty":\#(digits)"#)) else {
            Issue.record("it passed")
            return
        }
        #expect(read.param == "frequency_penalty")
    }

    @Test("A huge text passes and is counted")
    func huge() throws {
        let text = String(repeating: "all work and no play, \u{e9} \\n", count: 100_000)
        let found = try scan(chat(message: #"{"role":"user","content":"\#(text)"}"#)).get()
        #expect(found.promptBytes == 100_000 * "all work and no play, \u{e9} \n".utf8.count)
    }
}
