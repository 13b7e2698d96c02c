/// How servers that were observed say that a member has the wrong type: llama.cpp in its parser's words, vllm_mlx in
/// pydantic's.
extension TypeRule {
    /// llama.cpp looks at the sort of value alone, takes any number, and ignores what it cannot use of an object.
    func llama(_ value: JSONValue) -> Refusal? {
        let wanted: String? =
            switch kind {
            case .flag: value.flag == nil ? "boolean" : nil
            case .whole, .number: value.number == nil ? "number" : nil
            case .object: nil
            }
        return wanted.map { Self.llamaRefusal(name, $0, value) }
    }

    static func llamaRefusal(_ name: String, _ wanted: String, _ value: JSONValue) -> Refusal {
        let problem = "type must be \(wanted), but is \(llamaType(value))"
        return ErrorText.invalid(.llamaCpp, name, "Field '\(name)': [json.exception.type_error.302] \(problem)")
    }

    private static func llamaType(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .integer, .real: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// vllm_mlx knows no ranges, but that there must be room for a token. It has never heard of the newer ceiling.
    func pydantic(_ value: JSONValue) -> Refusal? {
        guard name != "max_completion_tokens" else { return nil }
        let isText = value.text != nil
        func parsing(_ type: String, _ message: String, _ more: String) -> Refusal {
            ErrorText.unprocessable(
                name, isText ? "\(type)_parsing" : "\(type)_type", isText ? "\(message), \(more)" : message, value)
        }
        switch kind {
        case .flag where value.flag == nil:
            return parsing("bool", "Input should be a valid boolean", "unable to interpret input")
        case .number where value.number == nil:
            return parsing("float", "Input should be a valid number", "unable to parse string as a number")
        case .whole where value.number != nil && value.whole == nil:
            let message = "Input should be a valid integer, got a number with a fractional part"
            return ErrorText.unprocessable(name, "int_from_float", message, value)
        case .whole where value.whole == nil:
            return parsing("int", "Input should be a valid integer", "unable to parse string as an integer")
        case .whole(let least) where least > 0 && value.whole! < least:
            let context = JSONValue.members(["gt": .integer(least - 1)])
            return ErrorText.unprocessable(
                name, "greater_than", "Input should be greater than \(least - 1)", value, context)
        case .object where value.members == nil:
            return name == "stream_options"
                ? ErrorText.unprocessable(
                    name, "model_attributes_type",
                    "Input should be a valid dictionary or object to extract fields from", value)
                : ErrorText.unprocessable(name, "dict_type", "Input should be a valid dictionary", value)
        default: return nil
        }
    }
}

extension ErrorText {
    /// One of pydantic's complaints: the input is shown.
    static func unprocessable(
        _ field: String, _ type: String, _ message: String, _ input: JSONValue, _ context: JSONValue? = nil
    ) -> Refusal {
        var members: [JSONValue.Member] = [
            .init(name: "type", value: .string(type)),
            .init(name: "loc", value: .array(["body", .string(field)])),
            .init(name: "msg", value: .string(message)), .init(name: "input", value: input),
        ]
        if let context { members.append(.init(name: "ctx", value: context)) }
        return .answer(status: 422, body: JSONValue.members(["detail": .array([.object(members)])]).bytes)
    }
}
