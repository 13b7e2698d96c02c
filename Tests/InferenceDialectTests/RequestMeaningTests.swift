/// What a request needs of its worker, and by what its conversation is known again.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("What requests mean")
struct RequestMeaningTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let route: InferenceRoute
        let body: String
        let needs: RequestNeeds

        init(_ body: String, _ needs: RequestNeeds, _ route: InferenceRoute = .chatCompletions) {
            self.route = route
            self.body = body
            self.needs = needs
        }

        var testDescription: String { body }
    }

    private static func part(_ part: String) -> String { chat(message: #"{"role":"user","content":[\#(part)]}"#) }

    @Test(
        "Needs are what was asked for and no more",
        arguments: [
            Case(chat(""), []),
            Case(chat(#""logprobs":true"#), .logprobs), Case(chat(#""logprobs":false"#), []),
            Case(chat(#""top_logprobs":1"#), .logprobs), Case(chat(#""top_logprobs":0"#), []),
            Case(chat(#""response_format":{"type":"text"}"#), []), Case(chat(#""response_format":null"#), []),
            Case(chat(#""response_format":{"type":"json_object"}"#), .structuredOutput),
            Case(chat(#""tool_choice":"auto""#), []), Case(chat(#""tool_choice":"required""#), .requiredTool),
            Case(chat(#""tool_choice":{"type":"function","function":{"name":"f"}}"#), .requiredTool),
            Case(chat(#""tools":[]"#), []), Case(chat(#""tools":[{"function":{"name":"f"}}]"#), .tools),
            Case(chat(#""n":1"#), []), Case(chat(#""n":2"#), .manyChoices), Case(chat(#""seed":1"#), .seed),
            Case(chat(#""logit_bias":{}"#), []), Case(chat(#""logit_bias":{"1":1}"#), .logitBias),
            Case(part(#"{"type":"image_url","image_url":{"url":"data:,"}}"#), .images),
            Case(part(#"{"type":"image_url","image_url":"https://x"}"#), [.images, .remoteImages]),
            Case(part(#"{"type":"image_url","image_url":{"url":"http://x"}}"#), [.images, .remoteImages]),
            Case(chat(#""repetition_penalty":1.1"#), .repetitionPenalty), Case(chat(#""presence_penalty":1"#), []),
            Case(chat(#""adapters":"a""#), .loaderFields), Case(chat(#""draft_model":"a""#), .loaderFields),
            Case(chat(#""num_draft_tokens":3"#), .loaderFields),
            Case(chat(#""role_mapping":{"a":"b"}"#), .loaderFields),
            Case(chat(#""seed":-1"#), .seed), Case(chat(#""seed":0"#), .seed),
            Case(chat(#""top_k":200000"#), []), Case(chat(#""top_k":-1"#), []),
            Case(
                chat(#""chat_template_kwargs":{"enable_thinking":false,"thinking":true,"reasoning_effort":"low"}"#), []),
            Case(chat(#""chat_template_kwargs":{}"#), []), Case(chat(#""chat_template_kwargs":null"#), []),
            Case(chat(#""chat_template_kwargs":{"thinking":true,"return_tensors":"pt"}"#), .templateArguments),
            Case(chat(#""chat_template_kwargs":{"enable_thinking":{"return_tensors":1}}"#), []),
            Case(chat(#""chat_template_kwargs":["a"]"#), .templateArguments),
            Case(chat(#""chat_template_kwargs":"a""#), .templateArguments),
            Case(chat(#""adapters":null"#), []), Case(chat(#""metadata":{"adapters":"a"}"#), []),
            Case(completion("", prompt: #""""#), .emptyPrompt, .completions),
            Case(completion("", prompt: #"["a"]"#), [], .completions),
            Case(completion("", prompt: #"["a","b"]"#), .listPrompt, .completions),
            Case(completion("", prompt: #"["a",""]"#), [.listPrompt, .emptyPrompt], .completions),
            Case(completion("", prompt: "[1]"), .tokenPrompt, .completions),
            Case(completion("", prompt: "[[1]]"), [.tokenPrompt, .listPrompt], .completions),
            Case(completion(#""max_tokens":0"#), .zeroCeiling, .completions),
            Case(completion(#""logprobs":0"#), [.logprobs, .countedLogprobs], .completions),
            Case(chat(#""top_logprobs":11"#), .logprobs),
            Case(chat(#""top_logprobs":12"#), [.logprobs, .manyTopLogprobs]),
            Case(chat(#""logprobs":true,"stream":true"#), [.logprobs, .streamedLogprobs]),
            Case(embedding(input: #"["a"]"#), [], .embeddings),
        ])
    func needs(example: Case) throws {
        #expect(try scan(example.body, route: example.route).get().needs == example.needs)
    }

    private static let opening = #"{"role":"system","content":"be brief"},{"role":"user","content":"first"}"#
    private static let reply = #",{"role":"assistant","content":"one"},{"role":"user","content":"second"}"#

    private func print(_ body: String, _ route: InferenceRoute = .chatCompletions) throws -> UInt64 {
        try scan(body, route: route).get().prefixFingerprint
    }

    @Test("Every turn of a conversation has the fingerprint of its first")
    func turns() throws {
        let first = try print(chat("", messages: "[\(Self.opening)]"))
        #expect(try print(chat("", messages: "[\(Self.opening)\(Self.reply)]")) == first)
        #expect(try print(chat(#""stream":true,"max_tokens":5"#, messages: "[\(Self.opening)\(Self.reply)]")) == first)
        let modelLast = #"{"messages":[\#(Self.opening)],"model":"m"}"#
        #expect(try print(modelLast) == first)
        let roleLast = #"[{"content":"x","role":"user"}"#
        #expect(try print(chat("", messages: roleLast + "]")) == print(chat("", messages: roleLast + Self.reply + "]")))
    }

    @Test("Other models, tools and openings have other fingerprints")
    func conversations() throws {
        let tools = #""tools":[{"function":{"name":"f"}}]"#
        let bodies = [
            chat("", messages: "[\(Self.opening)]"),
            chat("", messages: #"[{"role":"system","content":"be kind"},{"role":"user","content":"first"}]"#),
            chat("", messages: #"[{"role":"system","content":"be brief"},{"role":"user","content":"other"}]"#),
            chat("", messages: #"[{"role":"user","content":"first"}]"#),
            chat("", messages: #"[{"role":"system","content":"be brief"}]"#),
            chat("", messages: #"[{"role":"system","content":"be brief"},{"role":"system","content":"x"}]"#),
            chat(tools, messages: "[\(Self.opening)]"), chat(#""tools":[]"#, messages: "[\(Self.opening)]"),
            #"{"model":"m2","messages":[\#(Self.opening)]}"#,
        ]
        let prints = try bodies.map { try print($0) }
        #expect(Set(prints).count == bodies.count)
        // Without a user's message it is all messages, and still nothing after them.
        let system = #"{"model":"m","messages":[{"role":"system","content":"x"}]"#
        #expect(try print(system + "}") == print(system + #","max_tokens":5}"#))
        // Tools count wherever they stand, and what follows the first user message never does.
        let after = #"{"model":"m","messages":[\#(Self.opening)],\#(tools)}"#
        let later = #"{"model":"m","messages":[\#(Self.opening)\#(Self.reply)],\#(tools)}"#
        #expect(try print(after) == print(later))
        #expect(try print(after) != prints[0])
    }

    @Test("Text prompts are known by their first bytes, token prompts by their first ids")
    func prompts() throws {
        func text(_ text: String) throws -> UInt64 { try print(completion("", prompt: "\"\(text)\""), .completions) }
        let long = String(repeating: "x", count: RequestScan.textPrefixBytes)
        #expect(try text(long) == text(long + "y"))
        #expect(try text(long) != text(String(long.dropLast())))
        #expect(try text("a") != text("b"))
        func ids(_ list: [Int]) throws -> UInt64 { try print(completion("", prompt: "\(list)"), .completions) }
        let many = Array(0..<RequestScan.idPrefixCount)
        #expect(try ids(many) == ids(many + [1]))
        #expect(try ids(many) != ids(many.dropLast()))
        #expect(try print(completion("", prompt: "[[1,2],[3]]"), .completions) == ids([1, 2]))
        #expect(try ids([1]) != ids([2]))
        #expect(
            try print(embedding(input: #"["a","b"]"#), .embeddings) == print(embedding(input: #""a""#), .embeddings))
    }
}
