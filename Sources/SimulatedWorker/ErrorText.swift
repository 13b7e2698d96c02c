/// Error bodies as the servers write them: mlx_lm a flat text, llama.cpp its own object, FastAPI a detail, the others
/// OpenAI's.
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

    /// What FastAPI makes of an `HTTPException`.
    package static func detail(_ message: String) -> [UInt8] { JSONValue.members(["detail": .string(message)]).bytes }

    /// What Starlette makes of an exception that nobody caught: no JSON.
    static let internalServerError = Array("Internal Server Error".utf8)

    /// llama.cpp's page for a route that it does not have, its members in another order than elsewhere.
    package static let fileNotFound = Array(
        #"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#.utf8)

    /// What FastAPI makes of a member that its model of the request does not allow.
    static func unprocessable(_ field: String, _ message: String) -> [UInt8] {
        JSONValue.members([
            "detail": .array([
                .members([
                    "type": "value_error", "loc": .array(["body", .string(field)]), "msg": .string(message),
                ])
            ])
        ]).bytes
    }

    /// exo writes the status once more into the body, in words and as a number.
    static func exo(_ status: Int, _ message: String) -> [UInt8] {
        let type =
            switch status {
            case 400: "Bad Request"
            case 404: "Not Found"
            case 503: "Service Unavailable"
            default: "Internal Server Error"
            }
        return JSONValue.members([
            "error": .members([
                "message": .string(message), "type": .string(type), "param": .null, "code": .integer(status),
            ])
        ]).bytes
    }

    /// A failure in the words of the kind, where nothing more is known of it than its status.
    static func failure(_ flavor: Flavor, _ status: Int, _ message: String, code: String) -> [UInt8] {
        switch flavor {
        case .mlxLM: flat(message)
        case .llamaCpp: llama(status, message, type: "server_error")
        case .vllmMLX: detail(message)
        case .exo: exo(status, message)
        case .openAI, .ollama, .lmStudio, .oMLX: openAI(message, type: "server_error", code: code)
        }
    }

    /// What a plain answer becomes when a script makes it fail.
    package static func failed(_ flavor: Flavor) -> [UInt8] {
        failure(flavor, 500, "generation failed by script", code: "scripted")
    }

    static func invalid(_ flavor: Flavor, _ field: String, _ message: String) -> Refusal {
        switch flavor {
        case .mlxLM: .answer(status: 400, body: flat(message))
        case .llamaCpp: .answer(status: 400, body: llama(400, message, type: "invalid_request_error"))
        case .vllmMLX: .answer(status: 422, body: unprocessable(field, message))
        case .exo: .answer(status: 422, body: unprocessable(field, message))
        case .openAI, .ollama, .lmStudio, .oMLX:
            .answer(status: 400, body: openAI(message, type: "invalid_request_error", param: field))
        }
    }

    static func invalidJSON(_ flavor: Flavor, _ body: [UInt8], _ problem: JSONValue.Unreadable) -> Refusal {
        let complaint = ParseComplaint(problem: problem, body: body)
        switch flavor {
        case .mlxLM:
            return .answer(status: 400, body: flat("Invalid JSON in request body: \(complaint.pythonWithPlace)"))
        case .llamaCpp: return .answer(status: 500, body: llama(500, complaint.llama, type: "server_error"))
        case .vllmMLX, .exo:
            let detail = JSONValue.members([
                "type": "json_invalid", "loc": .array(["body", .integer(problem.offset)]), "msg": "JSON decode error",
                "input": .members([:]), "ctx": .members(["error": .string(complaint.python)]),
            ])
            return .answer(status: 422, body: JSONValue.members(["detail": .array([detail])]).bytes)
        case .openAI, .ollama, .lmStudio, .oMLX:
            let place = "\(problem.message) at byte \(problem.offset)"
            let message = "We could not parse the JSON body of your request: \(place)"
            return .answer(status: 400, body: openAI(message, type: "invalid_request_error"))
        }
    }

    static func notAnObject(_ flavor: Flavor) -> Refusal {
        flavor == .mlxLM
            ? .answer(status: 400, body: flat("Request should be a JSON dictionary"))
            : invalid(flavor, "body", "the request must be a JSON object")
    }

    static func unknownModel(_ flavor: Flavor, _ name: String, _ models: [SimulatedModel]) -> Refusal {
        switch flavor {
        // A name that is no local path is looked for at the model hub, which this worker cannot reach.
        case .mlxLM:
            let message = "Repository Not Found for \(name): make sure you specified the correct repo_id."
            return .answer(status: 404, body: flat(message))
        case .vllmMLX:
            let known = models.map { "`\($0.name)`" }.joined(separator: ", ")
            let available = "Available model\(models.count == 1 ? "" : "s"): \(known)"
            return .answer(status: 404, body: detail("The model `\(name)` does not exist. \(available)"))
        case .exo: return .answer(status: 404, body: noInstance(name))
        case .ollama:
            let message = "model \"\(name)\" not found, try pulling it first"
            return .answer(status: 404, body: openAI(message, type: "not_found_error"))
        case .openAI, .llamaCpp, .lmStudio, .oMLX:
            return .answer(
                status: 404,
                body: openAI(
                    "The model '\(name)' does not exist", type: "invalid_request_error", param: "model",
                    code: "model_not_found"))
        }
    }

    /// exo's answer for a model that nobody has placed.
    static func noInstance(_ name: String) -> [UInt8] { exo(404, "No instance found for model \(name)") }

    static func contextExceeded(_ flavor: Flavor, promptTokens: Int, contextTokens: Int) -> Refusal {
        let message = "request (\(promptTokens) tokens) exceeds the available context size (\(contextTokens) tokens)"
        switch flavor {
        case .llamaCpp:
            return .answer(
                status: 400,
                body: llama(
                    400, "\(message), try increasing it", type: "exceed_context_size_error",
                    more: [
                        .init(name: "n_prompt_tokens", value: .integer(promptTokens)),
                        .init(name: "n_ctx", value: .integer(contextTokens)),
                    ]))
        case .vllmMLX: return .answer(status: 400, body: detail(message))
        default:
            return .answer(
                status: 400,
                body: openAI(message, type: "invalid_request_error", param: "messages", code: "context_length_exceeded")
            )
        }
    }

    /// What every request gets once the thread that computes has died.
    package static let threadDied = flat("generation thread died")

    /// The queue is at its bound.
    package static func full(_ flavor: Flavor) -> [UInt8] {
        switch flavor {
        case .mlxLM: flat("queue is full")
        case .llamaCpp: llama(503, "queue is full", type: "unavailable_error")
        case .ollama: openAI("server busy, please try again.  maximum pending requests exceeded", type: "api_error")
        case .vllmMLX, .exo: failure(flavor, 503, "queue is full", code: "overloaded")
        case .openAI, .lmStudio, .oMLX:
            openAI("The server is overloaded, try again later", type: "server_error", code: "overloaded")
        }
    }

    /// omlx's guard, in its words; the others say the same in their shape.
    static func memory(_ flavor: Flavor, _ limit: Double) -> [UInt8] {
        let message = "projected memory would exceed the limit of \(Int(limit)) GB"
        return failure(flavor, 507, message, code: "insufficient_memory")
    }

    package static func wrongKey(_ flavor: Flavor) -> [UInt8] {
        switch flavor {
        case .llamaCpp: llama(401, "Invalid API Key", type: "authentication_error")
        case .vllmMLX: detail("Invalid API key")
        default: openAI("Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key")
        }
    }
}
