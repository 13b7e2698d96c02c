/// What one frame is: content, or one of the ten things that are not.
import Testing

@testable import InferenceDialect

@Suite("A frame's kind is read without decoding it")
struct FrameKindTests {
    @Test(
        "anything a reader would see is content",
        arguments: [
            #"{"content":"a"}"#, #"{"role":"assistant","content":" "}"#, #"{"content":"\n"}"#, #"{"content":"\u0000"}"#,
            #"{"reasoning":"so"}"#, #"{"reasoning_content":"so"}"#, #"{"content":null,"refusal":"no"}"#,
            #"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}"#,
            #"{"function_call":{"name":"f","arguments":"{"}}"#, #"{"audio":{"data":"AAAA"}}"#, #"{ "content" : "a" }"#,
            #"{"unknown":{"a":[{"b":"}]"}]},"content":"a"}"#, #"{"content":"\"}]}"}"#, #"{"content":"\\"}"#,
        ])
    func content(delta: String) {
        #expect(kind(chatChunk(delta)) == .content)
        #expect(kind(chatChunk(delta, finish: #""length""#)) == .content, "content with a finish is content still")
    }

    @Test(
        "a delta with a role and nothing to read is no content",
        arguments: [
            #"{"role":"assistant"}"#, #"{"role":"assistant","content":""}"#, #"{"role":"assistant","content":null}"#,
            #"{"content":"","role":"assistant","tool_calls":[],"reasoning":null,"audio":{ },"refusal":null}"#,
        ])
    func role(delta: String) {
        #expect(kind(chatChunk(delta)) == .role)
        #expect(kind(chatChunk(delta, finish: #""stop""#)) == .finish)
    }

    @Test(
        "an event with nothing in it is null",
        arguments: [
            chatChunk("{}"), chatChunk("null"), chatChunk(#"{"content":""}"#),
            chatChunk(#"{"content":null,"tool_calls":[ ]}"#), #"{"choices":[]}"#, #"{"choices":[],"usage":null}"#,
            #"{"choices":[{"index":0,"text":"","finish_reason":null}]}"#,
        ])
    func null(data: String) { #expect(kind(data) == .null) }

    @Test("data that is no object is an empty event, which no client expects", arguments: ["null", "", " null "])
    func empty(data: String) { #expect(kind(data) == .empty) }

    @Test("a text completion's content is its text")
    func text() {
        let chunk = #"{"choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null}],"usage":null}"#
        #expect(kind(chunk, route: .completions) == .content)
        let last = #"{"choices":[{"text":"","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#
        #expect(kind(last, route: .completions) == .finish)
    }

    @Test("an empty finish is no finish")
    func emptyFinish() {
        #expect(kind(chatChunk("{}", finish: #""""#)) == .null)
        #expect(!cut("data: \(chatChunk("{}", finish: #""""#))\n\n").facts.isComplete)
    }

    @Test("only an event without choices is the usage frame, but its count is read anywhere")
    func usage() {
        let counted = #""usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"#
        #expect(kind(#"{"choices":[],\#(counted)}"#) == .usage)
        #expect(kind(#"{\#(counted),"object":"chat.completion"}"#) == .usage)
        for data in [#"{"choices":[],\#(counted)}"#, chatChunk(#"{"content":"a"}"#).dropLast() + ",\(counted)}"] {
            #expect(cut("data: \(data)\n\n").facts.usage == TokenUsage(prompt: 5, completion: 2, cached: 0))
        }
        #expect(kind(chatChunk(#"{"content":"a"}"#).dropLast() + ",\(counted)}") == .content)
    }

    @Test(
        "an error is an error, whatever else its event holds",
        arguments: [
            #"{"error":{"message":"m","code":500}}"#, #"{"error":"flat"}"#, #"{"id":"x","error":{},"choices":[]}"#,
        ])
    func error(data: String) {
        let run = cut("data: \(data)\n\n")
        #expect(run.kinds == [.error])
        #expect(run.facts.errorSeen)
        #expect(run.facts.errorBody == Array(data.utf8))
    }

    @Test("an event named error is one, and so is a field of that name")
    func namedError() {
        #expect(cut("event: error\ndata: {\"message\":\"m\"}\n\n").kinds == [.error])
        #expect(cut("data: plain text\nevent:error\n\n").kinds == [.error])
        let old = cut("error: {\"code\":500,\"message\":\"m\"}\n\n")
        #expect(old.kinds == [.error])
        #expect(old.facts.errorBody == Array(#"{"code":500,"message":"m"}"#.utf8))
        #expect(cut("error:\n\n").kinds == [.comment(progress: false)])
        #expect(kind(#"{"error":null,"choices":[]}"#) == .null)
    }

    @Test("the first error is kept, up to its bound")
    func errorBound() {
        for bytes in [EventStreamCutter.errorBytesMax, EventStreamCutter.errorBytesMax + 1] {
            let frame = #"{"error":""#
            let data = frame + String(repeating: "e", count: bytes - frame.utf8.count - 2) + "\"}"
            let kept = cut("data: \(data)\n\ndata: {\"error\":\"later\"}\n\n").facts.errorBody
            #expect(kept == Array(data.utf8.prefix(EventStreamCutter.errorBytesMax)))
        }
    }

    @Test("done is done with white space around it, and nothing else is")
    func done() {
        for data in ["[DONE]", " [DONE] ", "[DONE]\t"] { #expect(kind(data) == .done) }
        #expect(cut("data:[DONE]\n\n").kinds == [.done])
        for data in ["[DONE", "[done]", "[DONE]x", "[]", "12", "\"[DONE]\"", "true"] { #expect(kind(data) == .other) }
        #expect(cut("data: [DONE]\n\n").facts.events == 0)
    }

    @Test("other shapes of event are other")
    func other() {
        for data in ["{}", #"{"object":"x"}"#, "{", #"{"choices":3}"#, "hello"] { #expect(kind(data) == .other) }
    }

    @Test("lines that are no field, and fields nobody knows, are passed over")
    func noField() {
        let event = "data: [DONE]"
        for line in ["hello", "dat", "data2: x", "database", "{}", " data: [DONE]", "id", ": comment"] {
            #expect(cut("\(line)\n\n").kinds == [.comment(progress: false)], "\(line)")
            #expect(cut("\(line)\n\(event)\n\n").kinds == [.done], "\(line)")
            #expect(cut("\(event)\n\(line)\n\n").kinds == [.done], "\(line)")
        }
    }

    @Test("several data lines are one text with line ends between")
    func manyLines() {
        #expect(cut("data: {\"choices\":\ndata: [{\"delta\":\ndata:{\"content\":\"a\"}}]}\n\n").kinds == [.content])
        #expect(cut("data: [DO\ndata: NE]\n\n").kinds == [.other])
        #expect(cut("data\ndata: [DONE]\n\n").kinds == [.done])
    }

    @Test("a comment is progress only when its number rises, and only for a kind that counts so")
    func progress() {
        let stream = ": keepalive 5/9\n\n: keepalive 5/9\n\n: keepalive 4/9\n\n: keepalive 9/9\n\n"
        #expect(cut(stream).kinds == [true, false, false, true].map { .comment(progress: $0) })
        #expect(cut(stream, commentProgress: false).kinds.allSatisfy { $0 == .comment(progress: false) })
    }

    /// As llama-server writes them where `return_progress` asks for it.
    private static func told(_ done: Int, cached: Int = 0, index: Int = 0, delta: String = role) -> String {
        let event = chatChunk(delta, index: index).dropLast()
        return #"data: \#(event),"prompt_progress":{"total":9,"cache":\#(cached),"processed":\#(done),"time_ms":7}}"#
            + "\n\n"
    }
    private static let role = #"{"role":"assistant","content":null}"#

    @Test("an event of progress is news when more is computed than was cached, and than was said before")
    func eventProgress() {
        let stream =
            Self.told(2, cached: 2) + Self.told(4, cached: 2) + Self.told(4, cached: 2) + Self.told(9, cached: 2)
            + Self.told(0, index: 1) + Self.told(3, index: 1) + Self.told(9)
        let news = cut(stream, eventProgress: true)
        #expect(news.kinds == [false, true, false, true, false, true, true].map { .progress(isNews: $0) })
        #expect(news.facts == StreamFacts(), "it says nothing of the answer")
        let bytes = Array(stream.utf8)
        for place in 0...bytes.count {
            #expect(cut(bytes, eventProgress: true, at: [place]).kinds == news.kinds, "cut at \(place)")
        }
        #expect(cut(stream).kinds.allSatisfy { $0 == .role }, "another kind's word of that name")
    }

    @Test("what says more than progress, and what only looks like it, is what it says")
    func noEventProgress() {
        #expect(cut(Self.told(4, delta: #"{"content":"a"}"#), eventProgress: true).kinds == [.content])
        let finish = #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"prompt_progress":{}}"# + "\n\n"
        #expect(cut(finish, eventProgress: true).kinds == [.finish])
        let text = #"data: {"choices":[{"index":0,"text":""}],"prompt_progress":{"processed":2,"cache":1}}"# + "\n\n"
        #expect(cut(text, route: .completions, eventProgress: true).kinds == [.progress(isNews: true)])
        for value in ["null", "3", "[]"] {
            let event = #"data: {"choices":[{"index":0,"delta":\#(Self.role)}],"prompt_progress":\#(value)}"# + "\n\n"
            #expect(cut(event, eventProgress: true).kinds == [.role], "\(value)")
        }
        let odd = #"data: {"choices":[],"prompt_progress":{"processed":"x","cache":{}}}"# + "\n\n"
        #expect(cut(odd, eventProgress: true).kinds == [.progress(isNews: false)])
    }

    @Test("streams of other routes: each event counts, errors and usage are found")
    func typed() {
        let responses = InferenceRoute.other("responses")
        #expect(kind(#"{"type":"response.output_text.delta","delta":"a"}"#, route: responses) == .content)
        #expect(kind(#"{"type":"error","message":"m"}"#, route: responses) == .error)
        #expect(kind(#"{"type":"response.failed","response":{"error":{"code":"x"}}}"#, route: responses) == .error)
        let done =
            #"{"type":"response.completed","response":{"error":null,"usage":"#
            + #"{"input_tokens":8,"input_tokens_details":{"cached_tokens":6},"output_tokens":3}}}"#
        let run = cut("event: response.completed\ndata: \(done)\n\n", route: responses)
        #expect(run.kinds == [.content])
        #expect(run.facts.usage == TokenUsage(prompt: 8, completion: 3, cached: 6))
        let messages =
            #"data: {"type":"message_start","message":{"usage":{"input_tokens":8,"output_tokens":1}}}"#
            + "\n\n" + #"data: {"type":"message_delta","usage":{"output_tokens":40}}"# + "\n\n"
        #expect(
            cut(messages, route: .other("messages")).facts.usage == TokenUsage(prompt: 8, completion: 40, cached: 0))
    }
}
