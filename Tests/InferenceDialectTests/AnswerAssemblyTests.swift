/// A plain answer put together of a stream's events is the answer that the worker itself would have given.
import Testing

@testable import InferenceDialect

@Suite("A plain answer made of events")
struct AnswerAssemblyTests {
    private static func answer(
        _ events: [String], route: InferenceRoute = .chatCompletions, wantsLogprobs: Bool = false,
        counting: UsageCounting = .lastWins
    ) throws(AnswerAssembly.Failure) -> String {
        var cutter = EventStreamCutter(
            route: route, commentProgress: false, counting: counting,
            assembly: AnswerAssembly(route: route, model: "m", wantsLogprobs: wantsLogprobs))
        var frames: [EventStreamCutter.Frame] = []
        let bytes = Array((events.map { "data: \($0)\n\n" }.joined() + "data: [DONE]\n\n").utf8)
        bytes.withUnsafeBytes { cutter.feed($0, into: &frames) }
        let usage = cutter.facts.usage ?? TokenUsage(prompt: 7, completion: cutter.facts.contentEvents, cached: 0)
        return String(decoding: try cutter.assembly!.answer(counted: usage), as: UTF8.self)
    }

    private static let usage = #"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#
    private static let usageChunk = #"{"id":"c","object":"chat.completion","choices":[],"usage":\#(usage)}"#

    /// A whole answer with one choice.
    private static func whole(_ choice: String, usage: String = usage, head: String = #""id":"c""#) -> String {
        #"{\#(head),"object":"chat.completion","model":"m","choices":[\#(choice)],"usage":\#(usage)}"#
    }

    @Test("text is put behind text as it was escaped, and the role is told once")
    func text() throws {
        let told = try Self.answer([
            "null", chatChunk(#"{"role":"assistant","content":null}"#),
            chatChunk(#"{"role":"assistant","content":"a\n\ud83d"}"#),
            chatChunk(#"{"role":"assistant","content":"\ude00 \"b\""}"#), chatChunk("{}", finish: #""stop""#),
            Self.usageChunk,
        ])
        #expect(
            told
                == Self.whole(
                    #"{"index":0,"message":{"role":"assistant","content":"a\n\ud83d\ude00 \"b\""},"finish_reason":"stop"}"#
                ))
    }

    @Test("an answer without a word has no content, and says so; thoughts keep their name")
    func hollow() throws {
        let told = try Self.answer([
            chatChunk(#"{"reasoning":"hm"}"#), chatChunk(#"{"reasoning":"m"}"#, finish: #""length""#), Self.usageChunk,
        ])
        #expect(
            told
                == Self.whole(
                    #"{"index":0,"message":{"role":"assistant","content":null,"reasoning":"hmm"},"finish_reason":"length"}"#
                ))
    }

    @Test("calls are put together by index, their arguments as text, their index is not told")
    func calls() throws {
        let told = try Self.answer([
            chatChunk(
                #"{"content":"x","tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}"#
            ),
            chatChunk(#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"k":"\"v"}}}]}"#),
            chatChunk(#"{"tool_calls":[{"index":1,"id":"","function":{"name":"g","arguments":"{\"n\""}}]}"#),
            chatChunk(#"{"tool_calls":[{"index":1,"function":{"arguments":":1}"}}]}"#, finish: #""tool_calls""#),
            Self.usageChunk,
        ])
        let first = #"{"id":"a","function":{"name":"f","arguments":"{\"k\":\"\\\"v\"}"},"type":"function"}"#
        let second = #"{"id":"b","type":"function","function":{"name":"g","arguments":"{\"n\":1}"}}"#
        #expect(
            told
                == Self.whole(
                    #"{"index":0,"message":{"role":"assistant","content":"x","tool_calls":[\#(first),\#(second)]},"#
                        + #""finish_reason":"tool_calls"}"#))
    }

    @Test("choices are told in order of their index, in whatever order they came")
    func choices() throws {
        let told = try Self.answer([
            chatChunk(#"{"content":"b"}"#, index: 1), chatChunk(#"{"content":"a"}"#),
            chatChunk("{}", finish: #""stop""#, index: 1), chatChunk("{}", finish: #""length""#), Self.usageChunk,
        ])
        let choice = { (index: Int, text: String, finish: String) in
            #"{"index":\#(index),"message":{"role":"assistant","content":"\#(text)"},"finish_reason":"\#(finish)"}"#
        }
        #expect(told == Self.whole(choice(0, "a", "length") + "," + choice(1, "b", "stop")))
    }

    @Test("logprobs are put behind one another, array by array")
    func logprobs() throws {
        let event = { (token: String) in
            #"{"id":"c","choices":[{"index":0,"delta":{"content":"\#(token)"},"logprobs":{"content":[{"token":"\#(token)","#
                + #""top_logprobs":[]}],"refusal":null},"finish_reason":"stop"}]}"#
        }
        let told = try Self.answer([event("a"), event("b"), Self.usageChunk], wantsLogprobs: true)
        #expect(
            told.contains(
                #""logprobs":{"content":[{"token":"a","top_logprobs":[]},{"token":"b","top_logprobs":[]}]}"#))
        let none = try Self.answer(
            [chatChunk(#"{"content":"a"}"#, finish: #""stop""#), Self.usageChunk], wantsLogprobs: true)
        #expect(none.contains(#""logprobs":null"#))
    }

    @Test("members that nobody here knows are kept: the first id, the last of the others")
    func unknownMembers() throws {
        let told = try Self.answer([
            #"{"id":"one","created":1,"timings":{"n":1},"choices":[{"index":0,"delta":{"content":"a","x":[1]},"y":1}]}"#,
            #"{"id":"two","created":2,"timings":{"n":2},"choices":[{"index":0,"delta":{"x":[2]},"y":2,"finish_reason":"stop"}]}"#,
            Self.usageChunk,
        ])
        #expect(
            told
                == Self.whole(
                    #"{"index":0,"message":{"role":"assistant","content":"a","x":[1,2]},"y":2,"finish_reason":"stop"}"#,
                    head: #""id":"one","created":1,"timings":{"n":2}"#))
    }

    @Test("a text's answer has its text, and null for logprobs that nobody asked for")
    func completions() throws {
        let event = { (text: String, finish: String) in
            #"{"id":"c","object":"text_completion","choices":[{"index":0,"text":"\#(text)","logprobs":null,"finish_reason":\#(finish)}]}"#
        }
        let told = try Self.answer([event("a", "null"), event("b", #""stop""#), Self.usageChunk], route: .completions)
        #expect(
            told
                == #"{"id":"c","object":"text_completion","model":"m","choices":[{"index":0,"text":"ab","logprobs":null,"#
                + #""finish_reason":"stop"}],"usage":\#(Self.usage)}"#)
    }

    @Test("usage told choice by choice is added up, the prompt counted once for each; told twice it is told once")
    func usage() throws {
        let chunk = { (completion: Int) in
            #"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":\#(completion),"total_tokens":0}}"#
        }
        let words = [0, 1].map { chatChunk(#"{"content":"a"}"#, finish: #""stop""#, index: $0) }
        let each = try Self.answer(words + [chunk(3), chunk(4)], counting: .perChoice(choicesPerPrompt: 2))
        #expect(each.contains(#""usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"#))
        let prompts = try Self.answer(words + [chunk(3), chunk(4)], counting: .perChoice(choicesPerPrompt: 1))
        #expect(prompts.contains(#""usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27,"#))
        let twice = try Self.answer(words + [Self.usageChunk, Self.usageChunk])
        #expect(twice.hasSuffix(#""usage":\#(Self.usage)}"#))
        #expect(try Self.answer(words).contains(#""usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"#))
    }

    @Test("what ends without a reason on every choice is no answer")
    func unfinished() {
        #expect(throws: AnswerAssembly.Failure.unfinished) { try Self.answer([chatChunk(#"{"content":"a"}"#)]) }
        #expect(throws: AnswerAssembly.Failure.unfinished) {
            try Self.answer([
                chatChunk(#"{"content":"a"}"#, finish: #""stop""#), chatChunk(#"{"content":"a"}"#, index: 1),
            ])
        }
        #expect(throws: AnswerAssembly.Failure.unfinished) { try Self.answer([]) }
        #expect(throws: AnswerAssembly.Failure.unreadable) { try Self.answer([#"{"choices":[{"index":0,"#]) }
    }

    @Test("an answer stands at its bound and not past it: bytes, choices, calls, members")
    func bounds() throws {
        func fed(_ events: [String], bytesMax: Int = AnswerAssembly.bytesUsual) -> AnswerAssembly.Failure? {
            var assembly = AnswerAssembly(
                route: .chatCompletions, model: "m", wantsLogprobs: false, bytesMax: bytesMax)!
            for event in events { Array(event.utf8).withUnsafeBytes { assembly.feed($0) } }
            return assembly.failure
        }
        // The name and the text of one member, the id and the finish.
        let kept = 7 + 10 + 2 + 3
        let word = chatChunk(#"{"content":"0123456789"}"#)
        #expect(fed([word], bytesMax: kept) == nil)
        #expect(fed([word], bytesMax: kept - 1) == .tooLarge)
        #expect(fed([word, word], bytesMax: kept + 10) == nil)
        #expect(fed([word, word], bytesMax: kept + 9) == .tooLarge)
        let choice = { chatChunk(#"{"content":"a"}"#, index: $0) }
        #expect(fed((0..<128).map(choice)) == nil)
        #expect(fed((0..<129).map(choice)) == .tooLarge)
        let call = { (number: Int) in chatChunk(#"{"tool_calls":[{"index":\#(number),"id":"a"}]}"#) }
        #expect(fed((0..<128).map(call)) == nil)
        #expect(fed((0..<129).map(call)) == .tooLarge)
        let member = { (number: Int) in chatChunk(#"{"x\#(number)":1}"#) }
        #expect(fed((0..<64).map(member)) == nil)
        #expect(fed((0..<65).map(member)) == .tooLarge)
    }

    @Test("a response is what its last event says, with the client's name of the model")
    func responses() throws {
        let told = try Self.answer(
            [
                #"{"type":"response.created","response":{"id":"r","model":"x","status":"in_progress"}}"#,
                #"{"type":"response.output_text.delta","delta":"a"}"#,
                #"{"type":"response.completed","response":{"id":"r","model":"x","status":"completed","output":[1]}}"#,
            ], route: .other("responses"))
        #expect(told == #"{"id":"r","model":"m","status":"completed","output":[1]}"#)
        #expect(throws: AnswerAssembly.Failure.unfinished) {
            try Self.answer([#"{"type":"response.created","response":{"id":"r"}}"#], route: .other("responses"))
        }
    }

    @Test("a message is its beginning, its blocks and what its end says")
    func messages() throws {
        let events = [
            #"{"type":"message_start","message":{"id":"i","type":"message","role":"assistant","model":"x","content":[],"#
                + #""stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":0}}}"#,
            #"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            #"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            #"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
            #"{"type":"content_block_stop","index":0}"#,
            #"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            #"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}"#,
            #"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\"b"}}"#,
            #"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            #"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"k\":"}}"#,
            #"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"\\u00e4\"}"}}"#,
            #"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":5}}"#,
            #"{"type":"message_stop"}"#,
        ]
        let told = try Self.answer(events, route: .other("messages"))
        #expect(
            told == #"{"id":"i","type":"message","role":"assistant","model":"m","content":["#
                + #"{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"a\"b"},"#
                + #"{"type":"tool_use","id":"t","name":"f","input":{"k":"\u00e4"}}],"#
                + #""stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":5}}"#)
        #expect(throws: AnswerAssembly.Failure.unfinished) {
            try Self.answer(events.dropLast(), route: .other("messages"))
        }
    }

    @Test("other routes have no plain answer made of events")
    func otherRoutes() {
        for route in [InferenceRoute.embeddings, .other("rerank"), .other("audio/speech")] {
            #expect(AnswerAssembly(route: route, model: "m", wantsLogprobs: false) == nil)
        }
    }

    @Test(
        "a plain request is made a stream, whatever it said of it",
        arguments: [
            (#""x":1"#, #"{"stream":true,"stream_options":{"include_usage":true},"model":"m","x":1,"#),
            (#""stream":false"#, #"{"stream_options":{"include_usage":true},"model":"m","stream":true,"#),
            (#""stream":null,"x":1"#, #"{"stream_options":{"include_usage":true},"model":"m","stream":true,"x":1,"#),
            (#""stream_options":null"#, #"{"stream":true,"model":"m","stream_options":{"include_usage":true},"#),
        ])
    func makesStream(written: String, becomes: String) throws {
        let body = chat(written)
        let model = ModelOnWorker(name: "m", upstreamName: "m", contextTokens: nil, vocabulary: nil)
        for dialect in [WorkerDialect.mlxLM, .llamaCpp] {
            let list = dialect.prepare(try scan(body).get(), model, askUsage: true, makesStream: true)
            let made = try scan(spliced(list, into: body)).get()
            #expect(made.stream && made.includeUsage == true, "\(dialect.kind): \(spliced(list, into: body))")
        }
        let list = WorkerDialect.llamaCpp.prepare(try scan(body).get(), model, askUsage: true, makesStream: true)
        #expect(withoutProgress(withoutCeiling(spliced(list, into: body))).hasPrefix(becomes))
    }

    @Test("a list of prompts is asked one by one of a kind that takes one at a time, and sixteen at most")
    func oneByOne() throws {
        let model = ModelOnWorker(name: "m", upstreamName: "m", contextTokens: nil, vocabulary: nil)
        let body = #"{"model":"m","prompt": [ "a" , "b\"]", "c" ],"max_tokens":1,"stream":true}"#
        let scanned = try scan(body, route: .completions).get()
        #expect(WorkerDialect.mlxLM.fit(scanned, .completions, vocabulary: nil) == .ignores([]))
        for (position, prompt) in [#""a""#, #""b\"]""#, #""c""#].enumerated() {
            let list = WorkerDialect.mlxLM.prepare(
                scanned, model, askUsage: false, makesStream: true, promptPosition: position)
            #expect(
                spliced(list, into: body) == #"{"model":"m","prompt": \#(prompt),"max_tokens":1,"stream":true}"#)
        }
        func fit(_ prompts: [String], _ more: String = "") throws -> Fit {
            let body = #"{"model":"m","prompt":["# + prompts.joined(separator: ",") + "]" + more + "}"
            return WorkerDialect.mlxLM.fit(
                try scan(body, route: .completions).get(), .completions, vocabulary: nil)
        }
        #expect(try fit(Array(repeating: #""a""#, count: 16)) == .ignores([]))
        #expect(try fit([#""a""#, #""b""#], #","n":2"#) == .ignores(["n"]))
        for refused in [Array(repeating: #""a""#, count: 17), [#""a""#, #""""#], ["[1]", "[2]"]] {
            guard case .no = try fit(refused) else {
                Issue.record("\(refused) is taken")
                continue
            }
        }
        #expect(try fit([#""a""#]) == .yes)
    }

    @Test("several streams make one answer, each with its index, and each can be told as an event of its own")
    func severalStreams() throws {
        var assembly = AnswerAssembly(route: .completions, model: "m", wantsLogprobs: false)!
        for (index, text) in ["a", "b"].enumerated() {
            assembly.firstIndex = index
            let event = #"{"id":"\#(text)","choices":[{"index":0,"text":"\#(text)","finish_reason":"stop"}]}"#
            Array(event.utf8).withUnsafeBytes { assembly.feed($0) }
        }
        let choice = { (index: Int, text: String) in
            #"{"index":\#(index),"text":"\#(text)","logprobs":null,"finish_reason":"stop"}"#
        }
        let usage =
            #"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}"#
        let counted = TokenUsage(prompt: 3, completion: 2, cached: 1)
        let head = #""id":"a","object":"text_completion","model":"m","choices":["#
        #expect(
            String(decoding: try assembly.answer(counted: counted), as: UTF8.self)
                == "{" + head + choice(0, "a") + "," + choice(1, "b") + #"],"usage":"# + usage + "}")
        #expect(
            String(decoding: assembly.event(choice: 1, usage: nil), as: UTF8.self)
                == "data: {" + head + choice(1, "b") + "]}\n\n")
        #expect(
            String(decoding: assembly.event(choice: nil, usage: counted), as: UTF8.self)
                == "data: {" + head + #"],"usage":"# + usage + "}\n\n")
    }
}
