import SimulatedWorker

/// vllm_mlx's pages: health with the model's name, and a status that counts requests, Metal's memory and the cache.
extension InformationPages {
    func vllm(_ path: String) -> Page {
        let names = settings.models.map { JSONValue.string($0.name) }
        let resident = settings.models.indices.first(where: isResident)
        switch path {
        case "/health":
            return Page(
                .members([
                    "status": "healthy", "model_loaded": .bool(resident != nil || machine.holds(.lieHealth)),
                    "model_name": resident.map { names[$0] } ?? .null, "model_type": "llm",
                    "available_models": .array(names), "engine_type": "batched", "mcp": .null,
                ]))
        case "/v1/status": return vllmStatus(resident)
        default: return openAI(path)
        }
    }

    private func vllmStatus(_ resident: Int?) -> Page {
        let memory = machine.memory
        let cache = machine.cacheCounts
        return Page(
            .members([
                "status": .string(machine.runningCount > 0 ? "running" : "idle"),
                "model": resident.map { .string(settings.models[$0].name) } ?? .null,
                "num_running": .integer(machine.runningCount), "num_waiting": .integer(machine.queuedCount),
                "total_requests_processed": .integer(machine.counters.finished),
                "total_prompt_tokens": .integer(machine.counters.promptTokens),
                "total_completion_tokens": .integer(machine.counters.tokens),
                "metal": .members([
                    "active_memory_gb": .real(memory.weights + memory.cache),
                    "peak_memory_gb": .real(memory.weights + memory.cache), "cache_memory_gb": .real(memory.cache),
                ]),
                "cache": .members(["entry_count": .integer(cache.entries), "tokens": .integer(cache.tokens)]),
                "residency": .array(
                    settings.models.indices.map {
                        .members([
                            "model": .string(settings.models[$0].name),
                            "state": .string(isResident($0) ? "loaded" : "unloaded"),
                        ])
                    }),
            ]))
    }
}
