/// What each kind of worker says and can do: the tables of its quirks.
import Testing

@testable import InferenceDialect

@Suite("Each kind of worker has its dialect")
struct WorkerDialectTests {
    private static let kinds = WorkerDialect.all

    private static func verdict(_ dialect: WorkerDialect, _ status: Int, _ body: String = "") -> Verdict {
        dialect.classify(AnswerStart(status: status, contentType: nil, body: Array(body.utf8)))
    }

    @Test("a kind is found by its word in the configuration")
    func named() {
        for dialect in Self.kinds { #expect(WorkerDialect.named(dialect.kind)?.traits == dialect.traits) }
        #expect(
            Self.kinds.map(\.kind)
                == ["openai", "mlx_lm", "llama_cpp", "vllm_mlx", "exo", "ollama", "lm_studio", "omlx"])
        #expect(WorkerDialect.named("MLX_LM") == nil && WorkerDialect.named("") == nil)
    }

    @Test("openai: full is capacity, its own failures are faults, the rest is the client's")
    func openAI() {
        for status in [429, 503, 507] { #expect(Self.verdict(.openAI, status) == .capacity) }
        for status in [500, 502, 504] { #expect(Self.verdict(.openAI, status) == .fault) }
        for status in [400, 401, 403, 404, 413, 422] { #expect(Self.verdict(.openAI, status) == .client) }
        #expect(Self.verdict(.openAI, 200) == .ok)
    }

    @Test("mlx_lm: a 404 may be a dead thread, a wrong route or the request's own fault")
    func mlxLM() {
        #expect(Self.verdict(.mlxLM, 404, #"{"error": "generation thread died: x"}"#) == .dead)
        #expect(Self.verdict(.mlxLM, 404, "Not Found") == .unsuitable)
        #expect(Self.verdict(.mlxLM, 404, #"{"error": "Repository Not Found for url"}"#) == .client)
        #expect(Self.verdict(.mlxLM, 404, #"{"error": "list index out of range"}"#) == .client)
        #expect(Self.verdict(.mlxLM, 400, #"{"error": "top_k must be a non-negative integer"}"#) == .client)
        for status in [411, 501, 500, 502] { #expect(Self.verdict(.mlxLM, status) == .fault) }
        #expect(Self.verdict(.mlxLM, 503) == .capacity)
    }

    @Test("llama_cpp: a 500 is the client's when it names the request, and tells nothing otherwise")
    func llamaCpp() {
        let error = { (message: String) in #"{"error":{"code":500,"message":"\#(message)","type":"server_error"}}"# }
        for message in [
            "[json.exception.parse_error.101] x", "Failed to parse grammar", "[json.exception.out_of_range.406] x",
            "[json.exception.type_error.302] x", "audio is not supported",
        ] { #expect(Self.verdict(.llamaCpp, 500, error(message)) == .client, "\(message)") }
        #expect(Self.verdict(.llamaCpp, 500, error("Compute error.")) == .ambiguous)
        #expect(Self.verdict(.llamaCpp, 500) == .ambiguous)
        #expect(Self.verdict(.llamaCpp, 400, "exceed_context_size_error") == .client)
        #expect(Self.verdict(.llamaCpp, 501) == .unsuitable)
        #expect(Self.verdict(.llamaCpp, 503, error("Loading model")) == .loading)
        #expect(Self.verdict(.llamaCpp, 503, error("no slot")) == .capacity)
        #expect(Self.verdict(.llamaCpp, 502) == .fault)
    }

    @Test("a redirect, or a status that no server has, is a fault of every kind")
    func strangeStatus() {
        for dialect in Self.kinds {
            for status in [100, 301, 307, 399, 600] { #expect(Self.verdict(dialect, status) == .fault) }
            for status in [200, 204, 299] { #expect(Self.verdict(dialect, status) == .ok) }
        }
    }

    @Test("words of an error are looked for up to a bound and not past it")
    func searchBound() {
        let words = "generation thread died"
        let pad = { (count: Int) in String(repeating: "g", count: count) }
        let last = AnswerStart.searchedBytesMax - words.utf8.count
        #expect(Self.verdict(.mlxLM, 404, pad(last) + words) == .dead)
        #expect(Self.verdict(.mlxLM, 404, pad(last + 1) + words) == .client)
    }

    @Test("mlx_lm is never given what kills it, and says what it ignores")
    func mlxFits() {
        let fit = { (needs: RequestNeeds) in WorkerDialect.mlxLM.fit(needs, .completions) }
        for needs: RequestNeeds in [
            .emptyPrompt, .tokenPrompt, .remoteImages, .loaderFields, .zeroCeiling, .templateArguments,
            .countedLogprobs, .manyTopLogprobs,
        ] {
            guard case .no(let reason, _) = fit([needs, .seed]) else { Issue.record("it takes \(needs)"); continue }
            #expect(reason.hasPrefix("mlx_lm "))
        }
        #expect(fit([]) == .yes)
        #expect(fit([.seed, .tools, .images, .logprobs]) == .yes)
        #expect(
            fit([.structuredOutput, .manyChoices, .requiredTool])
                == .ignores(["n", "response_format", "tool_choice"]))
        #expect(fit([.logprobs, .streamedLogprobs]) == .ignores(["logprobs"]))
    }

    @Test("the other kinds take every need")
    func othersFit() {
        for dialect in [WorkerDialect.openAI, .llamaCpp] {
            #expect(dialect.fit([.emptyPrompt, .listPrompt, .tokenPrompt, .logitBias], .completions) == .yes)
        }
    }

    @Test("what kinds that were only read ignore and refuse, as their code and their documentation say")
    func readFits() {
        let all: RequestNeeds = [.manyChoices, .structuredOutput, .requiredTool, .logitBias, .logprobs, .seed]
        #expect(
            WorkerDialect.exo.fit(all, .chatCompletions)
                == .ignores(["n", "response_format", "tool_choice", "logit_bias"]))
        #expect(WorkerDialect.ollama.fit(all, .chatCompletions) == .ignores(["n", "logit_bias"]))
        #expect(WorkerDialect.oMLX.fit(all, .chatCompletions) == .ignores(["n", "logprobs", "logit_bias"]))
        #expect(WorkerDialect.lmStudio.fit(all, .chatCompletions) == .yes, "nobody has looked")
        for dialect in [WorkerDialect.exo, .ollama, .oMLX] {
            #expect(dialect.fit([.seed, .tools, .images], .chatCompletions) == .yes, "\(dialect.kind)")
        }
        for (dialect, needs) in [
            (WorkerDialect.ollama, RequestNeeds.listPrompt), (.ollama, .tokenPrompt), (.oMLX, .tokenPrompt),
        ] {
            guard case .no(let reason, let field) = dialect.fit([needs, .manyChoices], .completions) else {
                Issue.record("\(dialect.kind) takes \(needs)")
                continue
            }
            #expect(reason.hasPrefix("\(dialect.kind) ") && field == "prompt")
        }
        #expect(WorkerDialect.ollama.fit([.listPrompt, .tokenPrompt], .embeddings) == .yes)
    }

    @Test("each kind has its routes, and what it lacks is told with its name")
    func routes() {
        let all: [InferenceRoute] = [
            .chatCompletions, .completions, .embeddings, .other("messages"), .other("responses"), .other("rerank"),
        ]
        let lacking: [String: [Int]] = [
            "mlx_lm": [2, 3, 4, 5], "vllm_mlx": [5], "exo": [1, 2, 5], "ollama": [3, 5], "lm_studio": [5],
        ]
        for dialect in Self.kinds {
            for (place, route) in all.enumerated() {
                switch dialect.fit([], route) {
                case .no(let reason, _):
                    #expect(lacking[dialect.kind]?.contains(place) == true, "\(dialect.kind) \(route.path)")
                    #expect(reason.hasPrefix("\(dialect.kind) has no "))
                default: #expect(lacking[dialect.kind]?.contains(place) != true, "\(dialect.kind) \(route.path)")
                }
            }
        }
    }

    @Test("vllm_mlx: 422 is the client's, a 500 tells nothing, a model it has not is absent")
    func vllmMLX() {
        for status in [400, 413, 422] { #expect(Self.verdict(.vllmMLX, status) == .client) }
        #expect(Self.verdict(.vllmMLX, 404, #"{"detail":"The model `x` does not exist."}"#) == .absent)
        #expect(Self.verdict(.vllmMLX, 500, #"{"detail":"Internal server error"}"#) == .ambiguous)
        #expect(Self.verdict(.vllmMLX, 503) == .capacity && Self.verdict(.vllmMLX, 502) == .fault)
        for needs: RequestNeeds in [.emptyPrompt, .tokenPrompt, .zeroCeiling, .logitBias, .repetitionPenalty] {
            guard case .no = WorkerDialect.vllmMLX.fit([needs], .completions) else {
                Issue.record("it takes \(needs)")
                continue
            }
        }
        #expect(WorkerDialect.vllmMLX.fit([.seed, .logprobs], .chatCompletions) == .ignores(["seed", "logprobs"]))
    }

    @Test("kinds that load what they are asked for: absent, full and dead in their own words")
    func lazyKinds() {
        #expect(Self.verdict(.exo, 404, #"{"detail":"No instance found for model x"}"#) == .absent)
        #expect(Self.verdict(.exo, 404, #"{"detail":"Not Found"}"#) == .client && Self.verdict(.exo, 500) == .fault)
        #expect(Self.verdict(.ollama, 503, #"{"error":"server busy, please try again"}"#) == .capacity)
        #expect(Self.verdict(.ollama, 404, #"{"error":"model 'x' not found"}"#) == .absent)
        #expect(Self.verdict(.ollama, 500, #"{"error":"aborting load"}"#) == .ambiguous)
        #expect(Self.verdict(.ollama, 500) == .fault && Self.verdict(.ollama, 400) == .client)
        #expect(Self.verdict(.lmStudio, 400, #"{"error":"The model has crashed. (Exit code: null)"}"#) == .dead)
        #expect(Self.verdict(.lmStudio, 400) == .client && Self.verdict(.lmStudio, 500) == .fault)
        let memory = #"{"error":"projected memory 70 GB would exceed the limit"}"#
        #expect(Self.verdict(.oMLX, 400, memory) == .capacity && Self.verdict(.oMLX, 500, memory) == .capacity)
        #expect(Self.verdict(.oMLX, 422) == .client && Self.verdict(.oMLX, 500) == .fault)
        for dialect in [WorkerDialect.exo, .ollama, .lmStudio, .oMLX] {
            #expect(dialect.traits.canary == .loadUnlessResident)
        }
        #expect(Self.kinds.filter(\.traits.wantsLocalHost).map(\.kind) == ["ollama"])
    }

    @Test("connections are kept below the server's own limits, and not at all where it closes each")
    func connections() {
        #expect(!WorkerDialect.mlxLM.traits.poolsConnections)
        #expect(WorkerDialect.mlxLM.traits.connectBacklog == 5)
        #expect(WorkerDialect.llamaCpp.traits.idleSecondsMax < 5)
        #expect(WorkerDialect.llamaCpp.traits.requestsPerConnectionMax < 100)
    }

    @Test("a comment with two numbers is progress, and no other")
    func progress() {
        let read = { (line: String) in Array(line.utf8).withUnsafeBytes { PromptProgress(comment: $0) } }
        #expect(WorkerDialect.mlxLM.traits.commentsAreProgress && !WorkerDialect.llamaCpp.traits.commentsAreProgress)
        #expect(read(": keepalive 2048/8192") == .advanced(done: 2_048, of: 8_192))
        for line in [
            "", ":", ": keepalive", ": keepalive ", ": keepalive 5", ": keepalive 5/", ": keepalive /5",
            ": keepalive 5/6x",
            ": keep-alive 5/6", ": keepalive -5/6",
        ] { #expect(read(line) == .none, "\(line)") }
        let twelve = String(repeating: "9", count: 12)
        #expect(
            read(": keepalive \(twelve)/\(twelve)") == .advanced(done: 999_999_999_999, of: 999_999_999_999))
        #expect(read(": keepalive 1/9\(twelve)") == .none)
    }

    @Test("exo's comment with a prefill's figures is progress, its keep-alive and its last figures are none")
    func exoProgress() {
        let read = { (line: String) in Array(line.utf8).withUnsafeBytes { PromptProgress(comment: $0) } }
        #expect(WorkerDialect.exo.traits.commentsAreProgress)
        let figures = #""processed_tokens":4096,"total_tokens":12000"#
        for object in [
            #"{"PrefillProgressChunk":{"model":"mlx-community/Llama-3.2-1B-Instruct-4bit",\#(figures)}}"#,
            #"{"model":"a/b",\#(figures)}"#, #"{ "total_tokens": 12000, "processed_tokens": 4096 }"#,
        ] { #expect(read(": prefill_progress " + object) == .advanced(done: 4_096, of: 12_000), "\(object)") }
        for line in [
            ": keep-alive", #": generation_stats {"prompt_tokens":5,"processed_tokens":1,"total_tokens":2}"#,
            ": prefill_progress", ": prefill_progress ", ": prefill_progress {", ": prefill_progress {}",
            #": prefill_progress {"processed_tokens":4}"#, ": prefill_progress {\(figures)",
            #": prefill_progress {"a":{"b":{\#(figures)}}}"#, #": prefill_progress {"a":{"b":1},\#(figures)}"#,
            #": prefill_progress {"processed_tokens":-1,"total_tokens":2}"#, ": prefill_progress [\(figures)]",
        ] { #expect(read(line) == .none, "\(line)") }
        let room = PromptProgress.lineBytesMax - (": prefill_progress " + #"{"model":"",\#(figures)}"#).utf8.count
        for more in [0, 1] {
            let name = String(repeating: "n", count: room + more)
            let line = ": prefill_progress " + #"{"model":"\#(name)",\#(figures)}"#
            #expect((read(line) == .none) == (more == 1))
        }
    }
}
