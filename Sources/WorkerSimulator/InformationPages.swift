import NIOHTTP1
import SimulatedWorker

/// What a worker tells about itself when asked: health, models, slots. Each server has its own pages, in a file of its
/// own; those that were not observed are written as their documentation has them.
struct InformationPages {
    let settings: SimulatorSettings
    let machine: WorkerMachine
    let created: Int

    struct Page {
        var status = 200
        var body: [UInt8]
        var type = "application/json"
        /// What the question asks of the worker besides an answer.
        var order: Order?

        init(status: Int = 200, body: [UInt8], type: String = "application/json", order: Order? = nil) {
            self.status = status
            self.body = body
            self.type = type
            self.order = order
        }

        init(_ value: JSONValue, status: Int = 200, order: Order? = nil) {
            self.init(status: status, body: value.bytes, order: order)
        }
    }

    /// Orders that a server takes on its own routes and carries out beside its answer.
    enum Order {
        case load(Int)
        case unload(Int)
        case cancel(ExchangeID)
    }

    func page(_ method: HTTPMethod, _ path: String, _ query: String, _ body: [UInt8]) -> Page {
        switch settings.flavor {
        case .mlxLM: mlx(method, path)
        case .llamaCpp: method == .GET ? llama(path) : llamaOrder(method, path, body)
        case .openAI: method == .GET ? openAI(path) : notFound
        case .vllmMLX: method == .GET ? vllm(path) : notFound
        case .exo: exo(method, path, query, body)
        case .ollama: ollama(method, path)
        case .lmStudio: lmStudio(method, path, body)
        case .oMLX: omlx(method, path)
        }
    }

    /// Whether a worker with a key shows the page to anybody.
    static func isPublic(_ flavor: Flavor, _ path: String) -> Bool {
        path == "/health" || (flavor == .llamaCpp && ["/v1/health", "/models", "/v1/models"].contains(path))
    }

    var notFound: Page {
        switch settings.flavor {
        case .mlxLM: Page(status: 404, body: Array("Not Found".utf8))
        case .llamaCpp:
            Page(status: 404, body: ErrorText.fileNotFound)
        case .vllmMLX, .exo, .oMLX: Page(status: 404, body: ErrorText.detail("Not Found"))
        case .ollama: Page(status: 404, body: Array("404 page not found".utf8), type: "text/plain")
        case .lmStudio:
            Page(.members(["error": "Unexpected endpoint or method."]), status: 200)
        case .openAI:
            Page(
                status: 404,
                body: ErrorText.openAI("Unknown request URL", type: "invalid_request_error", code: "unknown_url"))
        }
    }

    func ok(_ status: String) -> Page {
        // Python puts a space after each colon.
        settings.flavor == .mlxLM
            ? Page(body: Array("{\"status\": \"\(status)\"}".utf8))
            : Page(body: Array("{\"status\":\"\(status)\"}".utf8))
    }

    func openAI(_ path: String) -> Page {
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
        return Page(entry(model))
    }

    func models() -> Page { models(settings.models) }

    func models(_ models: [SimulatedModel]) -> Page {
        Page(.members(["object": "list", "data": .array(models.map { entry($0) })]))
    }

    func entry(_ model: SimulatedModel) -> JSONValue {
        guard settings.flavor == .llamaCpp else {
            return .members([
                "id": .string(model.name), "object": "model", "created": .integer(created), "owned_by": "starling-sim",
            ])
        }
        if isRouter { return routed(model) }
        return .members([
            "id": .string(model.name), "object": "model", "created": .integer(created), "owned_by": "llamacpp",
            "meta": .members([
                "vocab_type": .integer(2), "n_vocab": .integer(128_256), "n_ctx": .integer(settings.contextTokens),
                "n_params": .integer(Int(model.parametersBillions * 1e9)), "size": .integer(bytes(model)),
            ]),
        ])
    }

    func bytes(_ model: SimulatedModel) -> Int { Int(model.gigabytes * 1e9) }
    func position(_ name: String?) -> Int? {
        guard let name else { return nil }
        return settings.reader.position(of: name)
    }
    func isResident(_ model: Int) -> Bool { machine.residents[model].isResident }

    /// A moment as servers write it into their pages: seconds of the worker's clock after its start.
    func moment(_ seconds: Double) -> JSONValue { .string(Timestamp.text(secondsSince1970: created + Int(seconds))) }
}
