/// What no OpenAI server would take is refused before a worker sees it, and the refusal names the member.
import Testing

@testable import InferenceDialect

@Suite("Requests that are refused")
struct RefusedRequestTests {
    private static func text(_ count: Int) -> String { #"""# + String(repeating: "x", count: count) + #"""# }
    private static func list(_ count: Int, of element: String) -> String {
        "[" + Array(repeating: element, count: count).joined(separator: ",") + "]"
    }

    static let presence: [RefusedBody] = [
        RefusedBody("{}", "model", "missing_required_parameter"),
        RefusedBody(#"{"model":"m"}"#, "messages", "missing_required_parameter"),
        RefusedBody(#"{"messages":[{"role":"user"}]}"#, "model", "missing_required_parameter"),
        RefusedBody(.completions, #"{"model":"m","messages":[]}"#, "prompt", "missing_required_parameter"),
        RefusedBody(.embeddings, #"{"model":"m","prompt":"x"}"#, "input", "missing_required_parameter"),
        RefusedBody(.other("rerank"), #"{"query":"x"}"#, "model", "missing_required_parameter"),
        RefusedBody(chat(message: #"{"content":"x"}"#), "messages[0].role", "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"user","content":[{"text":"x"}]}"#), "messages[0].content[0].type",
            "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"user","content":[{"text":null,"type":"text"}]}"#), "messages[0].content[0].text",
            "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"user","content":[{"type":"image_url"}]}"#), "messages[0].content[0].image_url",
            "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#),
            "messages[0].content[0].image_url.url", "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"assistant","tool_calls":[{"id":"1","type":"function"}]}"#),
            "messages[0].tool_calls[0].function", "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}"#),
            "messages[0].tool_calls[0].function.arguments", "missing_required_parameter"),
        RefusedBody(
            chat(message: #"{"role":"assistant","tool_calls":[{"function":{"arguments":""}}]}"#),
            "messages[0].tool_calls[0].function.name", "missing_required_parameter"),
        RefusedBody(chat(#""tools":[{"type":"function"}]"#), "tools[0].function", "missing_required_parameter"),
        RefusedBody(chat(#""tools":[{"function":null}]"#), "tools[0].function", "missing_required_parameter"),
        RefusedBody(chat(#""tools":[{"function":{}}]"#), "tools[0].function.name", "missing_required_parameter"),
        RefusedBody(chat(#""response_format":{}"#), "response_format.type", "missing_required_parameter"),
    ]

    static let shapes: [RefusedBody] = [
        RefusedBody(#"{"model":null,"messages":[]}"#, "model"), RefusedBody(#"{"model":7}"#, "model"),
        RefusedBody(#"{"model":"","messages":[]}"#, "model"), RefusedBody(#"{"model":["m"]}"#, "model"),
        RefusedBody(#"{"model":\#(text(257))}"#, "model"),
        RefusedBody(chat("", messages: "null"), "messages"), RefusedBody(chat("", messages: #""hi""#), "messages"),
        RefusedBody(chat("", messages: "[]"), "messages"), RefusedBody(chat("", messages: #"["hi"]"#), "messages[0]"),
        RefusedBody(chat("", messages: #"[{"role":"user"},null]"#), "messages[1]"),
        RefusedBody(chat("", messages: list(10_001, of: #"{"role":"user"}"#)), "messages"),
        RefusedBody(chat(message: #"{"role":null}"#), "messages[0].role"),
        RefusedBody(chat(message: #"{"role":\#(text(65))}"#), "messages[0].role"),
        RefusedBody(chat(message: #"{"role":"user","content":5}"#), "messages[0].content"),
        RefusedBody(chat(message: #"{"role":"user","content":{}}"#), "messages[0].content"),
        RefusedBody(chat(message: #"{"role":"user","content":["x"]}"#), "messages[0].content[0]"),
        RefusedBody(chat(message: #"{"role":"user","content":[{"type":5}]}"#), "messages[0].content[0].type"),
        RefusedBody(chat(message: #"{"role":"user","content":[{"text":5}]}"#), "messages[0].content[0].text"),
        RefusedBody(chat(message: #"{"role":"user","tool_calls":{}}"#), "messages[0].tool_calls"),
        RefusedBody(chat(message: #"{"role":"user","tool_calls":[5]}"#), "messages[0].tool_calls[0]"),
        RefusedBody(
            chat(message: #"{"role":"user","tool_calls":[{"function":{"name":5}}]}"#),
            "messages[0].tool_calls[0].function.name"),
        RefusedBody(
            chat(message: #"{"role":"user","tool_calls":[{"function":{"arguments":{}}}]}"#),
            "messages[0].tool_calls[0].function.arguments"),
        RefusedBody(.completions, completion("", prompt: "null"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "[]"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "{}"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "7"), "prompt"),
        RefusedBody(.completions, completion("", prompt: #"["a",1]"#), "prompt"),
        RefusedBody(.completions, completion("", prompt: "[1,[2]]"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "[[]]"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "[null]"), "prompt[0]"),
        RefusedBody(.completions, completion("", prompt: #"[["a"]]"#), "prompt[0][0]"),
        RefusedBody(.completions, completion("", prompt: "[-1]"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "[2147483648]"), "prompt"),
        RefusedBody(.completions, completion("", prompt: "[1.5]"), "prompt"),
        RefusedBody(.completions, completion("", prompt: list(2_049, of: #""a""#)), "prompt"),
        RefusedBody(.completions, completion("", prompt: list(2_049, of: "[1]")), "prompt"),
        RefusedBody(.embeddings, embedding(input: "null"), "input"),
        RefusedBody(.embeddings, embedding(input: #"[1,"a"]"#), "input"),
    ]

    static let values: [RefusedBody] =
        [
            (#""max_tokens":0"#, "max_tokens"), (#""max_tokens":true"#, "max_tokens"),
            (#""max_tokens":1e3"#, "max_tokens"), (#""max_tokens":10.0"#, "max_tokens"),
            (#""max_tokens":"10""#, "max_tokens"), (#""max_tokens":1099511627777"#, "max_tokens"),
            (#""max_completion_tokens":-1"#, "max_completion_tokens"), (#""max_output_tokens":0"#, "max_output_tokens"),
            (#""temperature":-0.1"#, "temperature"), (#""temperature":100.5"#, "temperature"),
            (#""temperature":"1""#, "temperature"), (#""temperature":true"#, "temperature"),
            (#""temperature":1e400"#, "temperature"),
            (#""top_p":1.01"#, "top_p"), (#""min_p":-1"#, "min_p"), (#""top_k":-2"#, "top_k"),
            (#""top_k":1.5"#, "top_k"),
            (#""frequency_penalty":101"#, "frequency_penalty"), (#""presence_penalty":-101"#, "presence_penalty"),
            (#""repetition_penalty":{}"#, "repetition_penalty"),
            (#""n":0"#, "n"), (#""n":129"#, "n"), (#""n":1.0"#, "n"), (#""n":"1""#, "n"),
            (#""seed":9223372036854775808"#, "seed"), (#""seed":1.5"#, "seed"), (#""seed":"1""#, "seed"),
            (#""stop":5"#, "stop"), (#""stop":[5]"#, "stop[0]"), (#""stop":{}"#, "stop"),
            (#""stop":[null]"#, "stop[0]"),
            (#""stop":\#(text(1_025))"#, "stop"), (#""stop":["a",\#(text(1_025))]"#, "stop[1]"),
            (#""stop":\#(list(17, of: #""a""#))"#, "stop"),
            (#""logit_bias":[]"#, "logit_bias"), (#""logit_bias":{"a":1}"#, "logit_bias"),
            (#""logit_bias":{"":1}"#, "logit_bias"), (#""logit_bias":{"-1":1}"#, "logit_bias"),
            (#""logit_bias":{"2147483648":1}"#, "logit_bias"), (#""logit_bias":{"12345678901":1}"#, "logit_bias"),
            (#""logit_bias":{"1":101}"#, "logit_bias"), (#""logit_bias":{"1":null}"#, "logit_bias"),
            (#""logit_bias":{\#((0...1_024).map { #""\#($0)":1"# }.joined(separator: ","))}"#, "logit_bias"),
            (#""logprobs":5"#, "logprobs"), (#""logprobs":"true""#, "logprobs"),
            (#""top_logprobs":21"#, "top_logprobs"), (#""top_logprobs":-1"#, "top_logprobs"),
            (#""top_logprobs":true"#, "top_logprobs"),
            (#""stream":1"#, "stream"), (#""stream":"true""#, "stream"),
            (#""stream_options":true"#, "stream_options"), (#""stream_options":[]"#, "stream_options"),
            (#""stream_options":{"include_usage":1}"#, "stream_options.include_usage"),
            (#""stream_options":{"other":"x"}"#, "stream_options"),
            (#""tools":{}"#, "tools"), (#""tools":["f"]"#, "tools[0]"), (#""tools":[null]"#, "tools[0]"),
            (#""tools":[{"type":7}]"#, "tools[0].type"), (#""tools":[{"function":"f"}]"#, "tools[0].function"),
            (#""tools":[{"function":{"name":7}}]"#, "tools[0].function.name"),
            (#""tools":[{"function":{"name":""}}]"#, "tools[0].function.name"),
            (#""tools":[{"function":{"name":"a b"}}]"#, "tools[0].function.name"),
            (#""tools":[{"function":{"name":"é"}}]"#, "tools[0].function.name"),
            (#""tools":[{"function":{"name":\#(text(65))}}]"#, "tools[0].function.name"),
            (#""tools":[{"function":{"name":"f","parameters":"{}"}}]"#, "tools[0].function.parameters"),
            (#""tools":\#(list(129, of: #"{"type":"custom"}"#))"#, "tools"),
            (#""tool_choice":"some""#, "tool_choice"), (#""tool_choice":true"#, "tool_choice"),
            (#""response_format":"json""#, "response_format"),
            (#""response_format":{"type":null}"#, "response_format.type"),
            (#""user":5"#, "user"),
        ].map { RefusedBody(chat($0.0), $0.1) } + [
            RefusedBody(.completions, completion(#""max_tokens":-1"#), "max_tokens"),
            RefusedBody(.completions, completion(#""logprobs":21"#), "logprobs"),
            RefusedBody(.completions, completion(#""logprobs":1.5"#), "logprobs"),
        ]

    static let images: [RefusedBody] = [
        #""file:///etc/passwd""#, #""\u0066ile:///etc/passwd""#, #""ftp://x/a.png""#, #""HTTP://x/a.png""#, #""""#,
        #"" https://x/a.png""#, #""httpx://x""#, #"{"url":"file:///etc/passwd"}"#, #""/etc/passwd""#, "5",
    ].map {
        RefusedBody(
            chat(message: #"{"role":"user","content":[{"type":"image_url","image_url":\#($0)}]}"#),
            $0.hasPrefix("{") ? "messages[0].content[0].image_url.url" : "messages[0].content[0].image_url")
    }

    static let duplicates: [RefusedBody] = [
        RefusedBody(#"{"model":"a","model":"b"}"#, "model"), RefusedBody(#"{"model":"a","\u006dodel":"b"}"#, "model"),
        RefusedBody(chat(#""stream":true,"stream":false"#), "stream"), RefusedBody(chat(#""n":null,"n":1"#), "n"),
        RefusedBody(chat("", messages: #"[{"role":"user"}],"messages":[]"#), "messages"),
        RefusedBody(chat(message: #"{"role":"user","role":"system"}"#), "messages[0].role"),
        RefusedBody(chat(message: #"{"role":"user","content":"a","content":"b"}"#), "messages[0].content"),
        RefusedBody(
            chat(#""stream_options":{"include_usage":true,"include_usage":false}"#), "stream_options.include_usage"),
        RefusedBody(chat(#""tools":[{"function":{"name":"a","name":"b"}}]"#), "tools[0].function.name"),
        RefusedBody(chat(#""response_format":{"type":"text","type":"text"}"#), "response_format.type"),
    ]

    @Test("Each refusal names what is wrong", arguments: presence + shapes + values + images + duplicates)
    func refused(refused: RefusedBody) throws {
        guard case .failure(let failure) = scan(refused.body, route: refused.route) else {
            Issue.record("it passed")
            return
        }
        #expect(failure.status == 400)
        #expect(failure.code == refused.code)
        #expect(failure.param == refused.param)
        #expect(failure.message.contains(refused.param ?? ""))
    }

    @Test("A cut anywhere changes no refusal", arguments: presence + shapes + values + images + duplicates)
    func cut(refused: RefusedBody) {
        // The long ones are the same bodies many times over.
        if refused.body.count < 2_000 { #expect(cutThatMatters(refused.body, route: refused.route) == nil) }
    }

    @Test("What is just inside a bound passes")
    func bounds() {
        for body in [
            #"{"model":\#(Self.text(256)),"messages":[{"role":\#(Self.text(64))}]}"#,
            chat("", messages: Self.list(10_000, of: #"{"role":"user"}"#)),
            chat(#""stop":\#(Self.list(16, of: Self.text(1_024)))"#),
            chat(#""logit_bias":{\#((0..<1_024).map { #""\#($0)":1"# }.joined(separator: ","))}"#),
            chat(#""tools":\#(Self.list(128, of: #"{"function":{"name":\#(Self.text(64))}}"#))"#),
        ] {
            #expect(throws: Never.self) { try scan(body).get() }
        }
        #expect(throws: Never.self) {
            try scan(completion("", prompt: Self.list(2_048, of: #""a""#)), route: .completions).get()
        }
        // A list of token ids is a prompt, so its length is the body's.
        #expect(throws: Never.self) {
            try scan(completion("", prompt: Self.list(5_000, of: "1")), route: .completions).get()
        }
    }

    @Test("An image fills its twenty MiB and no byte more")
    func imageBound() {
        let room = RequestScan.imageBytesMax - "data:,".utf8.count
        for (count, passes) in [(room, true), (room + 1, false)] {
            let image = #"{"url":"data:,\#(String(repeating: "A", count: count))"}"#
            let result = scan(chat(message: #"{"role":"user","content":[{"type":"image_url","image_url":\#(image)}]}"#))
            switch result {
            case .success: #expect(passes)
            case .failure(let failure):
                #expect(!passes)
                #expect(failure.param == "messages[0].content[0].image_url.url")
            }
        }
    }
}
