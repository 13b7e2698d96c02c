import NIOHTTP1
import SimulatedWorker

/// LM Studio's pages: the older list tells a state, the newer one every loaded copy. OpenAI's list has all downloads.
extension InformationPages {
    func lmStudio(_ method: HTTPMethod, _ path: String, _ body: [UInt8]) -> Page {
        let all = settings.models.indices
        switch (method, path) {
        case (.GET, "/api/v0/models"):
            return Page(.members(["object": "list", "data": .array(all.map(older))]))
        case (.GET, "/api/v1/models"): return Page(.members(["models": .array(all.map(newer))]))
        case (.GET, "/v1/models"): return models()
        case (.POST, "/api/v1/models/unload"):
            guard let name = (try? JSONValue(body))?["instance_id"]?.text,
                let model = position(String(name.prefix { $0 != ":" })), isResident(model)
            else {
                return Page(
                    status: 404, body: ErrorText.openAI("No such instance", type: "not_found", code: "model_not_found"))
            }
            return Page(.members(["instance_id": .string(name)]), order: .unload(model))
        default: return notFound
        }
    }

    private func older(_ model: Int) -> JSONValue {
        let figures = settings.models[model]
        return .members([
            "id": .string(figures.name), "object": "model", "type": "llm", "publisher": "starling-sim",
            "arch": "llama", "compatibility_type": "mlx", "quantization": .string("\(figures.bits)bit"),
            "state": .string(isResident(model) ? "loaded" : "not-loaded"),
            "max_context_length": .integer(settings.contextTokens),
        ])
    }

    private func newer(_ model: Int) -> JSONValue {
        let figures = settings.models[model]
        // The second copy of a model has a number behind its name.
        let copies = (0..<machine.residents[model].copies).map { copy in
            JSONValue.members([
                "id": .string(copy == 0 ? figures.name : "\(figures.name):\(copy + 1)"),
                "config": .members(["context_length": .integer(settings.contextTokens)]),
            ])
        }
        return .members([
            "type": "llm", "publisher": "starling-sim", "key": .string(figures.name),
            "display_name": .string(figures.name), "size_bytes": .integer(bytes(figures)),
            "loaded_instances": .array(copies), "max_context_length": .integer(settings.contextTokens),
        ])
    }
}
