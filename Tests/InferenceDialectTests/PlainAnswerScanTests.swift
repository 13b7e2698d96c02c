/// Plain answers as they pass: what they cost, and whether they ended.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("A plain answer is read as its bytes pass, cut anywhere")
struct PlainAnswerScanTests {
    private static func scan(_ answer: [UInt8], cuts: [Int] = []) -> PlainAnswerScan {
        var scan = PlainAnswerScan()
        var from = 0
        for end in cuts + [answer.count] {
            answer[from..<end].withUnsafeBytes { scan.feed($0) }
            from = end
        }
        return scan
    }

    private static func scan(_ answer: String) -> PlainAnswerScan { scan(Array(answer.utf8)) }

    private static func seen(_ scan: PlainAnswerScan) -> [String] {
        ["\(String(describing: scan.usage))", "\(scan.isCutShort)"]
    }

    private static let chat = #"""
        {"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",
        "content":"say {\"usage\":{\"prompt_tokens\":1}} \\ Grüße 🌍","tool_calls":[{"function":{"arguments":"{\"error\":1}"}}]},
        "logprobs":{"finish_reason":"no"},"finish_reason":"stop"}], "timings":{"usage":{"prompt_tokens":2}},
        "usage" : {"prompt_tokens":31,"completion_tokens":7,"note":"}","prompt_tokens_details":{"cached_tokens":30}},"error":null}
        """#

    @Test("usage is found at every place to cut, and not inside of text or other members")
    func cutAnywhere() {
        let answer = Array(Self.chat.utf8)
        let whole = Self.scan(answer)
        #expect(whole.usage == TokenUsage(prompt: 31, completion: 7, cached: 30))
        for place in 0...answer.count where Self.seen(Self.scan(answer, cuts: [place])) != Self.seen(whole) {
            Issue.record("a cut at \(place) changes what is seen")
        }
        #expect(Self.seen(Self.scan(answer, cuts: Array(0..<answer.count))) == Self.seen(whole))
    }

    @Test("usage may come first, and an embedding's has no completion")
    func first() {
        let first = Self.scan(#"{"usage":{"prompt_tokens":3,"total_tokens":3},"data":[{"embedding":[0.1]}]}"#)
        #expect(first.usage == TokenUsage(prompt: 3, completion: 0, cached: 0))
    }

    @Test(
        "what is not the answer's own usage does not count",
        arguments: [
            "", "usage", "[{\"usage\":{\"prompt_tokens\":1}}]", "\"usage\":{\"prompt_tokens\":1}", #"{"usage":null}"#,
            #"{"usage":"x","prompt_tokens":1}"#, #"{"usages":{"prompt_tokens":1}}"#,
            #"{"a":{"usage":{"prompt_tokens":1}}}"#,
            #"{"usage":[{"prompt_tokens":1}]}"#, #"{"usage":{"prompt_tokens":1}"#.dropLast(1) + "",
            #"{}{"usage":{"prompt_tokens":1}}"#,
        ])
    func foreign(answer: String) { #expect(Self.scan(answer).usage == nil) }

    @Test("an escaped quote ends no text, and an escaped backslash escapes nothing")
    func escapes() {
        let usage = #""usage":{"prompt_tokens":3}"#
        let count = TokenUsage(prompt: 3, completion: 0, cached: 0)
        #expect(Self.scan(##"{"a":"\"",\##(usage)}"##).usage == count)
        #expect(Self.scan(##"{"a":"\\",\##(usage)}"##).usage == count)
        #expect(Self.scan(##"{"a":"\",\##(usage)}"##).usage == nil)
    }

    @Test("an answer is cut short from its first bracket until just before its last", arguments: [chat, "[[1],{}]"])
    func cutShort(answer: String) {
        let bytes = Array(answer.utf8)
        for length in 1..<bytes.count {
            #expect(Self.scan(Array(bytes[..<length])).isCutShort, "after \(length) bytes")
        }
        #expect(!Self.scan(bytes).isCutShort)
        #expect(!Self.scan(bytes + [10]).isCutShort)
    }

    @Test("what is no JSON is whole as it is", arguments: ["", "plain text", "3", "}", "\"text\""])
    func noJSON(answer: String) { #expect(!Self.scan(answer).isCutShort) }

    @Test("a usage object at the bound is read and one byte more is passed over")
    func bound() {
        for (bytes, isRead) in [(PlainAnswerScan.usageBytesMax, true), (PlainAnswerScan.usageBytesMax + 1, false)] {
            let empty = #"{"prompt_tokens":4,"pad":""}"#
            let usage = empty.dropLast(2) + String(repeating: "x", count: bytes - empty.utf8.count) + "\"}"
            let scan = Self.scan(#"{"usage":\#(usage),"choices":[{"finish_reason":"stop"}]}"#)
            #expect((scan.usage != nil) == isRead)
            #expect(!scan.isCutShort, "what follows is read either way")
        }
    }

    @Test("bytes of any kind, cut anywhere, never crash and always give the same")
    func fuzz() {
        for seed in 0..<400 as Range<UInt64> {
            var chance = SeededGenerator(seed: seed)
            var answer = Array(Self.chat.utf8)
            for _ in 0...chance.below(6) {
                let place = Int(chance.below(UInt64(answer.count)))
                if chance.chance(0.5) { answer[place] = UInt8(chance.below(256)) } else { answer.remove(at: place) }
            }
            let cuts = (0..<chance.below(9)).map { _ in Int(chance.below(UInt64(answer.count))) }.sorted()
            #expect(Self.seen(Self.scan(answer, cuts: cuts)) == Self.seen(Self.scan(answer)), "seed \(seed)")
        }
    }
}
