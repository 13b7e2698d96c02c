/// `/v1/models` and `/v1/models/{id}` in OpenAI's shapes.
import HTTPTypes
import Hummingbird
import Telemetry

struct ModelRoutes: Sendable {
    static let prefix = "/v1/models/"

    let facts: any GatewayFacts

    func list() -> Response {
        var json = JSONText(capacity: 4_096)
        json.openObject()
        json.field("object", "list")
        json.key("data")
        json.openArray()
        for model in facts.models { append(model, to: &json) }
        json.closeArray()
        json.closeObject()
        return EdgeAnswer.json(.ok, json.bytes)
    }

    /// A model's name may hold slashes, written plainly or as %2F: all that follows the prefix is the name.
    func one(path: String) throws(EdgeError) -> Response {
        let written = String(path.dropFirst(Self.prefix.count))
        let models = facts.models
        guard let name = Self.percentDecoded(written) else {
            throw EdgeError(.badRequest, code: "invalid_url", param: "model", "The model's name is not valid in a URL.")
        }
        guard let model = models.first(where: { $0.id == name }) else {
            throw .modelNotFound(name, served: models.map(\.id))
        }
        var json = JSONText()
        append(model, to: &json)
        return EdgeAnswer.json(.ok, json.bytes)
    }

    private func append(_ model: ServedModel, to json: inout JSONText) {
        json.openObject()
        json.field("id", model.id)
        json.field("object", "model")
        json.field("created", model.createdSeconds)
        json.field("owned_by", model.owner)
        json.closeObject()
    }

    /// Nil when a percent sign is not followed by two digits or the bytes are no text.
    static func percentDecoded(_ text: String) -> String? {
        guard text.utf8.contains(37) else { return text }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 37 else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }
}
