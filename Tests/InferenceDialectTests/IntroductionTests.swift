import Testing

@testable import InferenceDialect

@Suite("What workers tell of themselves")
struct IntroductionTests {
    private func read(_ kind: String, _ body: String, status: Int = 200) -> Introduction? {
        WorkerDialect.named(kind)?.introduction?.read(status: status, body: Array(body.utf8))
    }

    @Test("each kind introduces itself in an answer that is asked for anyway, or not at all")
    func places() {
        for dialect in WorkerDialect.all {
            switch dialect.introduction?.place {
            case .page(let path):
                let pages = dialect.probes().map(\.path) + [dialect.loadPage?.path].compactMap { $0 }
                #expect(pages.contains(path), "\(dialect.kind)")
            case .canary: #expect(dialect.traits.canary == .token, "\(dialect.kind)")
            case nil: #expect(["openai", "exo", "lm_studio"].contains(dialect.kind))
            }
        }
    }

    @Test("llama_cpp: build and abilities, as the real server wrote them, shortened")
    func llama() {
        let page = #"""
            {"default_generation_settings":{"params":{"stream":false,"build_info":"no"},"n_ctx":8192},"total_slots":2,
            "modalities":{"vision":true,"video":false,"audio":true},"endpoint_slots":true,"endpoint_props":true,
            "endpoint_metrics":false,"chat_template":"{% if \"build_info\" %}",
            "chat_template_caps":{"supports_tool_calls":false,"supports_tools":true},"build_info":"b0-unknown","is_sleeping":false}
            """#
        #expect(
            read("llama_cpp", page)
                == Introduction(version: "b0-unknown", capabilities: [.vision, .audio, .slots, .tools]))
        // A router tells of no model's abilities.
        #expect(
            read("llama_cpp", #"{"role":"router","build_info":"b6000-abc"}"#) == Introduction(version: "b6000-abc"))
        #expect(read("llama_cpp", page, status: 501) == nil && read("llama_cpp", "{}") == nil)
    }

    @Test("vllm_mlx tells whether its model sees, and no version")
    func vllm() {
        let page = #"{"status":"healthy","model_loaded":true,"model_name":"m","model_type":"TYPE","mcp":null}"#
        for (type, capabilities) in [("llm", []), ("mllm", [.vision])] as [(String, Set<Introduction.Capability>)] {
            let body = String(page.split(separator: "TYPE").joined(separator: type))
            #expect(read("vllm_mlx", body) == Introduction(version: nil, capabilities: capabilities))
        }
        #expect(read("vllm_mlx", #"{"status":"healthy"}"#) == nil)
    }

    @Test("mlx_lm: the first part of the fingerprint of an answer, as the real server wrote it")
    func mlx() {
        let answer = #"""
            {"id": "chatcmpl-1", "system_fingerprint": "0.32.2-0.32.4-Linux-6.18-x86_64-with-glibc2.36-x86_64",
            "object": "chat.completion", "choices": [{"index": 0, "message": {"system_fingerprint": "9-9"}}]}
            """#
        #expect(read("mlx_lm", answer) == Introduction(version: "0.32.2"))
        #expect(read("mlx_lm", #"{"id":"a"}"#) == nil && read("mlx_lm", answer, status: 404) == nil)
    }

    @Test("ollama and omlx: a member of a page")
    func member() {
        for kind in ["ollama", "omlx"] {
            #expect(read(kind, #"{"status":"ok","version":"0.12.0"}"#) == Introduction(version: "0.12.0"))
        }
    }

    @Test("what cannot be a version is none, and a broken page tells nothing")
    func strange() {
        let longest = String(repeating: "1", count: Introduction.versionBytesMax)
        #expect(read("ollama", #"{"version":"\#(longest)"}"#)?.version == longest)
        for version in [#""\#(longest)1""#, #""""#, #""a b""#, #""a\nb""#, #""é""#, "7", "null", #"["1"]"#] {
            #expect(read("ollama", #"{"version":\#(version)}"#) == nil, "\(version)")
        }
        #expect(read("mlx_lm", #"{"system_fingerprint":"-1"}"#) == nil)
        let page = #"{"build_info":"b1","modalities":{"vision":true},"endpoint_slots":true}"#
        for cut in 0..<page.utf8.count { #expect(read("llama_cpp", String(page.prefix(cut))) == nil, "\(cut)") }
    }
}
