/// `exo`: one model over several Macs. Streams end with their connection; an error may come inside a stream that began
/// with 200, and then a `[DONE]`. Each event of a chat calls itself `chat.completion`. It has chat, Anthropic's messages
/// and responses.
///
/// Its comments `: prefill_progress {…}` come with each step of a prompt; `: keep-alive` comes from the thread that
/// answers, and `: generation_stats {…}` when all is over: neither is progress. It cancels what nobody waits for, streams
/// and plain answers alike, as soon as their connection ends, so its `POST /v1/cancel/{id}` is not used: it would say the
/// same again, and only after the first token, which is what first tells the id.
extension WorkerDialect {
    package static let exo = WorkerDialect(
        kind: "exo",
        traits: WorkerTraits(
            poolsConnections: false, idleSecondsMax: 0, requestsPerConnectionMax: 1, connectBacklog: 64,
            defaultSlots: 8,
            commentsAreProgress: true, canary: .loadUnlessResident, diesOfUnknownTokens: false,
            holdsPlainAnswers: true, misnamesEvents: true, repairs: [.removesNulls, .renamesCeiling, .setsCeiling]),
        questions: [
            ProbeRequest(path: "/node_id", subject: .health),
            // The plain list is its whole catalogue.
            ProbeRequest(path: "/v1/models?status=downloaded", subject: .models),
            ProbeRequest(path: "/state", subject: .residents),
        ],
        loadPage: LoadPage(path: "/state", reading: LoadReading.exoState),
        reading: { reply in
            switch reply.request.subject {
            case .models: (200..<300).contains(reply.status) ? .list(reply) : ProbeReading(life: .alive)
            case .residents: .instances(reply)
            default: ProbeReading(life: (200..<300).contains(reply.status) ? .alive : .failed)
            }
        },
        fitting: { needs, route in
            switch route {
            case .chatCompletions: break
            case .completions: return .no("exo has no text completions")
            case .embeddings: return .no("exo has no embeddings")
            case .other(let name):
                return ["messages", "responses"].contains(name) ? .yes : .no("exo has no route /v1/\(name)")
            }
            // Its code has members for them, and looks at none of them.
            var ignored: [String] = []
            if needs.contains(.manyChoices) { ignored.append("n") }
            if needs.contains(.structuredOutput) { ignored.append("response_format") }
            if needs.contains(.requiredTool) { ignored.append("tool_choice") }
            if needs.contains(.logitBias) { ignored.append("logit_bias") }
            return ignored.isEmpty ? .yes : .ignores(ignored)
        },
        judging: { answer in
            switch answer.status {
            case 404: answer.says("No instance found") ? .absent : .client
            case 429, 503: .capacity
            case 400..<500: .client
            case 500...599: .fault
            case 200..<300: .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: .fault
            }
        },
        orders: LoadOrders(load: { .naming($0, as: "model_id", at: "/place_instance") }))
}
