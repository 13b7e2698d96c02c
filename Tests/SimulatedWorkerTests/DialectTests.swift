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
            case .cached(id, let tokens): writer.cachedTokens = tokens
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
        #expect(usages.count == (flavor == .vllmMLX && route == .chat ? 2 : 1))
        #expect(Set(usages).count == 1)
    }

    @Test("vllm_mlx: the last event has text, finish and usage, and a text's events have ids of their own")
    func vllmEvents() throws {
        let body = #"{"model":"llama-7b","max_tokens":2,"stream":true,"prompt":"hi"}"#
        let events = try events(try answer(.vllmMLX, body, .text))
        #expect(events.count == 2)
        #expect(events.map { $0["usage"]?["completion_tokens"] } == [nil, .integer(2)])
        let last = events.last?["choices"]?.items?.first
        #expect(last?["text"]?.text?.utf8.count == 4 && last?["finish_reason"] == "length")
        #expect(Set(events.compactMap { $0["id"]?.text }).count == 2)
    }

    @Test("llama.cpp: texts are called chats, and their usage and timings stand in the last chunk of each choice")
    func llamaTexts() throws {
        let body =
            #"{"model":"llama-7b","max_tokens":2,"stream":true,"stream_options":{"include_usage":true},"prompt":["a","b"]}"#
        let stream = try answer(.llamaCpp, body, .text)
        #expect(stream.hasPrefix("data: null\n\n"))
        let events = try events(stream)
        #expect(events.allSatisfy { $0["id"]?.text?.hasPrefix("chatcmpl-") == true })
        let usages = events.filter { $0["usage"] != nil }
        #expect(usages.count == 2)
        #expect(usages.allSatisfy { $0["timings"]?["predicted_n"] == .integer(2) })
        #expect(usages.allSatisfy { $0["choices"]?.items?.first?["finish_reason"] == "length" })
    }

    @Test(
        "log-probabilities: mlx_lm's plain answers, llama.cpp's, exo's and openai's always, the others' never",
        arguments: Flavor.allCases)
    func logprobs(flavor: Flavor) throws {
        let wish = #""max_tokens":2,"logprobs":true,"top_logprobs":2"#
        let plain = try JSONValue(Array(try answer(flavor, chat("x", wish, stream: false)).utf8))
        let inPlain = plain["choices"]?.items?.first?["logprobs"]?["content"]?.items
        #expect(inPlain?.count == ([.openAI, .mlxLM, .llamaCpp, .exo].contains(flavor) ? 2 : nil))
        #expect(inPlain?.allSatisfy { $0["top_logprobs"]?.items?.count == 2 } ?? true)
        #expect(inPlain?.allSatisfy { ($0["bytes"] != nil) == (flavor != .mlxLM) } ?? true)
        #expect(inPlain?.allSatisfy { ($0["id"] != nil) == [.mlxLM, .llamaCpp].contains(flavor) } ?? true)
        let told = try events(try answer(flavor, chat("x", wish))).compactMap {
            $0["choices"]?.items?.first?["logprobs"]?["content"]?.items
        }
        #expect(told.flatMap { $0 } == ([.openAI, .llamaCpp, .exo].contains(flavor) ? inPlain : []))
    }

    @Test("openai: a text's log-probabilities are four lists, whole or in pieces; llama.cpp has those of a chat")
    func textLogprobs() throws {
        let body = #"{"model":"llama-7b","max_tokens":2,"logprobs":1,"prompt":"x""#
        let plain = try JSONValue(Array(try answer(.openAI, body + "}", .text).utf8))
        let whole = try #require(plain["choices"]?.items?.first?["logprobs"])
        let pieces = try events(try answer(.openAI, body + #","stream":true}"#, .text)).compactMap {
            $0["choices"]?.items?.first?["logprobs"]
        }
        for list in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            #expect(whole[list]?.items?.count == 2)
            #expect(pieces.flatMap { $0[list]?.items ?? [] } == whole[list]?.items)
        }
        #expect(whole["text_offset"] == .array([.integer(0), .integer(4)]))
        let llama = try JSONValue(Array(try answer(.llamaCpp, body + "}", .text).utf8))
        #expect(llama["choices"]?.items?.first?["logprobs"]?["content"]?.items?.count == 2)
    }

    @Test("mlx_lm counts in its comments what it has to read: of a prompt that it knows, one token")
    func cachedComments() throws {
        var story = MachineStory(.mlxLM, instant: true)
        try story.ask(chat())
        let again = try story.ask(chat())
        #expect(story.outputs.contains(.progress(again, done: 1, of: 1)))
    }

    @Test("mlx_lm stops at whole tokens, the others anywhere, vllm_mlx nowhere")
    func stops() throws {
        for flavor in [Flavor.mlxLM, .llamaCpp, .vllmMLX] {
            let story = MachineStory(flavor)
            let said = try story.read(chat("x", #""max_tokens":8"#)).plan.choices[0].text
            let word = String(decoding: said[8..<12], as: UTF8.self)
            func tokens(_ stop: String) throws -> Int {
                try story.read(chat("x", #""max_tokens":8,"stop":["\#(stop)"]"#)).plan.tokens
            }
            #expect(try tokens(word) == (flavor == .vllmMLX ? 8 : 3))
            #expect(try (tokens(String(word.suffix(2))) < 8) == (flavor == .llamaCpp))
        }
    }

    @Test("bad JSON in the words of each parser")
    func parseComplaints() throws {
        func words(_ flavor: Flavor, _ body: String) -> String {
            do throws(Refusal) {
                _ = try MachineStory(flavor).read(body)
                return ""
            } catch {
                guard case .answer(_, let body) = error, let value = try? JSONValue(body) else { return "" }
                return value["error"]?.text ?? value["error"]?["message"]?.text
                    ?? value["detail"]?.items?.first?["ctx"]?["error"]?.text ?? ""
            }
        }
        let seen: [(String, String, String)] = [
            (
                #"{"a": no}"#, "Expecting value: line 1 column 7 (char 6)",
                #"8: syntax error while parsing value - invalid literal; last read: '"a": no'"#
            ),
            (
                #"{"a""#, "Expecting ':' delimiter: line 1 column 5 (char 4)",
                "5: syntax error while parsing object separator - unexpected end of input; expected ':'"
            ),
            (
                "{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
                "2: syntax error while parsing object key - unexpected end of input; expected string literal"
            ),
            (
                #"{"a":1,}"#, "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)",
                "8: syntax error while parsing object key - unexpected '}'; expected string literal"
            ),
            (
                "[", "Expecting value: line 1 column 2 (char 1)",
                "2: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal"
            ),
            (
                #"{"a" 1}"#, "Expecting ':' delimiter: line 1 column 6 (char 5)",
                "6: syntax error while parsing object separator - unexpected number literal; expected ':'"
            ),
            (
                "nope", "Expecting value: line 1 column 1 (char 0)",
                "2: syntax error while parsing value - invalid literal; last read: 'no'"
            ),
        ]
        for (body, python, llama) in seen {
            #expect(words(.mlxLM, body) == "Invalid JSON in request body: " + python)
            #expect(words(.vllmMLX, body) == String(python.prefix { $0 != "1" }.dropLast(7)))
            #expect(words(.llamaCpp, body) == "[json.exception.parse_error.101] parse error at line 1, column " + llama)
        }
    }

    @Test("exo: a comment at once, one per prefill step, and one with figures before the end")
    func exoComments() throws {
        let comments = try answer(.exo, chat()).split(separator: "\n").filter { $0.hasPrefix(":") }
        #expect(comments.first == ": keep-alive")
        #expect(
            comments[1].hasPrefix(
                ": prefill_progress {\"PrefillProgressChunk\":{\"model\":\"llama-7b\",\"processed_tokens\":4,"))
        #expect(comments.last?.hasPrefix(": generation_stats {") == true)
    }

    @Test("llama.cpp tells its prefill only where it is asked to")
    func llamaProgress() throws {
        #expect(try !answer(.llamaCpp, chat()).contains("prompt_progress"))
        #expect(try !answer(.openAI, chat("hello", #""return_progress":"no flag""#)).contains("prompt_progress"))
        let told = try answer(.llamaCpp, chat("hello", #""return_progress":true,"n":2"#)).split(separator: "\n")
        let figures = { (choice: Int, done: Int) in
            #""choices":[{"index":\#(choice),"delta":{"role":"assistant","content":null},"finish_reason":null}],"#
                + #""prompt_progress":{"total":4,"cache":0,"processed":\#(done),"time_ms":0}}"#
        }
        #expect(told[0].hasSuffix(figures(0, 0)) && told[1].hasSuffix(figures(0, 4)))
        #expect(told.filter { $0.contains("prompt_progress") }.count == 3)
        #expect(told.filter { $0.hasSuffix(figures(1, 4)) }.count == 1, "the other choice's comes when it begins")
    }

    @Test("cached tokens are told by those that tell them", arguments: Flavor.allCases)
    func cachedTokens(flavor: Flavor) throws {
        let tells = try answer(flavor, chat(stream: false)).contains("cached_tokens")
        #expect(tells == [.openAI, .mlxLM, .llamaCpp, .oMLX].contains(flavor))
    }

    @Test(
        "what kills, hangs up or fails a server does so to its pretended self",
        arguments: [
            (#""stop":5"#, "threadDies", "422", "-"), (#""stop":["\ud800"]"#, "threadDies", "500", "500"),
            (#""logit_bias":{"200000":1}"#, "processDies", "processDies", "-"),
            (#""top_k":200000,"temperature":1"#, "threadDiesSilently", "-", "-"),
            (#""chat_template_kwargs":{"return_tensors":"pt"}"#, "threadDies", "-", "-"),
            (#""seed":-1"#, "hangUp", "-", "-"), (#""stop":"x""#, "-", "422", "-"),
            (#""stream":null"#, "400", "422", "-"), (#""frequency_penalty":1e400"#, "threadDiesSilently", "422", "500"),
            (#""response_format":{"type":"json_object"}"#, "-", "422", "-"), (#""top_logprobs":12"#, "400", "-", "-"),
            (#""logprobs":null"#, "400", "-", "-"), (#""stop":[5]"#, "threadDies", "422", "400"),
            (#""temperature":"warm""#, "400", "422", "400"), (#""max_tokens":0"#, "400", "422", "-"),
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
            case .threadDies(let silently): return silently ? "threadDiesSilently" : "threadDies"
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
                ["404", "-", "-", "422"],  // exo
                ["404", "400", "400", "400"],  // ollama
                ["404", "400", "-", "400"],  // lm_studio
                ["404", "400", "-", "400"],  // omlx
            ])
    }

    @Test("who knows max_tokens alone goes past max_completion_tokens; the others stop", arguments: Flavor.allCases)
    func completionCeiling(flavor: Flavor) throws {
        let ask = try MachineStory(flavor).read(chat("x", #""max_completion_tokens":3"#))
        #expect((ask.plan.tokens == 3) == ![.vllmMLX, .exo, .ollama, .oMLX].contains(flavor))
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

    @Test("llama.cpp looks for the lost client of a plain answer when no result has come for a second")
    func quietNoticing() throws {
        for hasStream in [false, true] {
            var story = MachineStory(.llamaCpp)
            if hasStream { try story.ask(chat("b", #""max_tokens":4000"#)) }
            let id = try story.ask(chat("a", #""max_tokens":4000"#, stream: false))
            story.pass(seconds: 0.5)
            story.leave(id)
            story.pass(seconds: 0.9)
            #expect(story.machine.runningCount == (hasStream ? 2 : 1))
            story.pass(seconds: 0.2)
            #expect(story.machine.runningCount == (hasStream ? 2 : 0))
        }
    }

    @Test("mlx_lm's head comes before its turn, but not before whoever runs alone has ended")
    func headsInTheQueue() throws {
        var story = MachineStory(.mlxLM, slots: 1)
        try story.ask(chat("a", #""max_tokens":400"#))
        let waiting = try story.ask(chat("b"))
        #expect(story.hasHead(waiting) && story.machine.queuedCount == 1)
        let seeded = try story.ask(chat("c", #""seed":1"#))
        let behind = try story.ask(chat("d"))
        #expect(!story.hasHead(seeded) && !story.hasHead(behind))
    }

    @Test("vllm_mlx samples whoever joins a batch as its first request wants it")
    func sharedSampling() throws {
        var story = MachineStory(.vllmMLX)
        let alone = try story.read(chat()).plan.choices[0].text
        #expect(story.machine.temperatureOfBatch == nil)
        try story.ask(chat("warm", #""max_tokens":400,"temperature":1.5"#))
        story.pass(seconds: 1)
        let batch = story.machine.temperatureOfBatch
        #expect(batch == 1.5)
        #expect(try story.reader.read(.chat, Array(chat().utf8), in: batch).plan.choices[0].text != alone)
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
