/// Requests of Anthropic's and of the Responses interface, rewritten as chats: what is answered is the same, the form is not.
enum ChatTranslation {
    static func chat(_ request: JSONValue, from route: Ask.Route, by flavor: Flavor) throws(Refusal) -> JSONValue {
        switch route {
        case .messages: messages(request)
        case .responses: try responses(request, by: flavor)
        default: request
        }
    }

    private static let renamed = ["max_output_tokens": "max_tokens", "stop_sequences": "stop"]

    /// Members that mean the same under both names stay; the rest is put where a chat has it.
    private static func chat(_ request: JSONValue, _ messages: JSONValue, _ tool: (JSONValue) -> JSONValue) -> JSONValue
    {
        var members: [JSONValue.Member] = [.init(name: "messages", value: messages)]
        for member in request.members ?? [] {
            switch member.name {
            case "messages", "system", "input", "instructions": continue
            case "tools":
                let tools = member.value.items?.map { JSONValue.members(["type": "function", "function": tool($0)]) }
                members.append(.init(name: "tools", value: tools.map { .array($0) } ?? member.value))
            case "tool_choice" where member.value["type"] != nil:
                let choice: JSONValue =
                    switch member.value["type"]?.text {
                    case "tool", "function":
                        .members(["function": .members(["name": member.value["name"] ?? .null])])
                    case "none": "none"
                    default: "required"
                    }
                members.append(.init(name: "tool_choice", value: choice))
            default: members.append(.init(name: renamed[member.name] ?? member.name, value: member.value))
            }
        }
        return .object(members)
    }

    private static func messages(_ request: JSONValue) -> JSONValue {
        var messages: [JSONValue] = []
        if let system = request["system"] { messages.append(.members(["role": "system", "content": system])) }
        for message in request["messages"]?.items ?? [] { messages.append(fromBlocks(message)) }
        return chat(request, request["messages"]?.items == nil ? .null : .array(messages)) { tool in
            .members(["name": tool["name"] ?? .null, "parameters": tool["input_schema"] ?? .members([:])])
        }
    }

    /// A tool's result is a message of its own in a chat.
    private static func fromBlocks(_ message: JSONValue) -> JSONValue {
        guard let result = message["content"]?.items?.first(where: { $0["type"] == "tool_result" }) else {
            return message
        }
        return .members(["role": "tool", "content": result["content"] ?? ""])
    }

    private static func responses(_ request: JSONValue, by flavor: Flavor) throws(Refusal) -> JSONValue {
        var messages: [JSONValue] = []
        if let instructions = request["instructions"]?.text {
            messages.append(.members(["role": "system", "content": .string(instructions)]))
        }
        if let text = request["input"]?.text {
            messages.append(.members(["role": "user", "content": .string(text)]))
        } else if let items = request["input"]?.items {
            for item in items {
                messages.append(
                    item["type"] == "function_call_output"
                        ? .members(["role": "tool", "content": item["output"] ?? ""]) : item)
            }
        } else {
            throw flavor == .vllmMLX
                ? ErrorText.unprocessable(
                    "input", "string_type", "Input should be a valid string", request["input"] ?? .null)
                : ErrorText.invalid(flavor, "input", "'input' must be a string or array of objects")
        }
        return chat(request, .array(messages)) { tool in
            .members(["name": tool["name"] ?? .null, "parameters": tool["parameters"] ?? .members([:])])
        }
    }
}
