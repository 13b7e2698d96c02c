/// `llama_cpp`: `llama-server`. Chunked answers with keep-alive of five seconds and a hundred requests; no head before a
/// slot is free; `/health` says 503 while the model loads; a 500 may be a client's bad schema.
extension WorkerDialect {
    package static let llamaCpp = WorkerDialect(
        kind: "llama_cpp",
        traits: WorkerTraits(
            poolsConnections: true, idleSecondsMax: 4, requestsPerConnectionMax: 90, connectBacklog: 64,
            defaultSlots: 4, commentsAreProgress: false, tellsProgressInEvents: true, canary: .token,
            takesAnyName: true, diesOfUnknownTokens: false, ignoresUnknownTokens: true, noticesLostPlainClients: false,
            sendsEmptyEvents: true,
            tellsCachedTokens: true,
            countsUsagePerChoice: true,
            repairs: [.removesEmptyStops, .setsCeiling]),
        questions: [
            ProbeRequest(path: "/health", subject: .health), ProbeRequest(path: "/v1/models", subject: .models),
            ProbeRequest(path: "/props", subject: .properties),
        ],
        // `/metrics` would tell what waits, too; it is off unless asked for.
        loadPage: LoadPage(path: "/slots", reading: LoadReading.slots),
        introduction: IntroductionPage(.page("/props"), reading: Introduction.llamaProperties),
        reading: { reply in
            switch reply.request.subject {
            case .health:
                switch reply.status {
                case 200..<300: ProbeReading(life: .alive)
                case 503: ProbeReading(life: .loading)
                default: ProbeReading(life: .failed)
                }
            case .models: reply.status == 503 ? ProbeReading(life: .loading) : .routerList(reply)
            // It may be off, or want another key; the two before it have proved the life.
            case .properties, .residents: .properties(reply)
            }
        },
        fitting: { _, _ in .yes },
        judging: { answer in
            switch answer.status {
            case 400..<500: return answer.status == 429 ? .capacity : .client
            case 501: return .unsuitable
            case 503: return answer.says("Loading model") ? .loading : .capacity
            case 500:
                let isClients =
                    answer.says("parse_error") || answer.says("Failed to parse") || answer.says("out_of_range")
                    || answer.says("type_error") || answer.says("not supported")
                return isClients ? .client : .ambiguous
            case 502...599: return .fault
            case 200..<300: return .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: return .fault
            }
        },
        orders: LoadOrders(
            // Only a router is ever asked: one that serves a single model has it in memory.
            load: { .naming($0, as: "model", at: "/models/load") },
            unload: { .naming($0, as: "model", at: "/models/unload") }))
}
