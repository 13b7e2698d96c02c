/// `openai`: any server that keeps OpenAI's own ways; what it can do is believed until it says otherwise.
extension WorkerDialect {
    package static let openAI = WorkerDialect(
        kind: "openai",
        traits: WorkerTraits(
            poolsConnections: true, idleSecondsMax: 30, requestsPerConnectionMax: 10_000, connectBacklog: 128,
            defaultSlots: 256, commentsAreProgress: false, canary: .money,
            diesOfUnknownTokens: false,
            repairs: []),
        questions: [ProbeRequest(path: "/v1/models", subject: .models)],
        reading: { reply in
            switch reply.status {
            case 429, 503: ProbeReading(life: .loading)
            // A server without the list, or one that wants another key for it, is there all the same.
            case 400..<500: ProbeReading(life: .alive)
            default: .list(reply)
            }
        },
        fitting: { _, _ in .yes },
        judging: { answer in
            switch answer.status {
            case 429, 503, 507: .capacity
            case 400..<500: .client
            case 500...599: .fault
            case 200..<300: .ok
            // A redirect leads away from the worker that was chosen; nothing here follows one.
            default: .fault
            }
        })
}
