/// Answers in the form of Anthropic's messages, as llama.cpp and vllm_mlx write them. Thoughts are left out.
extension AnswerWriter {
    func messagesPlain(cachedTokens: Int) -> [UInt8] {
        let plan = ask.plan.choices[0]
        let content: JSONValue
        if case .toolCall(let name, _) = plan.content {
            let input = (try? JSONValue(plan.text)) ?? .members([:])
            content = .members(["type": "tool_use", "id": .string(callID(0)), "name": .string(name), "input": input])
        } else {
            content = .members(["type": "text", "text": .string(String(decoding: plan.text, as: UTF8.self))])
        }
        let reason: JSONValue = .string(stopReason(plan.finish, stream: false))
        return JSONValue.object(
            messageMembers([content], reason) + [
                .init(name: "usage", value: messagesUsage(plan.tokens, cachedTokens))
            ]
        ).bytes
    }

    func messagesBegin(into text: inout JSONText) {
        var members = messageMembers([], .null)
        if flavor == .vllmMLX { members.append(.init(name: "stop_sequence", value: .null)) }
        members.append(.init(name: "usage", value: messagesUsage(0, cachedTokens)))
        named("message_start", ["message": .object(members)], into: &text)
        let block: JSONValue
        if case .toolCall(let name, _) = ask.plan.choices[0].content {
            block = .members([
                "type": "tool_use", "id": .string(callID(0)), "name": .string(name), "input": .members([:]),
            ])
        } else {
            block = .members(["type": "text", "text": ""])
        }
        named("content_block_start", ["index": .integer(0), "content_block": block], into: &text)
    }

    func messagesToken(_ said: [UInt8], into text: inout JSONText) {
        let piece = JSONValue.string(String(decoding: said, as: UTF8.self))
        let delta: JSONValue
        if case .toolCall = ask.plan.choices[0].content {
            delta = .members(["type": "input_json_delta", "partial_json": piece])
        } else {
            delta = .members(["type": "text_delta", "text": piece])
        }
        named("content_block_delta", ["index": .integer(0), "delta": delta], into: &text)
    }

    func messagesFinish(into text: inout JSONText) {
        let plan = ask.plan.choices[0]
        named("content_block_stop", ["index": .integer(0)], into: &text)
        let reason = stopReason(plan.finish, stream: true)
        named(
            "message_delta",
            [
                "delta": .members(["stop_reason": .string(reason), "stop_sequence": .null]),
                "usage": .members(["output_tokens": .integer(plan.tokens)]),
            ], into: &text)
        named("message_stop", [:], into: &text)
    }

    private func messageMembers(_ content: [JSONValue], _ reason: JSONValue) -> [JSONValue.Member] {
        let id = flavor == .llamaCpp ? id : "msg_sim\(number)"
        var members: [JSONValue.Member] = [
            .init(name: "id", value: .string(id)), .init(name: "type", value: "message"),
            .init(name: "role", value: "assistant"),
            .init(name: "model", value: .string(model)), .init(name: "content", value: .array(content)),
            .init(name: "stop_reason", value: reason),
        ]
        if flavor == .llamaCpp { members.append(.init(name: "stop_sequence", value: .null)) }
        return members
    }

    /// vllm_mlx begins a stream with zeros, and never tells what was cached.
    private func messagesUsage(_ output: Int, _ cached: Int) -> JSONValue {
        guard flavor == .llamaCpp else {
            let input = output == 0 ? 0 : ask.plan.promptTokens
            return .members(["input_tokens": .integer(input), "output_tokens": .integer(output)])
        }
        return .members([
            "cache_read_input_tokens": .integer(cached), "input_tokens": .integer(ask.plan.promptTokens - cached),
            "output_tokens": .integer(output),
        ])
    }

    /// A stream of vllm_mlx that ran into its ceiling says that its turn has ended.
    private func stopReason(_ finish: FinishReason, stream: Bool) -> String {
        switch finish {
        case .length: flavor == .vllmMLX && stream ? "end_turn" : "max_tokens"
        case .stop: "end_turn"
        case .toolCalls: "tool_use"
        }
    }

    /// An event with a name, and its type once more inside.
    func named(_ type: String, _ members: KeyValuePairs<String, JSONValue>, into text: inout JSONText) {
        text.raw("event: ")
        text.raw(type.utf8)
        text.raw("\ndata: ")
        text.value(
            .object(
                [.init(name: "type", value: .string(type))]
                    + members.map { JSONValue.Member(name: $0.key, value: $0.value) }))
        text.raw("\n\n")
    }
}
