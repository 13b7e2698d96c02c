import NIOHTTP1
import SimulatedWorker

/// llama-server's pages: health that tells of a load, slots, properties and Prometheus text.
extension InformationPages {
    func llama(_ path: String) -> Page {
        switch path {
        case "/health", "/v1/health":
            guard machine.isLoading, !isRouter, !machine.holds(.lieHealth) else { return ok("ok") }
            return Page(status: 503, body: ErrorText.llama(503, "Loading model", type: "unavailable_error"))
        case "/v1/models", "/models": return models()
        case "/props": return isRouter ? routerProperties : properties
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

    private var properties: Page {
        Page(
            .members([
                "default_generation_settings": .members(["n_ctx": .integer(settings.contextTokens)]),
                "total_slots": .integer(machine.slots), "model_alias": .string(settings.models[0].name),
                "model_path": .string("/models/\(settings.models[0].name).gguf"),
                "modalities": .members(["vision": .bool(false), "video": .bool(false), "audio": .bool(false)]),
                "endpoint_slots": .bool(true), "endpoint_props": .bool(false), "endpoint_metrics": .bool(true),
                "chat_template_caps": .members([
                    "supports_string_content": .bool(true), "supports_system_role": .bool(true),
                    "supports_tool_calls": .bool(true), "supports_tools": .bool(true),
                ]),
                "build_info": .string(machine.version), "is_sleeping": .bool(false),
            ]))
    }

    // MARK: A router of several models

    /// Slots and abilities are those of its models' own processes.
    private var routerProperties: Page {
        Page(
            .members([
                "role": "router", "models_autoload": .bool(true), "model_alias": "llama-server", "model_path": "none",
                "default_generation_settings": .members(["params": .object([]), "n_ctx": .integer(0)]),
                "build_info": .string(machine.version),
            ]))
    }

    var isRouter: Bool { settings.flavor.isRouter(models: settings.models.count) }

    func routed(_ model: SimulatedModel) -> JSONValue {
        let position = position(model.name) ?? 0
        let state = isResident(position) ? "loaded" : machine.isLoading(position) ? "loading" : "unloaded"
        return .members([
            "id": .string(model.name), "object": "model", "owned_by": "llamacpp", "created": .integer(created),
            "status": .members(["value": .string(state)]),
        ])
    }

    /// `POST /models/load` and `/models/unload`: answered at once, carried out beside.
    func llamaOrder(_ method: HTTPMethod, _ path: String, _ body: [UInt8]) -> Page {
        guard isRouter, method == .POST, ["/models/load", "/models/unload"].contains(path) else { return notFound }
        guard let model = position((try? JSONValue(body))?["model"]?.text) else {
            return Page(status: 404, body: ErrorText.llama(404, "model is not found", type: "not_found_error"))
        }
        let isRunning = isResident(model) || machine.isLoading(model)
        guard (path == "/models/load") != isRunning else {
            let message = isRunning ? "model is already running" : "model is not running"
            return Page(status: 400, body: ErrorText.llama(400, message, type: "invalid_request_error"))
        }
        return Page(.members(["success": .bool(true)]), order: isRunning ? .unload(model) : .load(model))
    }
}
