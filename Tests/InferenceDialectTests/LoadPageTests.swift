import Testing

@testable import InferenceDialect

@Suite("What workers tell of their load")
struct LoadPageTests {
    private func read(_ kind: String, _ body: String, status: Int = 200) -> LoadReading? {
        WorkerDialect.named(kind)?.loadPage?.read(status: status, body: Array(body.utf8))
    }

    @Test("each kind that counts is asked at its own page, the others at none")
    func pages() {
        let pages = WorkerDialect.all.map { "\($0.kind) \($0.loadPage?.path ?? "-")" }
        #expect(
            pages == [
                "openai -", "mlx_lm -", "llama_cpp /slots", "vllm_mlx /v1/status", "exo /state", "ollama -",
                "lm_studio -", "omlx /api/status",
            ])
    }

    @Test("vllm_mlx: what runs and what waits, as the real server wrote it (0.6.0, without a GPU)")
    func vllm() {
        let page = #"""
            {"status":"running","model":"tiny-llama","residency":null,"embedding":null,"uptime_s":25.7,"steps_executed":188,
            "num_running":2,"num_waiting":3,"total_requests_processed":0,"generation_tps":0,
            "metal":{"active_memory_gb":null,"peak_memory_gb":null,"cache_memory_gb":null},
            "cache":{"hits":0,"misses":2,"hit_rate":0.0,"entry_count":0},
            "requests":[{"request_id":"a","status":"running","num_running":7}]}
            """#
        #expect(read("vllm_mlx", page)?.exchanges == 5)
        #expect(read("vllm_mlx", #"{"num_running":null}"#)?.exchanges == nil)
    }

    @Test("llama_cpp: the slots that work; a server that does not show them says nothing")
    func slots() {
        let page = #"[{"id":0,"is_processing":true,"params":{"is_processing":true}},{"is_processing":false,"id":1},7]"#
        #expect(read("llama_cpp", page)?.exchanges == 1)
        #expect(read("llama_cpp", #"[{"id":0}]"#)?.exchanges == nil)
        for status in [404, 501] {
            #expect(read("llama_cpp", #"{"error":{"code":501,"message":"no"}}"#, status: status) == nil)
        }
    }

    @Test("exo: tasks of clients that run or wait, whatever else it has to do")
    func exo() {
        let page = #"""
            {"instances":{"i":{"MlxRingInstance":{"tasks":{}}}},"tasks":{
            "1":{"TextGeneration":{"taskStatus":"Running","instanceId":"i","taskParams":{"taskStatus":"Pending"}}},
            "2":{"TextGeneration":{"instanceId":"i","taskStatus":"Pending"}},"3":{"TextGeneration":{"taskStatus":"Complete"}},
            "4":{"LoadModel":{"taskStatus":"Running"}},"5":null}}
            """#
        #expect(read("exo", page)?.exchanges == 2)
        #expect(read("exo", #"{"tasks":{}}"#)?.exchanges == 0 && read("exo", "{}")?.exchanges == nil)
    }

    @Test("omlx: what is active and what waits")
    func omlx() {
        #expect(read("omlx", #"{"status":"ok","active_requests":2,"waiting_requests":1}"#)?.exchanges == 3)
    }

    @Test(
        "numbers beyond any worker are cut, and what is no JSON is no reading", arguments: ["exo", "omlx", "llama_cpp"])
    func bounds(kind: String) {
        #expect(read("omlx", #"{"active_requests":99999}"#)?.exchanges == LoadReading.exchangesMax)
        for body in ["", "nonsense", "{", "[", #"{"tasks":{"#, #"[{"is_processing":tr"#, "\u{1}"] {
            #expect(read(kind, body) == nil, "\(body)")
        }
    }
}
