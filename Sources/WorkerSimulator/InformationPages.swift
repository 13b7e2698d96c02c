import NIOHTTP1
import SimulatedWorker

/// What a worker tells about itself when asked: health, models, slots. Each server has its own pages.
struct InformationPages {
    let settings: SimulatorSettings
    let machine: WorkerMachine
    let created: Int

    struct Page {
        var status = 200
        var body: [UInt8]
        var type = "application/json"
    }

    func page(_ method: HTTPMethod, _ path: String) -> Page {
        switch settings.flavor {
        case .mlxLM: mlx(method, path)
        case .llamaCpp: method == .GET ? llama(path) : notFound
        case .openAI: method == .GET ? openAI(path) : notFound
        }
    }

    /// Whether a worker with a key shows the page to anybody.
    static func isPublic(_ flavor: Flavor, _ path: String) -> Bool {
        path == "/health" || (flavor == .llamaCpp && ["/v1/health", "/models", "/v1/models"].contains(path))
    }

    private var notFound: Page {
        switch settings.flavor {
        case .mlxLM: Page(status: 404, body: Array("Not Found".utf8))
        case .llamaCpp:
            Page(status: 404, body: ErrorText.llama(404, "File Not Found", type: "not_found_error"))
        case .openAI:
            Page(
                status: 404,
                body: ErrorText.openAI("Unknown request URL", type: "invalid_request_error", code: "unknown_url"))
        }
    }

    private func ok(_ status: String) -> Page {
        // Python puts a space after each colon.
        settings.flavor == .mlxLM
            ? Page(body: Array("{\"status\": \"\(status)\"}".utf8))
            : Page(body: Array("{\"status\":\"\(status)\"}".utf8))
    }

    private func mlx(_ method: HTTPMethod, _ path: String) -> Page {
        guard method == .GET else {
            guard method == .POST else {
                return Page(
                    status: 501, body: Array("<!DOCTYPE HTML>Unsupported method".utf8), type: "text/html;charset=utf-8")
            }
            return notFound
        }
        if path.hasPrefix("/v1/models") { return models() }
        guard path == "/health" else { return notFound }
        guard machine.threadIsDead, !machine.holds(.lieHealth) else { return ok("ok") }
        var page = ok("unavailable")
        page.status = 503
        return page
    }

    private func openAI(_ path: String) -> Page {
        if path == "/health" { return ok("ok") }
        if path == "/v1/models" { return models() }
        guard path.hasPrefix("/v1/models/") else { return notFound }
        let name = String(path.dropFirst("/v1/models/".count))
        guard let model = settings.models.first(where: { $0.name == name }) else {
            return Page(
                status: 404,
                body: ErrorText.openAI(
                    "The model '\(name)' does not exist", type: "invalid_request_error", param: "model",
                    code: "model_not_found"))
        }
        return Page(body: entry(model).bytes)
    }

    private func llama(_ path: String) -> Page {
        switch path {
        case "/health", "/v1/health":
            guard machine.isLoading, !machine.holds(.lieHealth) else { return ok("ok") }
            return Page(status: 503, body: ErrorText.llama(503, "Loading model", type: "unavailable_error"))
        case "/v1/models", "/models": return models()
        case "/props":
            return Page(
                body: JSONValue.members([
                    "default_generation_settings": .members(["n_ctx": .integer(settings.contextTokens)]),
                    "total_slots": .integer(machine.slots), "model_alias": .string(settings.models[0].name),
                    "model_path": .string("/models/\(settings.models[0].name).gguf"), "build_info": "b6000-sim",
                ]).bytes)
        case "/slots":
            let busy = machine.runningCount
            return Page(
                body: JSONValue.array(
                    (0..<machine.slots).map { slot in
                        .members([
                            "id": .integer(slot), "n_ctx": .integer(settings.contextTokens),
                            "is_processing": .bool(slot < busy),
                        ])
                    }
                ).bytes)
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

    private func models() -> Page {
        Page(body: JSONValue.members(["object": "list", "data": .array(settings.models.map { entry($0) })]).bytes)
    }

    private func entry(_ model: SimulatedModel) -> JSONValue {
        guard settings.flavor == .llamaCpp else {
            return .members([
                "id": .string(model.name), "object": "model", "created": .integer(created), "owned_by": "starling-sim",
            ])
        }
        return .members([
            "id": .string(model.name), "object": "model", "created": .integer(created), "owned_by": "llamacpp",
            "meta": .members([
                "vocab_type": .integer(2), "n_vocab": .integer(128_256), "n_ctx": .integer(settings.contextTokens),
                "n_params": .integer(Int(model.parametersBillions * 1e9)), "size": .integer(Int(model.gigabytes * 1e9)),
            ]),
        ])
    }
}
