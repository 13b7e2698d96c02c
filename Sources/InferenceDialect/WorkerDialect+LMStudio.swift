/// `lm_studio`: LM Studio's server. It lists all downloads and loads what is asked for; two streams at once have crashed its
/// MLX engine, so one at a time is the rule until an operator says more.
extension WorkerDialect {
    package static let lmStudio = WorkerDialect(
        kind: "lm_studio",
        traits: WorkerTraits(
            poolsConnections: true, idleSecondsMax: 4, requestsPerConnectionMax: 10_000, connectBacklog: 64,
            defaultSlots: 1, commentsAreProgress: false, canary: .loadUnlessResident, takesAnyName: true,
            diesOfUnknownTokens: false,
            strictSlots: true, repairs: [.renamesCeiling, .setsCeiling]),
        questions: [ProbeRequest(path: "/api/v0/models", subject: .models)],
        reading: { .list($0, ProbeReading.ListForm(list: "data", name: "id", loaded: ("state", "loaded"))) },
        fitting: { _, route in
            if case .other(let name) = route, !["messages", "responses"].contains(name) {
                return .no("lm_studio has no route /v1/\(name)")
            }
            return .yes
        },
        judging: { answer in
            if answer.says("Exit code: null") { return .dead }
            switch answer.status {
            case 429, 503: return .capacity
            case 400..<500: return .client
            case 500...599: return .fault
            case 200..<300: return .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: return .fault
            }
        },
        orders: LoadOrders(
            // Since 0.4; what it loads by order it does not let go by itself. An older one answers 404 and loads what it is
            // asked for.
            load: { .naming($0, as: "model", at: "/api/v1/models/load") },
            unload: { .naming($0, as: "instance_id", at: "/api/v1/models/unload") }))
}
