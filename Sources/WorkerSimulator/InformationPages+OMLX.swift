import NIOHTTP1
import SimulatedWorker

/// oMLX's pages. Its health is well whatever happens: a wedged worker was seen to say so for hours.
extension InformationPages {
    func omlx(_ method: HTTPMethod, _ path: String) -> Page {
        if method == .POST { return omlxOrder(path) }
        guard method == .GET else { return notFound }
        let memory = machine.memory
        switch path {
        case "/health": return ok("healthy")
        case "/v1/models/status":
            return Page(
                .members([
                    "models": .array(
                        settings.models.indices.map { model in
                            .members([
                                "id": .string(settings.models[model].name), "loaded": .bool(isResident(model)),
                                "is_loading": .bool(machine.isLoading(model)), "pinned": .bool(false),
                                "estimated_size": .integer(bytes(settings.models[model])),
                            ])
                        }),
                    "current_model_memory": .integer(Int(memory.weights * 1e9)),
                    "max_model_memory": .integer(Int(memory.limit * 1e9)),
                ]))
        case "/api/status":
            return Page(
                .members([
                    "status": "ok", "version": .string(machine.version),
                    "active_requests": .integer(machine.runningCount),
                    "waiting_requests": .integer(machine.queuedCount),
                    "models_loaded": .integer(settings.models.indices.count(where: isResident)),
                    "total_requests": .integer(machine.counters.accepted),
                ]))
        default: return openAI(path)
        }
    }

    /// `/v1/models/<id>/load` and `/unload`; an id may have slashes.
    private func omlxOrder(_ path: String) -> Page {
        let start = "/v1/models/"
        guard path.hasPrefix(start) else { return notFound }
        for (end, isLoad) in [("/load", true), ("/unload", false)] where path.hasSuffix(end) {
            guard let model = position(String(path.dropFirst(start.count).dropLast(end.count))) else {
                return Page(status: 404, body: ErrorText.detail("Model not found"))
            }
            return Page(
                .members(["status": "ok", "model_id": .string(settings.models[model].name)]),
                order: isLoad ? .load(model) : .unload(model))
        }
        return notFound
    }
}
