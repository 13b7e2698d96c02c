/// From messages, texts or token numbers to prompts.
struct PromptReader {
    let flavor: Flavor
    /// Several prompts in one request.
    static let promptsMax = 2_048

    func chat(_ request: JSONValue) throws(Refusal) -> Prompt {
        guard let messages = request["messages"] else {
            throw ErrorText.invalid(
                flavor, "messages", flavor == .mlxLM ? "Request did not contain messages" : "'messages' is required")
        }
        guard let items = messages.items else {
            throw ErrorText.invalid(flavor, "messages", "Expected 'messages' to be an array")
        }
        if items.isEmpty {
            switch flavor {
            case .mlxLM:
                let message = "Cannot apply chat template to an empty conversation. Provide at least one message."
                throw .answer(status: 404, body: ErrorText.flat(message))
            // exo answers an empty message.
            case .llamaCpp, .vllmMLX, .exo: break
            case .openAI, .ollama, .lmStudio, .oMLX:
                throw ErrorText.invalid(flavor, "messages", "messages must not be empty")
            }
        }
        var prompt = Prompt()
        if let tools = request["tools"]?.items, !tools.isEmpty {
            prompt.add(role: "tools", text: String(decoding: JSONValue.array(tools).bytes, as: UTF8.self))
        }
        for message in items {
            guard case .object = message else {
                throw ErrorText.invalid(flavor, "messages", "a message must be an object")
            }
            let text = Self.text(of: message)
            let role = message["role"]?.text ?? "user"
            prompt.add(role: role, text: text)
            if role == "user" { prompt.direct(from: text) }
        }
        prompt.add(role: "assistant", text: "")
        return prompt
    }

    /// `prompt` or `input`: a text, several, token numbers, or several lists of them.
    func texts(_ value: JSONValue?, _ name: String) throws(Refusal) -> [Prompt] {
        if let text = value?.text { return [Self.prompt(text)] }
        if flavor.takesOneText, name == "prompt", value != nil {
            throw ErrorText.invalid(flavor, name, "cannot unmarshal into field CompletionRequest.prompt of type string")
        }
        guard let items = value?.items, !items.isEmpty, items.count <= Self.promptsMax || items[0].whole != nil else {
            throw ErrorText.invalid(
                flavor, name, value == nil ? "Request did not contain a \(name)" : "\(name) is of no use")
        }
        if items[0].whole != nil {
            guard flavor != .mlxLM else {
                throw .answer(status: 404, body: ErrorText.flat("'int' object has no attribute 'replace'"))
            }
            guard flavor != .vllmMLX else { throw ErrorText.invalid(flavor, name, "Input should be a valid string") }
            return [try tokens(items, name)]
        }
        var prompts: [Prompt] = []
        for item in items {
            if let text = item.text {
                prompts.append(Self.prompt(text))
            } else if let numbers = item.items {
                prompts.append(try tokens(numbers, name))
            } else {
                throw ErrorText.invalid(flavor, name, "\(name) mixes what cannot be mixed")
            }
        }
        return prompts
    }

    private func tokens(_ items: [JSONValue], _ name: String) throws(Refusal) -> Prompt {
        var prompt = Prompt()
        for item in items {
            guard let token = item.whole, token >= 0 else {
                throw ErrorText.invalid(flavor, name, "a token is a whole number")
            }
            prompt.add(token: token)
        }
        return prompt
    }

    private static func prompt(_ text: String) -> Prompt {
        var prompt = Prompt()
        prompt.add(text: text)
        prompt.direct(from: text)
        return prompt
    }

    /// Content as a string or in parts; a call that an assistant made counts as what it said.
    private static func text(of message: JSONValue) -> String {
        var text = message["content"]?.text ?? ""
        for part in message["content"]?.items ?? [] { text += part["text"]?.text ?? "" }
        for call in message["tool_calls"]?.items ?? [] { text += call["function"]?["arguments"]?.text ?? "" }
        return text
    }
}
