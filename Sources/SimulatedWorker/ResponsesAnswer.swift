/// Answers in the form of OpenAI's Responses, as llama.cpp and vllm_mlx write them: the one tersely, the other numbering its
/// events and repeating the request. Thoughts are left out.
extension AnswerWriter {
    func responsesPlain(cachedTokens: Int) -> [UInt8] { response(isDone: true, cachedTokens).bytes }

    mutating func responsesBegin(into text: inout JSONText) {
        for type in ["response.created", "response.in_progress"] {
            numbered(type, ["response": response(isDone: false, 0)], into: &text)
        }
        let item = self.item(isDone: false)
        numbered("response.output_item.added", place(["item": item], inner: false), into: &text)
        if !isCall {
            numbered(
                "response.content_part.added",
                place(["part": flavor == .llamaCpp ? .members(["type": "output_text", "text": ""]) : part("")]),
                into: &text)
        }
    }

    mutating func responsesToken(_ said: [UInt8], into text: inout JSONText) {
        let type = isCall ? "response.function_call_arguments.delta" : "response.output_text.delta"
        let delta = place(["delta": .string(String(decoding: said, as: UTF8.self))])
        numbered(type, delta + noLogprobs, into: &text)
    }

    mutating func responsesFinish(cachedTokens: Int, into text: inout JSONText) {
        let said = self.said
        if isCall {
            numbered("response.function_call_arguments.done", place(["arguments": .string(said)]), into: &text)
        } else {
            numbered("response.output_text.done", place(["text": .string(said)]) + noLogprobs, into: &text)
            numbered("response.content_part.done", place(["part": part(said)]), into: &text)
        }
        numbered("response.output_item.done", place(["item": item(isDone: true)], inner: false), into: &text)
        var end: [JSONValue.Member] = [.init(name: "response", value: response(isDone: true, cachedTokens))]
        if flavor == .llamaCpp {
            end.append(.init(name: "timings", value: timings(ask.plan.completionTokens, cachedTokens)))
        }
        numbered("response.completed", end, into: &text)
    }

    private var said: String { String(decoding: ask.plan.choices[0].text, as: UTF8.self) }
    private var isCall: Bool { if case .toolCall = ask.plan.choices[0].content { true } else { false } }
    private var itemID: String { isCall ? "fc_sim\(number)" : "msg_sim\(number)" }

    private func part(_ text: String) -> JSONValue {
        .members(["type": "output_text", "text": .string(text), "annotations": .array([]), "logprobs": .array([])])
    }

    private var noLogprobs: [JSONValue.Member] {
        flavor == .vllmMLX && !isCall ? [.init(name: "logprobs", value: .array([]))] : []
    }

    private func item(isDone: Bool) -> JSONValue {
        let status = JSONValue.string(isDone ? "completed" : "in_progress")
        if case .toolCall(let name, _) = ask.plan.choices[0].content {
            return .members([
                "id": .string(itemID), "type": "function_call", "call_id": .string(callID(0)), "name": .string(name),
                "arguments": .string(isDone ? said : ""), "status": status,
            ])
        }
        return .members([
            "id": .string(itemID), "type": "message", "role": "assistant",
            "content": .array(isDone ? [part(said)] : []), "status": status,
        ])
    }

    /// Where an event belongs: vllm_mlx counts, llama.cpp names the item alone.
    private func place(_ members: KeyValuePairs<String, JSONValue>, inner: Bool = true) -> [JSONValue.Member] {
        var all: [JSONValue.Member] = inner ? [.init(name: "item_id", value: .string(itemID))] : []
        if flavor == .vllmMLX {
            all.append(.init(name: "output_index", value: .integer(0)))
            if inner, !isCall { all.append(.init(name: "content_index", value: .integer(0))) }
        }
        return all + members.map { .init(name: $0.key, value: $0.value) }
    }

    private func response(isDone: Bool, _ cachedTokens: Int) -> JSONValue {
        let plan = ask.plan.choices[0]
        // Only vllm_mlx says that a ceiling made an answer incomplete.
        let isCut = isDone && plan.finish == .length && flavor == .vllmMLX
        let status: JSONValue = isCut ? "incomplete" : isDone ? "completed" : "in_progress"
        var members: [JSONValue.Member] = [
            .init(name: "id", value: .string("resp_sim\(number)")), .init(name: "object", value: "response"),
            .init(name: "status", value: status),
        ]
        func add(_ more: KeyValuePairs<String, JSONValue>) {
            members += more.map { .init(name: $0.key, value: $0.value) }
        }
        if flavor == .vllmMLX {
            add([
                "error": .null, "incomplete_details": isCut ? .members(["reason": "max_output_tokens"]) : .null,
                "instructions": .null, "metadata": .members([:]), "parallel_tool_calls": .bool(true),
                "tool_choice": "auto", "tools": .array([]), "background": .bool(false),
                "max_output_tokens": .integer(ask.plan.tokens), "max_tool_calls": .null, "previous_response_id": .null,
                "text": .members(["format": .members(["type": "text"])]), "top_p": .real(0.9),
                "temperature": .real(ask.temperature), "truncation": "disabled", "user": .null, "store": .bool(true),
                "output_text": .string(isDone && !isCall ? said : ""),
            ])
        }
        guard isDone || flavor == .vllmMLX else { return .object(members) }
        var usage: [JSONValue.Member] = [
            .init(name: "input_tokens", value: .integer(ask.plan.promptTokens)),
            .init(name: "output_tokens", value: .integer(plan.tokens)),
            .init(name: "total_tokens", value: .integer(ask.plan.promptTokens + plan.tokens)),
            .init(
                name: "input_tokens_details",
                value: .members(["cached_tokens": .integer(flavor.reportsCachedTokens ? cachedTokens : 0)])),
        ]
        if flavor == .vllmMLX {
            let details = JSONValue.members(["reasoning_tokens": .integer(0)])
            usage.append(.init(name: "output_tokens_details", value: details))
        } else if !ask.stream {
            add(["completed_at": .integer(created)])
        }
        add([
            "created_at": .integer(created), "model": .string(model),
            "output": .array(isDone ? [item(isDone: true)] : []), "usage": isDone ? .object(usage) : .null,
        ])
        return .object(members)
    }

    private mutating func numbered(
        _ type: String, _ members: KeyValuePairs<String, JSONValue>, into text: inout JSONText
    ) {
        numbered(type, members.map { JSONValue.Member(name: $0.key, value: $0.value) }, into: &text)
    }

    private mutating func numbered(_ type: String, _ members: [JSONValue.Member], into text: inout JSONText) {
        eventNumber += 1
        var all: [JSONValue.Member] = [.init(name: "type", value: .string(type))]
        if flavor == .vllmMLX { all.insert(.init(name: "sequence_number", value: .integer(eventNumber)), at: 0) }
        text.raw("event: ")
        text.raw(type.utf8)
        text.raw("\ndata: ")
        text.value(.object(all + members))
        text.raw("\n\n")
    }
}
