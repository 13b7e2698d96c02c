/// Error bodies as the servers write them: mlx_lm a flat text, llama.cpp its own object, the others OpenAI's.
package enum ErrorText {
    /// Python's `json.dumps` puts a space after each colon.
    package static func flat(_ message: String) -> [UInt8] {
        var text = JSONText()
        text.raw("{\"error\": ")
        text.string(message)
        text.raw("}")
        return text.bytes
    }

    package static func openAI(_ message: String, type: String, param: String? = nil, code: String? = nil) -> [UInt8] {
        JSONValue.members([
            "error": .members([
                "message": .string(message), "type": .string(type), "param": param.map { .string($0) } ?? .null,
                "code": code.map { .string($0) } ?? .null,
            ])
        ]).bytes
    }

    package static func llama(_ code: Int, _ message: String, type: String, more: [JSONValue.Member] = []) -> [UInt8] {
        let members: [JSONValue.Member] = [
            .init(name: "code", value: .integer(code)), .init(name: "message", value: .string(message)),
            .init(name: "type", value: .string(type)),
        ]
        return JSONValue.object([.init(name: "error", value: .object(members + more))]).bytes
    }

    static func invalid(_ flavor: Flavor, _ field: String, _ message: String) -> Refusal {
        switch flavor {
        case .mlxLM: .answer(status: 400, body: flat(message))
        case .llamaCpp: .answer(status: 400, body: llama(400, message, type: "invalid_request_error"))
        case .openAI: .answer(status: 400, body: openAI(message, type: "invalid_request_error", param: field))
        }
    }

    static func invalidJSON(_ flavor: Flavor, _ problem: JSONValue.Unreadable) -> Refusal {
        let place = "\(problem.message) at byte \(problem.offset)"
        return switch flavor {
        case .mlxLM: .answer(status: 400, body: flat("Invalid JSON in request body: \(place)"))
        case .llamaCpp:
            .answer(
                status: 500,
                body: llama(500, "[json.exception.parse_error.101] parse error: \(place)", type: "server_error"))
        case .openAI:
            .answer(
                status: 400,
                body: openAI(
                    "We could not parse the JSON body of your request: \(place)", type: "invalid_request_error"))
        }
    }

    static func notAnObject(_ flavor: Flavor) -> Refusal {
        flavor == .mlxLM
            ? .answer(status: 400, body: flat("Request should be a JSON dictionary"))
            : invalid(flavor, "body", "the request must be a JSON object")
    }

    static func unknownModel(_ flavor: Flavor, _ name: String) -> Refusal {
        flavor == .mlxLM
            // A name that is no local path is looked for at the model hub, which this worker cannot reach.
            ? .answer(
                status: 404,
                body: flat("Repository Not Found for \(name): make sure you specified the correct repo_id."))
            : .answer(
                status: 404,
                body: openAI(
                    "The model '\(name)' does not exist", type: "invalid_request_error", param: "model",
                    code: "model_not_found"))
    }

    static func contextExceeded(_ flavor: Flavor, promptTokens: Int, contextTokens: Int) -> Refusal {
        let message = "request (\(promptTokens) tokens) exceeds the available context size (\(contextTokens) tokens)"
        guard flavor == .llamaCpp else {
            return .answer(
                status: 400,
                body: openAI(message, type: "invalid_request_error", param: "messages", code: "context_length_exceeded")
            )
        }
        return .answer(
            status: 400,
            body: llama(
                400, "\(message), try increasing it", type: "exceed_context_size_error",
                more: [
                    .init(name: "n_prompt_tokens", value: .integer(promptTokens)),
                    .init(name: "n_ctx", value: .integer(contextTokens)),
                ]))
    }

    /// What every request gets once the thread that computes has died.
    package static let threadDied = flat("generation thread died")

    /// The queue is at its bound.
    package static func full(_ flavor: Flavor) -> [UInt8] {
        switch flavor {
        case .mlxLM: flat("queue is full")
        case .llamaCpp: llama(503, "queue is full", type: "unavailable_error")
        case .openAI: openAI("The server is overloaded, try again later", type: "server_error", code: "overloaded")
        }
    }

    package static func wrongKey(_ flavor: Flavor) -> [UInt8] {
        flavor == .llamaCpp
            ? llama(401, "Invalid API Key", type: "authentication_error")
            : openAI("Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key")
    }
}
