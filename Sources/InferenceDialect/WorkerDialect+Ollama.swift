/// `ollama`: loads whatever is asked for and unloads it again; only clients that call it by a local name are served. Its
/// queue of 512 ends in a 503.
extension WorkerDialect {
    package static let ollama = WorkerDialect(
        kind: "ollama",
        traits: WorkerTraits(
            poolsConnections: true, idleSecondsMax: 30, requestsPerConnectionMax: 10_000, connectBacklog: 64,
            defaultSlots: 1, commentsAreProgress: false, canary: .loadUnlessResident, takesAnyName: true,
            wantsLocalHost: true,
            diesOfUnknownTokens: false, repairs: [.renamesCeiling, .setsCeiling]),
        questions: [
            ProbeRequest(path: "/api/version", subject: .health), ProbeRequest(path: "/api/tags", subject: .models),
            ProbeRequest(path: "/api/ps", subject: .residents),
        ],
        introduction: IntroductionPage(.page("/api/version")) { Introduction.version(&$0, in: "version") },
        reading: { reply in
            let form = ProbeReading.ListForm(list: "models", name: "name")
            switch reply.request.subject {
            case .health: return ProbeReading(life: (200..<300).contains(reply.status) ? .alive : .failed)
            case .residents:
                // The list of what is in memory; it is no list of what there is.
                let list = ProbeReading.list(reply, form)
                return ProbeReading(life: .alive, resident: list.models.map { .only($0) })
            default: return .list(reply, form)
            }
        },
        fitting: { needs, route in
            if case .other(let name) = route, name != "responses" { return .no("ollama has no route /v1/\(name)") }
            if route == .completions, !needs.isDisjoint(with: [.listPrompt, .tokenPrompt]) {
                return .no("ollama takes one prompt, as text", field: "prompt")
            }
            var ignored: [String] = []
            if needs.contains(.manyChoices) { ignored.append("n") }
            if needs.contains(.logitBias) { ignored.append("logit_bias") }
            return ignored.isEmpty ? .yes : .ignores(ignored)
        },
        judging: { answer in
            switch answer.status {
            case 404: .absent
            case 429, 503: .capacity
            case 400..<500: .client
            // What we hung up on.
            case 500: answer.says("aborting load") ? .ambiguous : .fault
            case 501...599: .fault
            case 200..<300: .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: .fault
            }
        },
        orders: LoadOrders(
            // A request without a prompt only loads, and one that says to keep the model for no time lets it go.
            load: { .naming($0, as: "model", at: "/api/generate", more: #","stream":false"#) },
            unload: { .naming($0, as: "model", at: "/api/generate", more: #","stream":false,"keep_alive":0"#) }))
}
