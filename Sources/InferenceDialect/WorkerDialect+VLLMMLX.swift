/// `vllm_mlx`: `vllm-mlx`, a FastAPI server with continuous batching. HTTP/1.1 with keep-alive of five seconds; it notices
/// clients that leave; FastAPI's 422 for what it cannot read; a 500 may be an empty prompt or a crash.
extension WorkerDialect {
    package static let vllmMLX = WorkerDialect(
        kind: "vllm_mlx",
        traits: WorkerTraits(
            poolsConnections: true, idleSecondsMax: 4, requestsPerConnectionMax: 10_000, connectBacklog: 64,
            defaultSlots: 4, commentsAreProgress: false, canary: .token, diesOfUnknownTokens: false,
            withholds: .structuredOutput, failsOnStructure: true,
            repairs: [.removesNulls, .renamesCeiling, .listsStop, .removesEmptyStops, .setsCeiling]),
        questions: [
            ProbeRequest(path: "/health", subject: .health), ProbeRequest(path: "/v1/models", subject: .models),
        ],
        loadPage: LoadPage(path: "/v1/status", reading: LoadReading.vllmStatus),
        introduction: IntroductionPage(.page("/health"), reading: Introduction.vllmHealth),
        reading: { reply in
            guard reply.request.subject == .health else { return .list(reply) }
            switch reply.status {
            case 200..<300:
                // A lazily loading server listens before its model is there, and waits to be asked.
                let isLoaded = !reply.says(#""model_loaded":false"#)
                return ProbeReading(life: .alive, resident: isLoaded ? .all : .only([]))
            case 503: return ProbeReading(life: .loading)
            default: return ProbeReading(life: .failed)
            }
        },
        fitting: { needs, route in
            if case .other(let name) = route, !["messages", "responses"].contains(name) {
                return .no("vllm_mlx has no route /v1/\(name)")
            }
            if needs.contains(.emptyPrompt) { return .no("vllm_mlx takes no empty prompt", field: "prompt") }
            if needs.contains(.tokenPrompt) { return .no("vllm_mlx takes no prompt of token ids", field: "prompt") }
            // Seen in 0.6.0: sharing a batch with a request that has neither, they break it, and all its requests hang.
            if needs.contains(.logitBias) { return .no("vllm_mlx takes no logit_bias", field: "logit_bias") }
            if needs.contains(.repetitionPenalty) {
                return .no("vllm_mlx takes no repetition_penalty", field: "repetition_penalty")
            }
            if needs.contains(.zeroCeiling) { return .no("vllm_mlx cannot answer with no token", field: "max_tokens") }
            var ignored: [String] = []
            if needs.contains(.manyChoices) { ignored.append("n") }
            if needs.contains(.seed) { ignored.append("seed") }
            if needs.contains(.logprobs) { ignored.append("logprobs") }
            // Seen in 0.6.0: text goes on past every stop sequence, in whatever form it is given.
            if needs.contains(.stop) { ignored.append("stop") }
            return ignored.isEmpty ? .yes : .ignores(ignored)
        },
        judging: { answer in
            switch answer.status {
            case 404: .absent
            case 429, 503: .capacity
            case 400..<500: .client
            case 500: .ambiguous
            case 501...599: .fault
            case 200..<300: .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: .fault
            }
        })
}
