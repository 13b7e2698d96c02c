/// Requests that have ended an engine with a single try: none of them reaches the kind that dies of it.
import Testing

@testable import InferenceDialect

@Suite("Queries of death")
struct QueriesOfDeathTests {
    private static let digits = String(repeating: "1", count: 400)
    private static let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)

    /// What no kind ever sees.
    static let refused: [ValidBody] = [
        ValidBody(.chatCompletions, chat(#""stop":5"#)), ValidBody(.chatCompletions, chat(#""stop":[5]"#)),
        ValidBody(.chatCompletions, chat(#""stop":"\ud800""#)),
        ValidBody(.chatCompletions, chat(#""frequency_penalty":\#(digits)"#)),
        ValidBody(.chatCompletions, chat(#""presence_penalty":1e30"#)),
        ValidBody(.chatCompletions, chat(#""x":\#(deep)"#)), ValidBody(.chatCompletions, chat(#""seed":\#(digits)"#)),
        ValidBody(.chatCompletions, chat(#""seed":9223372036854775808"#)),
    ]

    /// What other kinds may see.
    static let avoided: [ValidBody] = [
        ValidBody(.completions, completion("", prompt: #"["a","b"]"#)),
        ValidBody(.completions, completion("", prompt: #"["a"]"#)),
        ValidBody(.completions, completion("", prompt: #"[""]"#)),
        ValidBody(.completions, completion("", prompt: #""""#)), ValidBody(.completions, completion("", prompt: "[1]")),
        ValidBody(.chatCompletions, chat(#""top_k":200000,"temperature":1"#)),
        ValidBody(.chatCompletions, chat(#""logit_bias":{"2000000000":1}"#)),
        ValidBody(.chatCompletions, chat(#""chat_template_kwargs":{"return_tensors":"pt"}"#)),
        ValidBody(.chatCompletions, chat(#""seed":-1"#)), ValidBody(.chatCompletions, chat(#""adapters":"x""#)),
        ValidBody(.chatCompletions, chat(#""draft_model":"x""#)),
    ]

    @Test("What nobody should see is refused", arguments: refused)
    func isRefused(body: ValidBody) {
        #expect(throws: ScanFailure.self) { try scan(body.body, route: body.route).get() }
    }

    @Test("What mlx_lm dies of does not fit it, and the reason is told", arguments: avoided)
    func isAvoided(body: ValidBody) throws {
        let needs = try scan(body.body, route: body.route).get().needs
        guard case .no(let reason) = WorkerDialect.mlxLM.fit(needs, body.route) else {
            Issue.record("it fits")
            return
        }
        #expect(reason.hasPrefix("mlx_lm "))
        #expect(WorkerDialect.openAI.fit(needs, body.route) == .yes)
    }
}
