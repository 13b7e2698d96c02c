/// What a client of OpenAI's may send passes, and what was found in it is right.
import Testing

@testable import InferenceDialect

@Suite("Requests that pass")
struct ValidRequestTests {
    static let chats: [String] = [
        chat(""),
        chat(#""stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}"#),
        chat(#""stream":null,"stream_options":null,"stop":null,"n":null,"max_tokens":null,"temperature":null"#),
        chat(#""top_p":null,"seed":null,"logprobs":null,"top_logprobs":null,"logit_bias":null,"user":null"#),
        chat(#""tools":null,"tool_choice":null,"response_format":null,"presence_penalty":null"#),
        chat(#""stream_options":{},"stream_options_":1"#),
        chat(#""stream_options":{"include_usage":null}"#),
        chat(#""max_completion_tokens":1,"max_tokens":1099511627776"#),
        chat(#""temperature":0,"top_p":1,"frequency_penalty":-2.0,"presence_penalty":2e0,"min_p":0.05,"top_k":-1"#),
        chat(#""temperature":100,"repetition_penalty":1.1,"n":128,"seed":-9223372036854775808"#),
        chat(#""n":1,"seed":9223372036854775807"#),
        chat(#""stop":"END""#), chat(#""stop":[]"#), chat(#""stop":["a","b","c","d"]"#),
        chat(#""logprobs":true,"top_logprobs":20"#), chat(#""logprobs":false,"top_logprobs":0"#),
        chat(#""logit_bias":{"50256":-100,"2147483647":100,"0":0.5}"#), chat(#""logit_bias":{}"#),
        chat(#""metadata":{"a":"b"},"store":true,"parallel_tool_calls":false,"service_tier":"auto""#),
        chat(#""prediction":{"type":"content","content":"x"},"modalities":["text","audio"]"#),
        chat(#""audio":{"voice":"alloy","format":"mp3"},"reasoning_effort":"low","verbosity":"low""#),
        chat(#""web_search_options":{"user_location":{"type":"approximate"}},"safety_identifier":"x""#),
        chat(#""prompt_cache_key":"k","prompt":17,"input":null"#),
        chat(#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#),
        chat(#""tools":[]"#),
        chat(#""tools":[{"type":"function","function":{"name":"get_weather-2","description":"d","strict":true}}]"#),
        chat(#""tools":[{"type":"function","function":{"name":"f","parameters":null}}]"#),
        chat(#""tools":[{"function":{"parameters":{"type":"object","properties":{"type":{}}},"name":"f"}}]"#),
        chat(#""tools":[{"type":"custom","custom":{"name":"sql","format":{"type":"grammar","grammar":{}}}}]"#),
        chat(#""tools":[{"custom":{"name":"sql"},"type":"custom"}]"#),
        chat(#""tool_choice":"none""#), chat(#""tool_choice":"auto""#), chat(#""tool_choice":"required""#),
        chat(#""tool_choice":{"type":"function","function":{"name":"f"}}"#),
        chat(#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}"#),
        chat(#""tool_choice":{"type":"custom","custom":{"name":"f"}}"#),
        chat(#""response_format":{"type":"text"}"#), chat(#""response_format":{"type":"json_object"}"#),
        chat(#""response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}"#),
        // Members of other servers, which nobody here reads.
        chat(#""chat_template_kwargs":{"enable_thinking":false},"cache_prompt":true,"adapters":null,"guided_json":{}"#),
    ]

    static let messages: [String] = [
        #"{"role":"developer","content":"be brief"},{"role":"user","content":"hi","name":"ann"}"#,
        #"{"content":"hi","role":"user"}"#,
        #"{"role":"assistant","content":null,"refusal":null,"audio":{"id":"a"},"function_call":null}"#,
        #"{"role":"assistant","tool_calls":null}"#,
        #"{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}"#,
        #"{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","#
            + #""function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"ok"}"#,
        #"{"role":"assistant","tool_calls":[{"id":"1","type":"custom","custom":{"name":"f","input":"x"}}]}"#,
        #"{"role":"assistant","tool_calls":[{"custom":{"name":"f","input":"x"},"type":"custom","function":null}]}"#,
        #"{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"ok"}]}"#,
        #"{"role":"function","name":"f","content":null}"#,
        #"{"role":"user","content":[]}"#,
        #"{"role":"user","content":[{"type":"text","text":"a"},{"text":"","type":"text"}]}"#,
        #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}"#,
        #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]}"#,
        #"{"role":"user","content":[{"type":"image_url","image_url":"http://x.example/a.png"}]}"#,
        #"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}"#,
        #"{"role":"user","content":[{"type":"file","file":{"file_id":"f","file_data":"data:,"}}]}"#,
        #"{"role":"user","content":[{"type":"thinking","text":null,"thinking":"hm"}]}"#,
        #"{"role":"user","content":[{"type":"text","text":"a","image_url":null,"cache_control":{"type":"ephemeral"}}]}"#,
    ]

    static let completions: [String] = [
        completion(""), completion("", prompt: #""""#), completion("", prompt: #"["a","b"]"#),
        completion("", prompt: "[1,2,2147483647]"), completion("", prompt: "[[0],[1,2]]"),
        completion(#""max_tokens":0"#),
        completion(#""logprobs":5,"echo":true,"best_of":1,"suffix":null"#), completion(#""logprobs":true"#),
        completion(#""n":2,"stop":["\n"],"stream":true,"stream_options":{"include_usage":true}"#),
        completion(#""messages":"not read here""#),
    ]

    static let embeddings: [String] = [
        embedding(input: #""a""#), embedding(input: #"["a","b"]"#), embedding(input: "[1,2]"),
        embedding(input: "[[1,2],[3]]"),
        #"{"model":"e","input":"a","encoding_format":"base64","dimensions":512,"user":"u","temperature":"unread"}"#,
    ]

    static let all: [ValidBody] =
        (chats + messages.map { chat("", messages: "[\($0)]") }).map { ValidBody(.chatCompletions, $0) }
        + completions.map { ValidBody(.completions, $0) } + embeddings.map { ValidBody(.embeddings, $0) }
        + [ValidBody(.other("rerank"), #"{"model":"r","messages":3,"stop":{"x":1},"query":"q"}"#)]

    @Test("Whatever OpenAI takes is taken, and a cut anywhere changes nothing", arguments: all)
    func passes(valid: ValidBody) {
        let result = scan(valid.body, route: valid.route)
        #expect(throws: Never.self) { try result.get() }
        #expect(cutThatMatters(Array(valid.body.utf8), route: valid.route) == nil)
    }

    @Test("White space between tokens changes nothing but offsets")
    func whiteSpace() throws {
        let body = " \r\n\t{ \"model\" :\t\"m\" , \"n\" : 2 , \"messages\" : [ { \"role\" : \"user\" } ] } \n"
        let found = try scan(body).get()
        #expect(found.model == "m")
        #expect(found.choices == 2)
        #expect(found.objectStart == 5)
        #expect(found.bodyBytes == body.utf8.count)
        #expect(cutThatMatters(Array(body.utf8)) == nil)
    }

    @Test("Ranges point at the bytes they name")
    func ranges() throws {
        let body = Array(
            #"{"messages":[{"role":"user","content":"\u00e9"}],"stream_options": {"include_usage": false } ,"model" : "a\/b","stream":true}"#
                .utf8)
        let found = try scan(body).get()
        func text(_ range: Range<Int>?) -> String? { range.map { String(decoding: body[$0], as: UTF8.self) } }
        #expect(found.model == "a/b")
        #expect(text(found.modelRange) == #""a\/b""#)
        #expect(text(found.streamOptionsRange) == #"{"include_usage": false }"#)
        #expect(text(found.includeUsageRange) == "false")
        #expect(found.includeUsage == false)
        #expect(found.streamOptionsIsObject)
        #expect(!found.streamOptionsIsEmpty)
        #expect(found.objectStart == 1)
        #expect(!found.objectIsEmpty)
        #expect(found.stream)
    }

    @Test("A null or empty stream_options is told from a filled one")
    func streamOptions() throws {
        let null = try scan(chat(#""stream_options":null"#)).get()
        #expect(null.streamOptionsRange?.count == 4)
        #expect(!null.streamOptionsIsObject)
        let empty = try scan(chat(#""stream_options":{ }"#)).get()
        #expect(empty.streamOptionsIsObject)
        #expect(empty.streamOptionsIsEmpty)
        let silent = try scan(chat(#""stream_options":{"include_usage":null}"#)).get()
        #expect(silent.includeUsage == nil)
        #expect(silent.includeUsageRange?.count == 4)
        #expect(try scan(chat("")).get().streamOptionsRange == nil)
    }

    @Test("Escaped keys are the keys they spell")
    func escapedKeys() throws {
        let body = #"{"\u006dodel":"x","str\u0065am":true,"messages":[{"r\u006fle":"user"}]}"#
        let found = try scan(body).get()
        #expect(found.model == "x")
        #expect(found.stream)
        #expect(cutThatMatters(Array(body.utf8)) == nil)
    }

    @Test("Names are decoded: escapes, surrogate pairs and UTF-8")
    func names() throws {
        let body = chat(#""user":"\ud83d\ude00é\n\"\\\/\b\f\r\t\u20AC""#)
        #expect(try scan(body).get().user == "😀é\n\"\\/\u{08}\u{0c}\r\t€")
        #expect(cutThatMatters(Array(body.utf8)) == nil)
    }

    @Test("The smallest ceiling counts")
    func ceilings() throws {
        #expect(try scan(chat(#""max_tokens":7,"max_completion_tokens":5"#)).get().outputCeiling == 5)
        #expect(try scan(chat(#""max_tokens":null"#)).get().outputCeiling == nil)
        #expect(try scan(completion(#""max_tokens":0"#), route: .completions).get().outputCeiling == 0)
    }

    @Test("Text of prompts is counted with its escapes undone, and nothing else is")
    func promptBytes() throws {
        func bytes(_ body: String, _ route: InferenceRoute = .chatCompletions) throws -> Int {
            try scan(body, route: route).get().promptBytes
        }
        #expect(try bytes(chat(message: #"{"role":"user","content":"ab\n\u00e9"}"#)) == 5)
        #expect(
            try bytes(
                chat(message: #"{"role":"user","content":[{"type":"text","text":"abc"},{"type":"text","text":"d"}]}"#))
                == 4)
        #expect(try bytes(completion("", prompt: #"["abc","de"]"#), .completions) == 5)
        #expect(try bytes(completion("", prompt: "[1,2,3]"), .completions) == 12)
        #expect(try bytes(completion("", prompt: "[[1],[2,3]]"), .completions) == 12)
        #expect(try bytes(embedding(input: #""abc""#), .embeddings) == 3)
        let other = #"{"model":"m"}"#
        #expect(try bytes(other, .other("rerank")) == other.utf8.count)
        #expect(try scan(completion("", prompt: #""12345""#), route: .completions).get().estimatedPromptTokens == 3)
    }
}
