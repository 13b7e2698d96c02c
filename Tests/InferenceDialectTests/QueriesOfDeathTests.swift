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
        ValidBody(.completions, completion("", prompt: #"["a",""]"#)),
        ValidBody(.completions, completion("", prompt: #"[""]"#)),
        ValidBody(.completions, completion("", prompt: #""""#)), ValidBody(.completions, completion("", prompt: "[1]")),
        ValidBody(.chatCompletions, chat(#""logit_bias":{"2000000000":1}"#)),
        ValidBody(.chatCompletions, chat(#""chat_template_kwargs":{"return_tensors":"pt"}"#)),
        ValidBody(.chatCompletions, chat(#""adapters":"x""#)),
        ValidBody(.chatCompletions, chat(#""draft_model":"x""#)),
    ]

    @Test("What nobody should see is refused", arguments: refused)
    func isRefused(body: ValidBody) {
        #expect(throws: ScanFailure.self) { try scan(body.body, route: body.route).get() }
    }

    @Test("What mlx_lm dies of does not fit it, and the reason is told", arguments: avoided)
    func isAvoided(body: ValidBody) throws {
        let found = try scan(body.body, route: body.route).get()
        guard case .no(let reason, _) = WorkerDialect.mlxLM.fit(found, body.route, vocabulary: nil) else {
            Issue.record("it fits")
            return
        }
        #expect(reason.hasPrefix("mlx_lm "))
        #expect(WorkerDialect.openAI.fit(found, body.route, vocabulary: nil) == .yes)
    }

    /// What mlx_lm takes in another form that says the same, and that form.
    static let repaired: [(ValidBody, String)] = [
        (ValidBody(.completions, completion("", prompt: #"[ "a" ]"#)), completion("", prompt: #""a""#)),
        (ValidBody(.chatCompletions, chat(#""top_k":200000"#)), chat(#""top_k":31999"#)),
        (ValidBody(.chatCompletions, chat(#""top_k":-1"#)), chat(#""top_k":0"#)),
        (ValidBody(.chatCompletions, chat(#""seed":-1"#)), chat(#""seed":9223372036854775807"#)),
        (ValidBody(.chatCompletions, chat(#""seed":-9223372036854775808"#)), chat(#""seed":0"#)),
    ]

    @Test("What mlx_lm dies of only in this form reaches it in another", arguments: repaired)
    func isRepaired(body: ValidBody, becomes: String) throws {
        let found = try scan(body.body, route: body.route).get()
        #expect(WorkerDialect.mlxLM.fit(found, body.route, vocabulary: 32_000) == .yes)
        let model = ModelOnWorker(name: "m", upstreamName: "m", contextTokens: nil, vocabulary: 32_000)
        let sent = spliced(WorkerDialect.mlxLM.prepare(found, model, askUsage: false), into: body.body)
        #expect(withoutCeiling(sent) == becomes)
        #expect(WorkerDialect.openAI.prepare(found, model, askUsage: false).isEmpty)
    }

    @Test("A token id has to be one of the model's, where one that is not ends the process")
    func bias() throws {
        let found = try scan(chat(#""logit_bias":{"7":1,"31999":-1}"#)).get()
        let fit = { WorkerDialect.mlxLM.fit(found, .chatCompletions, vocabulary: $0) }
        #expect(fit(32_000) == .yes)
        for vocabulary in [31_999, nil] {
            guard case .no(let reason, _) = fit(vocabulary) else {
                Issue.record("it fits a vocabulary of \(vocabulary ?? 0)")
                continue
            }
            #expect(reason.contains(vocabulary == nil ? "declared" : "31999"))
        }
        for vocabulary in [32_000, 31_999, nil] {
            let ignores = vocabulary == 31_999
            #expect(
                WorkerDialect.llamaCpp.fit(found, .chatCompletions, vocabulary: vocabulary)
                    == (ignores ? .ignores(["logit_bias"]) : .yes), "it lives, and the client is told")
        }
        let top = try scan(chat(#""top_k":5000"#)).get()
        let unknown = ModelOnWorker(name: "m", upstreamName: "m", contextTokens: nil, vocabulary: nil)
        let list = WorkerDialect.mlxLM.prepare(top, unknown, askUsage: false)
        #expect(withoutCeiling(spliced(list, into: chat(#""top_k":5000"#))) == chat(#""top_k":1000"#))
    }
}
