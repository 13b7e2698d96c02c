/// What a whole stream has shown: which choices finished, what it cost.
import Testing

@testable import InferenceDialect

@Suite("A stream is complete when every choice that spoke gave its reason to stop")
struct StreamFactsTests {
    private static func facts(_ events: String...) -> StreamFacts {
        cut(events.map { "data: \($0)\n\n" }.joined()).facts
    }

    @Test("nothing said is nothing complete, not even with [DONE]")
    func nothing() {
        #expect(!Self.facts().isComplete)
        let facts = Self.facts("[DONE]")
        #expect(!facts.isComplete && facts.doneSeen)
    }

    @Test("one choice of two still open is incomplete, in any order of arrival")
    func choices() {
        let a = chatChunk(#"{"content":"a"}"#)
        let b = chatChunk(#"{"content":"b"}"#, index: 1)
        let endA = chatChunk("{}", finish: #""stop""#)
        let endB = chatChunk("{}", finish: #""length""#, index: 1)
        #expect(!Self.facts(b, a).isComplete)
        #expect(!Self.facts(b, a, endB).isComplete)
        #expect(!Self.facts(a, endA, b).isComplete)
        #expect(Self.facts(b, a, endB, endA).isComplete)
        #expect(Self.facts(a, b, endA, endB, a).isComplete, "a finish is not taken back by a late event")
    }

    @Test("two choices in one event are told apart, and the index may come last")
    func together() {
        let both =
            #"{"choices":[{"finish_reason":"stop","delta":{},"index":1},{"delta":{"content":"x"},"index":0}]}"#
        #expect(!Self.facts(both).isComplete)
        #expect(Self.facts(both, chatChunk("{}", finish: #""stop""#)).isComplete)
        let openFirst =
            #"{"choices":[{"delta":{"content":"x"},"index":0},{"finish_reason":"stop","delta":{},"index":1}]}"#
        #expect(!Self.facts(openFirst).isComplete)
    }

    @Test("a choice at the last index is followed, one past it is not")
    func indexBound() {
        #expect(!Self.facts(chatChunk("{}", finish: #""stop""#), chatChunk("{}", index: 127)).isComplete)
        #expect(Self.facts(chatChunk("{}", finish: #""stop""#), chatChunk("{}", index: 128)).isComplete)
        #expect(Self.facts(chatChunk("{}", finish: #""stop""#, index: 127)).isComplete)
        #expect(!Self.facts(chatChunk("{}", finish: #""stop""#, index: 128)).isComplete)
    }

    @Test("the last usage wins, and null takes nothing away")
    func lastUsage() {
        let one = #"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#
        let two = #"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#
        let null = #"{"choices":[],"usage":null}"#
        #expect(Self.facts(one, two, null).usage == TokenUsage(prompt: 5, completion: 2, cached: 0))
        #expect(Self.facts(#"{"choices":[],"usage":{"seconds":5}}"#).usage == nil)
        #expect(Self.facts(#"{"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":1.5}}"#).usage == nil)
    }

    @Test("numbers up to eighteen digits are counts, longer ones are not")
    func digits() {
        let usage = { (digits: Int) in
            Self.facts(#"{"usage":{"prompt_tokens":\#(String(repeating: "9", count: digits))}}"#).usage?.prompt
        }
        #expect(usage(18) == 999_999_999_999_999_999)
        #expect(usage(19) == nil)
    }
}
