import Determinism
import NIOHTTP1
import SimulatedWorker

/// ollama's own pages: what is on disk, what is in memory and until when. Names carry their tag.
extension InformationPages {
    func ollama(_ method: HTTPMethod, _ path: String) -> Page {
        switch (method, path) {
        case (.GET, "/"): return Page(body: Array("Ollama is running".utf8), type: "text/plain; charset=utf-8")
        case (.GET, "/api/version"): return Page(.members(["version": .string(machine.version)]))
        case (.GET, "/api/tags"): return Page(.members(["models": .array(settings.models.map { tag($0, []) })]))
        case (.GET, "/api/ps"): return Page(.members(["models": .array(settings.models.indices.compactMap(process))]))
        case (.GET, "/v1/models"): return models()
        default: return notFound
        }
    }

    private func tag(_ model: SimulatedModel, _ more: [JSONValue.Member]) -> JSONValue {
        .object(
            [
                .init(name: "name", value: .string(model.name)), .init(name: "model", value: .string(model.name)),
                .init(name: "size", value: .integer(bytes(model))), .init(name: "digest", value: "5eed"),
                .init(
                    name: "details",
                    value: .members([
                        "format": "gguf", "family": "llama",
                        "parameter_size": .string("\(model.parametersBillions)B"),
                        "quantization_level": .string("Q\(model.bits)_0"),
                    ])),
            ] + more)
    }

    private func process(_ model: Int) -> JSONValue? {
        guard isResident(model) else { return nil }
        let left = machine.residents[model].expiresAt.seconds(since: machine.now)
        return tag(
            settings.models[model],
            [
                // A model that stays for ever has a moment in a far century.
                .init(name: "expires_at", value: moment(min(left, 3e9))),
                .init(name: "size_vram", value: .integer(bytes(settings.models[model]))),
                .init(name: "context_length", value: .integer(settings.contextTokens)),
            ])
    }
}
