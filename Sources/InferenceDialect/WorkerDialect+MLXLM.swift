/// `mlx_lm`: Apple's `mlx_lm.server`, a Python `http.server` with one generation thread behind it.
///
/// HTTP/1.0, never chunked, every answer ends with its connection. Its accept queue holds five. It writes flat error
/// bodies, and a 404 for whatever the generation thread raises; `/health` stays well for ever on older versions, so only
/// tokens prove its life. Its comments `: keepalive done/total` come with each step of a prompt.
extension WorkerDialect {
    package static let mlxLM = WorkerDialect(
        kind: "mlx_lm",
        traits: WorkerTraits(
            poolsConnections: false, idleSecondsMax: 0, requestsPerConnectionMax: 1, connectBacklog: 5,
            acceptMilliseconds: 50,
            defaultSlots: 4, commentsAreProgress: true, canary: .token, keepsOneModel: true,
            diesOfUnknownTokens: true, noticesLostPlainClients: false, streamsLogprobs: false,
            withholds: [.tools, .requiredTool], drainsBatch: [.seed, .images], misnamesUsageEvent: true,
            tellsCachedTokens: true, takesOnePromptAtATime: true,
            repairs: [.removesNulls, .clampsTopK, .foldsSeed, .unwrapsPrompt, .setsCeiling]),
        questions: [
            ProbeRequest(path: "/health", subject: .health), ProbeRequest(path: "/v1/models", subject: .models),
        ],
        // `0.32.2-0.32.4-macOS-…`: its own version, MLX's, the system's and the GPU's. No page tells it.
        introduction: IntroductionPage(.canary) {
            Introduction.version(&$0, in: "system_fingerprint", before: UInt8(ascii: "-"))
        },
        reading: { reply in
            switch reply.request.subject {
            case .health:
                switch reply.status {
                case 200..<300: ProbeReading(life: .alive)
                case 503: ProbeReading(life: .dead)
                // Versions before the route existed.
                case 404: ProbeReading(life: .alive)
                default: ProbeReading(life: .failed)
                }
            // Its list is the cache on disk: a hint. Without one the engine may be well.
            case .models: (200..<300).contains(reply.status) ? .list(reply) : ProbeReading(life: .alive)
            case .properties, .residents: ProbeReading(life: .alive)
            }
        },
        fitting: { needs, route in
            switch route {
            case .chatCompletions, .completions: break
            case .embeddings: return .no("mlx_lm has no embeddings")
            case .other(let name): return .no("mlx_lm has no route /v1/\(name)")
            }
            // Each of these kills its generation thread, or is refused with a 404 that looks like a missing model.
            if needs.contains(.emptyPrompt) { return .no("mlx_lm takes no empty prompt", field: "prompt") }
            if needs.contains(.tokenPrompt) { return .no("mlx_lm takes no prompt of token ids", field: "prompt") }
            // It would fetch them itself, from inside the network it stands in.
            if needs.contains(.remoteImages) { return .no("mlx_lm gets images as data URLs only", field: "messages") }
            // They make it unload its model for whatever the client names.
            if needs.contains(.loaderFields) {
                return .no(
                    "mlx_lm takes no adapters, draft_model, num_draft_tokens or role_mapping from clients",
                    field: "adapters")
            }
            if needs.contains(.templateArguments) {
                return .no(
                    "mlx_lm takes enable_thinking, thinking and reasoning_effort in chat_template_kwargs, no more",
                    field: "chat_template_kwargs")
            }
            if needs.contains(.countedLogprobs) {
                return .no("mlx_lm takes logprobs as true or false", field: "logprobs")
            }
            if needs.contains(.manyTopLogprobs) {
                return .no("mlx_lm takes top_logprobs up to 11", field: "top_logprobs")
            }
            if needs.contains(.zeroCeiling) { return .no("mlx_lm cannot answer with no token", field: "max_tokens") }
            var ignored: [String] = []
            if needs.contains(.manyChoices) { ignored.append("n") }
            if needs.contains(.structuredOutput) { ignored.append("response_format") }
            if needs.contains(.requiredTool) { ignored.append("tool_choice") }
            // Its plain answers have them, its streams never.
            if needs.contains(.streamedLogprobs) { ignored.append("logprobs") }
            return ignored.isEmpty ? .yes : .ignores(ignored)
        },
        judging: { answer in
            switch answer.status {
            case 404:
                if answer.says("generation thread died") { return .dead }
                return answer.says("Not Found") && !answer.says("{") ? .unsuitable : .client
            case 411, 501: return .fault
            case 429, 503: return .capacity
            case 400..<500: return .client
            case 500...599: return .fault
            case 200..<300: return .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: return .fault
            }
        })
}
