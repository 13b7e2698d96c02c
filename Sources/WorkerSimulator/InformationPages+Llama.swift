import SimulatedWorker

/// llama-server's pages: health that tells of a load, slots, properties and Prometheus text.
extension InformationPages {
    func llama(_ path: String) -> Page {
        switch path {
        case "/health", "/v1/health":
            guard machine.isLoading, !machine.holds(.lieHealth) else { return ok("ok") }
            return Page(status: 503, body: ErrorText.llama(503, "Loading model", type: "unavailable_error"))
        case "/v1/models", "/models": return models()
        case "/props":
            return Page(
                .members([
                    "default_generation_settings": .members(["n_ctx": .integer(settings.contextTokens)]),
                    "total_slots": .integer(machine.slots), "model_alias": .string(settings.models[0].name),
                    "model_path": .string("/models/\(settings.models[0].name).gguf"), "build_info": "b6000-sim",
                ]))
        case "/slots":
            let busy = machine.runningCount
            return Page(
                .array(
                    (0..<machine.slots).map { slot in
                        .members([
                            "id": .integer(slot), "n_ctx": .integer(settings.contextTokens),
                            "is_processing": .bool(slot < busy),
                        ])
                    }))
        case "/metrics":
            let text = """
                # TYPE llamacpp:requests_processing gauge
                llamacpp:requests_processing \(machine.runningCount)
                # TYPE llamacpp:requests_deferred gauge
                llamacpp:requests_deferred \(machine.queuedCount)

                """
            return Page(body: Array(text.utf8), type: "text/plain; version=0.0.4")
        default: return notFound
        }
    }
}
