/// `omlx`: oMLX, several models on one Mac under a memory guard. Its health page says that all is well also when it is
/// wedged, so only tokens prove its life.
extension WorkerDialect {
    package static let oMLX = WorkerDialect(
        kind: "omlx",
        traits: WorkerTraits(
            poolsConnections: true, idleSecondsMax: 4, requestsPerConnectionMax: 10_000, connectBacklog: 64,
            defaultSlots: 4, commentsAreProgress: false, canary: .loadUnlessResident, takesAnyName: true,
            diesOfUnknownTokens: false,
            repairs: [.removesNulls, .renamesCeiling, .setsCeiling]),
        questions: [
            ProbeRequest(path: "/health", subject: .health), ProbeRequest(path: "/v1/models", subject: .models),
            ProbeRequest(path: "/v1/models/status", subject: .residents),
        ],
        loadPage: LoadPage(path: "/api/status") { LoadReading.counts(&$0, "active_requests", "waiting_requests") },
        introduction: IntroductionPage(.page("/api/status")) { Introduction.version(&$0, in: "version") },
        reading: { reply in
            switch reply.request.subject {
            case .health: return ProbeReading(life: (200..<300).contains(reply.status) ? .alive : .failed)
            case .residents:
                let form = ProbeReading.ListForm(list: "models", name: "id", loaded: ("loaded", "true"))
                return ProbeReading(life: .alive, resident: ProbeReading.list(reply, form).resident)
            default: return .list(reply)
            }
        },
        fitting: { needs, route in
            if route == .completions, needs.contains(.tokenPrompt) {
                return .no("omlx takes no prompt of token ids", field: "prompt")
            }
            var ignored: [String] = []
            if needs.contains(.manyChoices) { ignored.append("n") }
            if needs.contains(.logprobs) { ignored.append("logprobs") }
            if needs.contains(.logitBias) { ignored.append("logit_bias") }
            return ignored.isEmpty ? .yes : .ignores(ignored)
        },
        judging: { answer in
            if answer.says("projected memory"), answer.says("would exceed") { return .capacity }
            switch answer.status {
            case 429, 503, 507: return .capacity
            case 400..<500: return .client
            case 500...599: return .fault
            case 200..<300: return .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: return .fault
            }
        },
        orders: LoadOrders(
            load: { .inPath("/v1/models/", $0, "/load") }, unload: { .inPath("/v1/models/", $0, "/unload") }))
}
