import Determinism
import SimulatedWorker
import Testing

@Suite("The dialects of the kinds")
struct DialectTests {
    /// The whole answer of an instant worker, in bytes, as its kind writes it.
    private func answer(_ flavor: Flavor, _ body: String, _ route: Ask.Route = .chat) throws -> String {
        var story = MachineStory(flavor, instant: true)
        let ask = try story.read(body, route)
        var writer = AnswerWriter(flavor: flavor, ask: ask, number: 1, created: 1)
        let id = story.machine.accept(ask, at: .zero)
        var text = JSONText()
        for output in story.machine.takeOutputs() {
            switch output {
            case .head(id): writer.begin(into: &text)
            case .progress(id, let done, let total): writer.progress(done: done, of: total, into: &text)
            case .tokens(id, let count): writer.tokens(count, into: &text)
            case .finish(id, let cached):
                if ask.stream {
                    writer.finish(cachedTokens: cached, into: &text)
                } else {
                    text.raw(writer.plain(cachedTokens: cached))
                }
            default: break
            }
        }
        return String(decoding: text.bytes, as: UTF8.self)
    }

    private func events(_ text: String) throws -> [JSONValue] {
        try text.split(separator: "\n").filter { $0.hasPrefix("data: {") }
            .map { try JSONValue(Array($0.dropFirst(6).utf8)) }
    }

    @Test(
        "every kind gives a whole answer, plain and streamed, on each route it has", arguments: Flavor.allCases,
        [Ask.Route.chat, .text])
    func wholeAnswers(flavor: Flavor, route: Ask.Route) throws {
        guard flavor.route(route.rawValue) != nil else {
            #expect(flavor == .exo && route == .text, "only exo lacks a route, that of texts")
            return
        }
        let prompt = route == .chat ? #""messages":[{"role":"user","content":"hi"}]"# : #""prompt":"hi""#
        let body = #"{"model":"llama-7b","max_tokens":3,"stream_options":{"include_usage":true},"# + prompt
        let plain = try JSONValue(Array(try answer(flavor, body + "}", route).utf8))
        let choice = try #require(plain["choices"]?.items?.first)
        let said = route == .chat ? choice["message"]?["content"]?.text : choice["text"]?.text
        #expect(said?.utf8.count == 12)
        #expect(choice["finish_reason"] == "length")
        #expect(plain["usage"]?["completion_tokens"] == .integer(3))

        let stream = try answer(flavor, body + #","stream":true}"#, route)
        #expect(stream.hasSuffix("data: [DONE]\n\n"))
        let events = try events(stream)
        let text = events.compactMap { event in
            let choice = event["choices"]?.items?.first
            return route == .chat ? choice?["delta"]?["content"]?.text : choice?["text"]?.text
        }
        #expect(text.joined() == said)
        let finishes = events.compactMap { $0["choices"]?.items?.first?["finish_reason"]?.text }
        #expect(finishes == ["length"])
        let usages = events.compactMap { $0["usage"]?["total_tokens"]?.whole }
        #expect(usages.count == (flavor == .vllmMLX ? 2 : 1))
        #expect(Set(usages).count == 1)
    }

    @Test("vllm_mlx: usage null on every event, the last has text and finish, a text's events have ids of their own")
    func vllmEvents() throws {
        let body = #"{"model":"llama-7b","max_tokens":2,"stream":true,"prompt":"hi"}"#
        let events = try events(try answer(.vllmMLX, body, .text))
        #expect(events.count == 2)
        #expect(events.allSatisfy { $0["usage"] == .null })
        let last = events.last?["choices"]?.items?.first
        #expect(last?["text"]?.text?.utf8.count == 4 && last?["finish_reason"] == "length")
        #expect(Set(events.compactMap { $0["id"]?.text }).count == 2)
    }

    @Test("llama.cpp: texts are called chats, and their usage stands in the last chunk of each choice")
    func llamaTexts() throws {
        let body =
            #"{"model":"llama-7b","max_tokens":2,"stream":true,"stream_options":{"include_usage":true},"prompt":["a","b"]}"#
        let stream = try answer(.llamaCpp, body, .text)
        #expect(stream.hasPrefix("data: null\n\n"))
        let events = try events(stream)
        #expect(events.allSatisfy { $0["id"]?.text?.hasPrefix("chatcmpl-") == true })
        let usages = events.filter { $0["usage"] != nil }
        #expect(usages.count == 2)
        #expect(usages.allSatisfy { $0["choices"]?.items?.first?["finish_reason"] == "length" })
    }

    @Test(
        "log-probabilities: mlx_lm's plain answers, llama.cpp's and openai's always, the others' never",
        arguments: Flavor.allCases)
    func logprobs(flavor: Flavor) throws {
        let wish = #""max_tokens":2,"logprobs":true,"top_logprobs":2"#
        let plain = try JSONValue(Array(try answer(flavor, chat("x", wish, stream: false)).utf8))
        let inPlain = plain["choices"]?.items?.first?["logprobs"]?["content"]?.items
        #expect(inPlain?.count == ([.openAI, .mlxLM, .llamaCpp].contains(flavor) ? 2 : nil))
        #expect(inPlain?.allSatisfy { $0["top_logprobs"]?.items?.count == 2 && $0["bytes"]?.items?.count == 4 } ?? true)
        let told = try events(try answer(flavor, chat("x", wish))).compactMap {
            $0["choices"]?.items?.first?["logprobs"]?["content"]?.items
        }
        #expect(told.flatMap { $0 } == ([.openAI, .llamaCpp].contains(flavor) ? inPlain : []))
    }

    @Test("a text's log-probabilities are four lists, whole or in pieces")
    func textLogprobs() throws {
        let body = #"{"model":"llama-7b","max_tokens":2,"logprobs":1,"prompt":"x""#
        let plain = try JSONValue(Array(try answer(.llamaCpp, body + "}", .text).utf8))
        let whole = try #require(plain["choices"]?.items?.first?["logprobs"])
        let pieces = try events(try answer(.llamaCpp, body + #","stream":true}"#, .text)).compactMap {
            $0["choices"]?.items?.first?["logprobs"]
        }
        for list in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            #expect(whole[list]?.items?.count == 2)
            #expect(pieces.flatMap { $0[list]?.items ?? [] } == whole[list]?.items)
        }
        #expect(whole["text_offset"] == .array([.integer(0), .integer(4)]))
    }

    @Test("exo: a comment at once, one per prefill step, and one with figures before the end")
    func exoComments() throws {
        let comments = try answer(.exo, chat()).split(separator: "\n").filter { $0.hasPrefix(":") }
        #expect(comments.first == ": keep-alive")
        #expect(comments[1].hasPrefix(": prefill_progress {\"model\":\"llama-7b\",\"processed_tokens\":4,"))
        #expect(comments.last?.hasPrefix(": generation_stats {") == true)
    }

    @Test("llama.cpp tells its prefill only where it is asked to")
    func llamaProgress() throws {
        #expect(try !answer(.llamaCpp, chat()).contains("prompt_progress"))
        #expect(
            try answer(.llamaCpp, chat("hello", #""return_progress":true"#)).contains(
                #""prompt_progress":{"total":4,"cache":0,"processed":4}"#))
    }

    @Test("cached tokens are told by those that tell them", arguments: Flavor.allCases)
    func cachedTokens(flavor: Flavor) throws {
        let tells = try answer(flavor, chat(stream: false)).contains("cached_tokens")
        #expect(tells == [.openAI, .mlxLM, .llamaCpp, .oMLX].contains(flavor))
    }

    @Test(
        "what kills, hangs up or fails a server does so to its pretended self",
        arguments: [
            (#""stop":5"#, "threadDies", "422", "-"), (#""stop":["\ud800"]"#, "threadDies", "-", "500"),
            (#""logit_bias":{"200000":1}"#, "processDies", "processDies", "-"),
            (#""top_k":200000,"temperature":1"#, "threadDies", "-", "-"),
            (#""chat_template_kwargs":{"return_tensors":"pt"}"#, "threadDies", "-", "-"),
            (#""seed":-1"#, "hangUp", "-", "-"), (#""stop":"x""#, "-", "422", "-"),
            (#""stream":null"#, "400", "422", "-"), (#""frequency_penalty":1e400"#, "threadDies", "422", "500"),
            (#""response_format":{"type":"json_object"}"#, "-", "422", "-"), (#""top_logprobs":12"#, "400", "-", "-"),
        ])
    func death(member: String, mlx: String, vllm: String, llama: String) {
        let body = #"{"model":"llama-7b","messages":[{"role":"user","content":"x"}],"# + member + "}"
        for (flavor, outcome) in [(Flavor.mlxLM, mlx), (.vllmMLX, vllm), (.llamaCpp, llama)] {
            #expect(self.outcome(flavor, Array(body.utf8)) == outcome, "\(flavor) \(member)")
        }
    }

    @Test("brackets without an end: mlx_lm hangs up, vllm_mlx says 400, llama.cpp dies")
    func deepNesting() {
        let deep = Array(repeating: UInt8(ascii: "["), count: 100_000)
        #expect(outcome(.mlxLM, deep) == "hangUp")
        #expect(outcome(.vllmMLX, deep) == "400")
        #expect(outcome(.llamaCpp, deep) == "processDies")
        #expect(outcome(.llamaCpp, Array(deep.prefix(600))) == "500")
    }

    private func outcome(_ flavor: Flavor, _ body: [UInt8], _ route: Ask.Route = .chat) -> String {
        do throws(Refusal) {
            _ = try MachineStory(flavor).reader.read(route, body)
            return "-"
        } catch {
            switch error {
            case .answer(let status, _): return String(status)
            case .hangUp: return "hangUp"
            case .threadDies: return "threadDies"
            case .processDies: return "processDies"
            }
        }
    }

    @Test("an unknown model, an empty list of messages and a prompt of numbers are refused in the words of the kind")
    func refusals() {
        let unknown = Array(#"{"model":"x","messages":[{"role":"user","content":"x"}]}"#.utf8)
        let empty = Array(#"{"model":"llama-7b","messages":[]}"#.utf8)
        let numbers = Array(#"{"model":"llama-7b","prompt":[1,2]}"#.utf8)
        let broken = Array(#"{"model""#.utf8)
        let seen = Flavor.allCases.map { flavor in
            [
                outcome(flavor, unknown), outcome(flavor, empty), outcome(flavor, numbers, .text),
                outcome(flavor, broken),
            ]
        }
        #expect(
            seen == [
                ["404", "400", "-", "400"],  // openai
                ["404", "404", "404", "400"],  // mlx_lm
                ["-", "-", "-", "500"],  // llama_cpp
                ["404", "500", "422", "422"],  // vllm_mlx
                ["404", "422", "-", "422"],  // exo
                ["404", "400", "-", "400"],  // ollama
                ["404", "400", "-", "400"],  // lm_studio
                ["404", "400", "-", "400"],  // omlx
            ])
    }

    @Test("vllm_mlx goes past max_completion_tokens; the others stop", arguments: Flavor.allCases)
    func completionCeiling(flavor: Flavor) throws {
        let ask = try MachineStory(flavor).read(chat("x", #""max_completion_tokens":3"#))
        #expect((ask.plan.tokens == 3) == (flavor != .vllmMLX))
    }

    @Test("one more than ollama's queue of 512 is told that the server is busy")
    func ollamaQueue() throws {
        var story = MachineStory(.ollama)
        for _ in 0..<512 { try story.ask(chat()) }
        #expect(story.machine.counters.refused == 0)
        let id = try story.ask(chat())
        let refused = story.outputs.contains { if case .refuse(id, 503, _) = $0 { true } else { false } }
        #expect(refused)
    }

    @Test(
        "silence is broken by a comment after the kind's time",
        arguments: [(Flavor.vllmMLX, 5.0), (.exo, 10), (.llamaCpp, 30), (.openAI, nil)] as [(Flavor, Double?)])
    func silence(flavor: Flavor, seconds: Double?) throws {
        var story = MachineStory(flavor)
        try story.fault(#"{"kind":"zombie"}"#)
        let id = try story.ask(chat())
        func comments() -> Int { story.outputs.count { $0 == .comment(id) } }
        story.pass(seconds: (seconds ?? 60) - 0.1)
        #expect(comments() == 0)
        story.pass(seconds: 1)
        #expect(comments() == (seconds == nil ? 0 : 1))
    }

    @Test("vllm_mlx finds out after a while that a client has left, also that of a plain answer")
    func noticing() throws {
        for stream in [true, false] {
            var story = MachineStory(.vllmMLX)
            let id = try story.ask(chat("a", #""max_tokens":4000"#, stream: stream))
            story.pass(seconds: 0.5)
            story.leave(id)
            story.pass(seconds: 0.2)
            #expect(story.machine.runningCount == 1)
            story.pass(seconds: 2)
            #expect(story.machine.runningCount == 0)
            #expect(story.machine.counters.finished == 0)
        }
    }
}
