/// What a kind cannot take as it is written reaches it written otherwise: valid JSON, the same request, nothing else touched.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("Repairs")
struct RepairTests {
    private static let model = ModelOnWorker(name: "m", upstreamName: "m", contextTokens: nil, vocabulary: 50_000)

    private func repaired(_ body: String, by dialect: WorkerDialect = .mlxLM) throws -> String {
        withoutCeiling(spliced(dialect.prepare(try scan(body).get(), Self.model, askUsage: false), into: body))
    }

    @Test(
        "members that are null go with one comma, wherever they stand",
        arguments: [
            (
                #"{"top_p":null,"model":"m","messages":[{"role":"user"}]}"#,
                #"{"model":"m","messages":[{"role":"user"}]}"#
            ),
            (
                #"{ "top_p" : null , "seed":1, "model":"m","messages":[{"role":"user"}]}"#,
                #"{ "seed":1, "model":"m","messages":[{"role":"user"}]}"#
            ),
            (
                #"{"top_p":null,"top_k":null, "model":"m","messages":[{"role":"user"}]}"#,
                #"{"model":"m","messages":[{"role":"user"}]}"#
            ),
            (
                #"{"model":"m","stream":null,"messages":[{"role":"user"}],"max_tokens":null}"#,
                #"{"model":"m","messages":[{"role":"user"}]}"#
            ),
            (
                #"{"min_p":null,"model":"m", "logprobs":null, "top_logprobs":null ,"messages":[{"role":"user"}]}"#,
                #"{"model":"m" ,"messages":[{"role":"user"}]}"#
            ),
        ])
    func nulls(body: String, becomes: String) throws {
        #expect(try repaired(body) == becomes)
        #expect(try repaired(body, by: .openAI) == body)
    }

    @Test("a null that a server takes for absent stays, and so do nulls of members that nobody here knows")
    func otherNulls() throws {
        let body = #"{"model":"m","stop":null,"tools":null,"x":null,"messages":[{"role":"user","content":null}]}"#
        #expect(try repaired(body) == body)
    }

    @Test(
        "empty stop sequences go, since one of them ends llama.cpp's answer before it begins",
        arguments: [
            (#""""#, "[]"), (#"[""]"#, "[]"), (#"[ "" , "" ]"#, "[]"), (#"["","a"]"#, #"["a"]"#),
            (#"["a",""]"#, #"["a"]"#),
            (#"["a", "", "b", ""]"#, #"["a", "b"]"#), (#"["a"]"#, #"["a"]"#), (#""a""#, #""a""#), ("[]", "[]"),
        ])
    func stops(written: String, becomes: String) throws {
        let body = { (stop: String) in chat(#""stop":\#(stop)"#) }
        #expect(try repaired(body(written), by: .llamaCpp) == body(becomes))
    }

    @Test(
        "an answer without a limit gets one: the model's, or what is left of its context, and never where one was given"
    )
    func ceiling() throws {
        func sent(
            _ body: String, _ route: InferenceRoute = .chatCompletions, by dialect: WorkerDialect = .llamaCpp,
            context: Int? = nil, most: Int? = nil
        ) throws -> String {
            let model = ModelOnWorker(
                name: "m", upstreamName: "m", contextTokens: context, vocabulary: nil, maxOutputTokens: most)
            return spliced(dialect.prepare(try scan(body, route: route).get(), model, askUsage: false), into: body)
        }
        let rest = #""model":"m","messages":[{"role":"user","content":"hi"}]}"#
        for dialect in WorkerDialect.all where dialect.kind != "openai" {
            #expect(try sent("{" + rest, by: dialect) == #"{"max_tokens":8192,"# + rest, "\(dialect.kind)")
        }
        #expect(try sent("{" + rest, by: .openAI) == "{" + rest)
        #expect(try sent("{" + rest, most: 100) == #"{"max_tokens":100,"# + rest)
        // Two bytes of prompt are two tokens at most.
        #expect(try sent("{" + rest, context: 50) == #"{"max_tokens":48,"# + rest)
        #expect(try sent("{" + rest, context: 1) == #"{"max_tokens":1,"# + rest)
        for given in [#"{"max_tokens":7,"#, #"{"max_completion_tokens":7,"#] {
            #expect(try sent(given + rest) == given + rest)
        }
        #expect(try sent(#"{"max_tokens":null,"# + rest) == #"{"max_tokens":8192,"# + rest)
        #expect(try sent(#"{"max_tokens":null,"# + rest, by: .mlxLM) == #"{"max_tokens":8192,"# + rest)
        #expect(
            try sent(#"{"model":"m","prompt":"hi"}"#, .completions) == #"{"max_tokens":8192,"model":"m","prompt":"hi"}"#
        )
        #expect(try sent(#"{"model":"m","input":"hi"}"#, .embeddings) == #"{"model":"m","input":"hi"}"#)
        #expect(try sent(#"{"model":"m"}"#, .other("responses")) == #"{"model":"m"}"#)
    }

    @Test("vllm_mlx gets its own name of the ceiling and a list of stop sequences")
    func vllm() throws {
        let pairs = [
            (#""max_completion_tokens":3"#, #""max_tokens":3"#),
            (#""max_completion_tokens" : 3"#, #""max_tokens" : 3"#),
            (#""max_completion_tokens":3,"max_tokens":4"#, #""max_completion_tokens":3,"max_tokens":4"#),
            (#""stop":"x""#, #""stop":["x"]"#), (#""stop": "a\"b""#, #""stop": ["a\"b"]"#),
            (#""stop":["x"]"#, #""stop":["x"]"#),
            (#""stop":"""#, #""stop":[]"#), (#""stream":null,"seed":1"#, #""seed":1"#),
        ]
        for (written, becomes) in pairs { #expect(try repaired(chat(written), by: .vllmMLX) == chat(becomes)) }
        let none = #"{"max_completion_tokens":null,"model":"m","messages":[{"role":"user"}]}"#
        #expect(try repaired(none, by: .vllmMLX) == #"{"model":"m","messages":[{"role":"user"}]}"#)
    }

    @Test("kinds that know max_tokens alone get the limit by that name, and whoever takes no null for stream gets none")
    func olderCeiling() throws {
        for dialect in [WorkerDialect.exo, .ollama, .lmStudio, .oMLX] {
            #expect(
                try repaired(chat(#""max_completion_tokens":3"#), by: dialect) == chat(#""max_tokens":3"#),
                "\(dialect.kind) would go on past it")
        }
        let null = #"{"stream":null,"model":"m","messages":[{"role":"user"}]}"#
        for dialect in [WorkerDialect.exo, .oMLX] {
            #expect(
                try repaired(null, by: dialect) == #"{"model":"m","messages":[{"role":"user"}]}"#, "\(dialect.kind)")
        }
    }

    @Test("the request that needs the most edits stays within their bound, for every kind")
    func mostEdits() throws {
        let nulls = [
            "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p",
            "frequency_penalty", "presence_penalty", "repetition_penalty", "logprobs", "top_logprobs",
        ]
        // None stands beside another, so that no two edits could be one.
        let members = nulls.enumerated().map { #""\#($1)":null,"x\#($0)":1"# }.joined(separator: ",")
        let apart = (0..<8).map { #""s\#($0)","""# }.joined(separator: ",")
        let adjacent = #""a","# + Array(repeating: #""""#, count: 15).joined(separator: ",")
        let renamed = ModelOnWorker(name: "m", upstreamName: "n", contextTokens: nil, vocabulary: 50_000)
        for dialect in WorkerDialect.all {
            for stops in [apart, adjacent] {
                let body = chat(#""x":1,"# + members + #","seed":-1,"stop":["# + stops + "]")
                let list = dialect.prepare(try scan(body).get(), renamed, askUsage: true, makesStream: true)
                let again = try scan(spliced(list, into: body)).get()
                #expect(again.model == "n" && list.edits.count <= SpliceList.editsMax, "\(dialect.kind)")
            }
        }
    }

    @Test("whatever is null, and in whatever order: the rest stays, in its order, and nothing is left to repair")
    func anyOrder() throws {
        let optional = [
            "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p",
            "frequency_penalty",
            "presence_penalty", "repetition_penalty", "logprobs", "top_logprobs",
        ]
        for seed in 0..<500 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var members: [(text: String, isNull: Bool)] = [
                (#""model":"m""#, false), (#""messages" : [{"role":"user","content":"hi"}]"#, false),
                (#""x":null"#, false), (#""seed":-7"#, false),
            ]
            members += optional.filter { _ in random.chance(0.5) }.map { ("\"\($0)\": null", true) }
            members.shuffle(using: &random)
            let separators = [",", " , ", ",\n  "]
            func body(_ parts: [String]) -> String {
                "{" + parts.joined(separator: separators[Int(seed % 3)]) + "}"
            }
            let output = try repaired(body(members.map(\.text)))
            let again = try scan(output).get()
            #expect(again.nulls.ranges.isEmpty && again.seed == -7 & .max, "seed \(seed)")
            // White space beside a member that went may go or stay; the members themselves are untouched.
            let kept = members.filter { !$0.isNull }.map(\.text)
            let squeezed = { (text: String) in text.filter { !$0.isWhitespace } }
            #expect(
                squeezed(output) == squeezed(body(kept)).replacing("-7", with: String(-7 & Int64.max)), "seed \(seed)")
        }
    }
}
