/// Answers to probes, as real servers write them.
import Testing

@testable import InferenceDialect

@Suite("Probes are read as their kind means them")
struct WorkerProbeReadingTests {
    private static func read(_ dialect: WorkerDialect, _ path: String, _ status: Int, _ body: String) -> ProbeReading? {
        guard let request = dialect.probes().first(where: { $0.path == path }) else { return nil }
        return dialect.read(ProbeReply(request: request, status: status, body: Array(body.utf8)))
    }

    @Test("each kind is asked by GETs in their order, life first")
    func order() {
        #expect(WorkerDialect.openAI.probes().map(\.path) == ["/v1/models"])
        #expect(WorkerDialect.mlxLM.probes().map(\.path) == ["/health", "/v1/models"])
        #expect(WorkerDialect.llamaCpp.probes().map(\.path) == ["/health", "/v1/models", "/props"])
    }

    @Test("health: mlx_lm's 503 is death, llama_cpp's is loading")
    func health() {
        #expect(Self.read(.mlxLM, "/health", 200, #"{"status": "ok"}"#)?.life == .alive)
        #expect(Self.read(.mlxLM, "/health", 503, #"{"status": "unavailable"}"#)?.life == .dead)
        #expect(Self.read(.mlxLM, "/health", 404, "Not Found")?.life == .alive, "older versions have no such route")
        #expect(Self.read(.mlxLM, "/health", 500, "")?.life == .failed)
        let loading = #"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#
        #expect(Self.read(.llamaCpp, "/health", 503, loading)?.life == .loading)
        #expect(Self.read(.llamaCpp, "/v1/models", 503, loading)?.life == .loading)
        #expect(Self.read(.llamaCpp, "/health", 200, #"{"status":"ok"}"#)?.life == .alive)
        #expect(Self.read(.llamaCpp, "/health", 404, "")?.life == .failed)
    }

    @Test("the list of models, as each kind writes it")
    func models() {
        let mlx =
            #"{"object": "list", "data": [{"id": "mlx-community/Llama-3.2-3B-4bit", "object": "model", "#
            + #""created": 1766559999}, {"id": "/models/qwen", "object": "model", "created": 1766559999}]}"#
        #expect(
            Self.read(.mlxLM, "/v1/models", 200, mlx)
                == ProbeReading(life: .alive, models: ["mlx-community/Llama-3.2-3B-4bit", "/models/qwen"]))
        let llama =
            #"{"models":[{"name":"m.gguf","model":"m.gguf"}],"object":"list","data":[{"id":"m.gguf","object":"model","#
            + #""owned_by":"llamacpp","meta":{"vocab_type":2,"n_vocab":32000,"n_ctx":4096,"id":7}}]}"#
        #expect(Self.read(.llamaCpp, "/v1/models", 200, llama)?.models == ["m.gguf"])
        #expect(Self.read(.openAI, "/v1/models", 200, #"{"data":[],"object":"list"}"#)?.models == [])
    }

    @Test("llama-server tells other names of a model, up to so many, and what it says of the model holds for them")
    func aliases() throws {
        let read = { (aliases: String) in
            let item = #"{"id":"m.gguf","aliases":\#(aliases),"meta":{"n_ctx":8192}}"#
            return try #require(Self.read(.llamaCpp, "/v1/models", 200, #"{"data":[\#(item)]}"#))
        }
        let two = try read(#"["m",7,"small"]"#)
        #expect(two.models == ["m.gguf"] && two.aliases == ["m", "small"])
        #expect(Set(two.limits.keys) == ["m.gguf", "m", "small"] && two.limits["m"]?.contextTokens == 8_192)
        for none in ["null", "[]", "{}", #""m""#] { #expect(try read(none).aliases == [], "\(none)") }
        let many = (0...ProbeReading.aliasesMax).map { "\"a\($0)\"" }.joined(separator: ",")
        #expect(try read("[\(many)]").aliases.count == ProbeReading.aliasesMax)
    }

    @Test("llama-server tells a model's vocabulary and the context of one slot; what it leaves out stays unknown")
    func limits() {
        let read = { (dialect: WorkerDialect, meta: String) in
            Self.read(dialect, "/v1/models", 200, #"{"data":[{"id":"m","object":"model"\#(meta)},{"id":"n"}]}"#)?.limits
        }
        let seen =
            #","meta":{"vocab_type":2,"n_vocab":2048,"n_ctx":8192,"n_ctx_train":32768,"n_embd":64,"ftype":"all F32"}"#
        #expect(read(.llamaCpp, seen) == ["m": ModelLimits(vocabulary: 2_048, contextTokens: 8_192)])
        let before = #","meta":{"vocab_type":2,"n_vocab":128256,"n_ctx_train":131072,"size":4912898304}"#
        #expect(
            read(.llamaCpp, before) == ["m": ModelLimits(vocabulary: 128_256)], "what it was trained with is no promise"
        )
        for meta in [
            "", #","meta":null"#, #","meta":[]"#, #","meta":{"n_vocab":0,"n_ctx":-1}"#, #","meta":{"n_vocab":"#,
        ] {
            #expect(read(.llamaCpp, meta)?.isEmpty ?? true, "\(meta)")
        }
        #expect(read(.mlxLM, seen) == [:] && read(.openAI, seen) == [:], "nobody else was seen to mean the same by it")
    }

    @Test("which models are in memory, as each kind tells it")
    func residents() {
        let ps = #"{"models":[{"name":"llama3.2:3b","model":"llama3.2:3b","size_vram":2,"details":{"name":"no"}}]}"#
        #expect(Self.read(.ollama, "/api/ps", 200, ps) == ProbeReading(life: .alive, resident: .only(["llama3.2:3b"])))
        #expect(Self.read(.ollama, "/api/ps", 200, #"{"models":[]}"#)?.resident == .only([]))
        #expect(Self.read(.ollama, "/api/ps", 500, "") == ProbeReading(life: .alive))
        #expect(Self.read(.ollama, "/api/tags", 200, ps)?.models == ["llama3.2:3b"])
        let studio =
            #"{"object":"list","data":[{"id":"a","state":"loaded","type":"llm"},{"state":"not-loaded","id":"b"},"#
            + #"{"id":"c"}]}"#
        #expect(
            Self.read(.lmStudio, "/api/v0/models", 200, studio)
                == ProbeReading(life: .alive, models: ["a", "b", "c"], resident: .only(["a"])))
        #expect(Self.read(.lmStudio, "/api/v0/models", 500, "")?.life == .failed)
        let status = #"{"models":[{"id":"a","loaded": true},{"id":"b","loaded":false},{"id":"c","loaded":"truely"}]}"#
        #expect(
            Self.read(.oMLX, "/v1/models/status", 200, status) == ProbeReading(life: .alive, resident: .only(["a"])))
        #expect(Self.read(.oMLX, "/v1/models/status", 404, "") == ProbeReading(life: .alive))
    }

    @Test("vllm_mlx listens before its model is there; exo's and ollama's first page is life")
    func otherHealth() {
        let health = { (loaded: String) in #"{"status":"healthy","model_loaded": \#(loaded),"engine_type":"batched"}"# }
        #expect(Self.read(.vllmMLX, "/health", 200, health("true"))?.life == .alive)
        #expect(Self.read(.vllmMLX, "/health", 200, health("false")) == ProbeReading(life: .alive, resident: .only([])))
        #expect(Self.read(.vllmMLX, "/health", 503, "")?.life == .loading)
        #expect(Self.read(.vllmMLX, "/health", 500, "")?.life == .failed)
        #expect(Self.read(.exo, "/node_id", 200, "\"12D3\"")?.life == .alive)
        #expect(Self.read(.exo, "/node_id", 404, "")?.life == .failed)
        #expect(Self.read(.ollama, "/api/version", 200, #"{"version":"0.12"}"#)?.life == .alive)
        #expect(Self.read(.oMLX, "/health", 503, "")?.life == .failed)
    }

    @Test("a list that is none leaves the names unknown")
    func noList() {
        #expect(Self.read(.mlxLM, "/v1/models", 200, "") == ProbeReading(life: .alive))
        #expect(Self.read(.mlxLM, "/v1/models", 500, "") == ProbeReading(life: .alive), "its list is a hint")
        #expect(Self.read(.openAI, "/v1/models", 200, "<html>") == ProbeReading(life: .alive))
        #expect(Self.read(.openAI, "/v1/models", 404, "") == ProbeReading(life: .alive))
        #expect(Self.read(.openAI, "/v1/models", 401, "") == ProbeReading(life: .alive))
        #expect(Self.read(.openAI, "/v1/models", 503, "")?.life == .loading)
        #expect(Self.read(.openAI, "/v1/models", 500, "")?.life == .failed)
        #expect(Self.read(.llamaCpp, "/v1/models", 500, "")?.life == .failed)
        for data in ["3", "[3,null,[]]", "[{\"id\":3},{\"id\":\"\"},{\"id\":\"a\\nb\"}]", "[{\"id\":\"x"] {
            #expect(Self.read(.openAI, "/v1/models", 200, "{\"data\":\(data)}")?.models ?? [] == [], "\(data)")
        }
    }

    @Test("names and their number are read up to their bounds and not past them")
    func bounds() {
        let list = { (names: [String]) in
            #"{"data":[\#(names.map { #"{"id":"\#($0)"}"# }.joined(separator: ","))]}"#
        }
        let names = { (count: Int) in (0..<count).map { "m\($0)" } }
        let read = { (names: [String]) in Self.read(.openAI, "/v1/models", 200, list(names))?.models }
        #expect(read(names(ProbeReading.modelsMax)) == names(ProbeReading.modelsMax))
        #expect(read(names(ProbeReading.modelsMax + 1)) == names(ProbeReading.modelsMax))
        let isWhole = { (count: Int) in Self.read(.openAI, "/v1/models", 200, list(names(count)))?.listsAll }
        #expect(isWhole(ProbeReading.modelsMax) == true && isWhole(ProbeReading.modelsMax + 1) == false)
        let long = String(repeating: "n", count: ProbeReading.nameBytesMax)
        #expect(read([long]) == [long])
        #expect(read([long + "n", "a", "a"]) == ["a"])
    }

    @Test("llama-server tells its slots, or nothing when it will not")
    func slots() {
        let props =
            #"{"default_generation_settings":{"id":0,"total_slots":9,"n_ctx":4096},"total_slots":4,"#
            + #""model_path":"/m.gguf","chat_template":"{% if x %}\"{\"","build_info":"b7000"}"#
        #expect(Self.read(.llamaCpp, "/props", 200, props) == ProbeReading(life: .alive, slots: 4))
        for (status, body) in [
            (501, ""), (401, ""), (200, "{}"), (200, #"{"total_slots":0}"#), (200, #"{"total_slots":"4"}"#),
        ] {
            #expect(Self.read(.llamaCpp, "/props", status, body) == ProbeReading(life: .alive))
        }
    }
}
