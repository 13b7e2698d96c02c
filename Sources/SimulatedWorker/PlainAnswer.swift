/// The bodies of plain answers, and the usage that both forms share.
extension AnswerWriter {
    func usageEvent(completion: Int, _ cachedTokens: Int, _ text: inout JSONText) {
        text.raw("data: ")
        // mlx_lm calls this chunk by the name of a plain answer.
        text.raw(flavor == .mlxLM ? Self.prefix(flavor, version, id, "chat.completion", model, created) : prefix)
        text.raw(",\"choices\":[],")
        usage(completion: completion, cachedTokens, &text)
        if flavor == .vllmMLX, ask.route == .chat { text.raw(",\"generation_metadata\":null") }
        if flavor == .llamaCpp { timings(completion, cachedTokens, &text) }
        text.raw("}\n\n")
    }

    func usage(completion: Int, _ cachedTokens: Int, _ text: inout JSONText) {
        text.raw("\"usage\":{\"prompt_tokens\":")
        text.number(ask.plan.promptTokens)
        text.raw(",\"completion_tokens\":")
        text.number(completion)
        text.raw(",\"total_tokens\":")
        text.number(ask.plan.promptTokens + completion)
        if flavor.reportsCachedTokens {
            text.raw(",\"prompt_tokens_details\":{\"cached_tokens\":")
            text.number(cachedTokens)
            text.raw("}")
        }
        text.raw("}")
    }

    /// The whole plain answer.
    package func plain(cachedTokens: Int) -> [UInt8] {
        var text = JSONText()
        if ask.route == .load { return loadAnswer() }
        if ask.route.isForeign { return foreignPlain(cachedTokens) }
        if let embeddings = ask.embeddings {
            vectors(embeddings, &text)
            return text.bytes
        }
        text.raw(prefix)
        text.raw(",\"choices\":[")
        for (choice, teller) in tellers.enumerated() {
            if choice > 0 { text.raw(",") }
            plain(choice, teller.plan, &text)
        }
        text.raw("],")
        // llama.cpp counts only one of several choices.
        let completion = flavor == .llamaCpp ? tellers.last?.plan.tokens ?? 0 : ask.plan.completionTokens
        usage(completion: completion, cachedTokens, &text)
        if flavor == .exo { text.raw(",\"service_tier\":null") }
        if flavor == .lmStudio { text.raw(",\"stats\":{}") }
        if flavor == .vllmMLX, ask.route == .chat { text.raw(",\"generation_metadata\":null") }
        if flavor == .llamaCpp { timings(completion, cachedTokens, &text) }
        text.raw("}")
        return text.bytes
    }

    /// What llama.cpp tells of its speed; how long anything took is left out.
    func timings(_ completion: Int, _ cachedTokens: Int, _ text: inout JSONText) {
        text.raw(",\"timings\":")
        text.value(timings(completion, cachedTokens))
    }

    func timings(_ completion: Int, _ cachedTokens: Int) -> JSONValue {
        .members([
            "cache_n": .integer(cachedTokens), "prompt_n": .integer(ask.plan.promptTokens - cachedTokens),
            "predicted_n": .integer(completion),
        ])
    }

    /// What an order to load is answered with once the model is there.
    private func loadAnswer() -> [UInt8] {
        flavor == .ollama
            ? JSONValue.members([
                "model": .string(model), "created_at": "2026-01-01T00:00:00Z", "response": "", "done": .bool(true),
                "done_reason": ask.keepAlive == .duration(.zero) ? "unload" : "load",
            ]).bytes
            : JSONValue.members(["type": "llm", "instance_id": .string(model), "status": "loaded"]).bytes
    }

    private func plain(_ choice: Int, _ plan: ChoicePlan, _ text: inout JSONText) {
        text.raw("{\"index\":")
        text.number(choice)
        if ask.route == .chat {
            text.raw(",\"message\":{\"role\":\"assistant\",\"content\":")
            if case .toolCall(let name, _) = plan.content {
                text.raw("null,\"tool_calls\":[{\"id\":")
                text.string(callID(choice))
                text.raw(",\"type\":\"function\",\"function\":{\"name\":")
                text.string(name)
                text.raw(",\"arguments\":")
                text.string(plan.text)
                text.raw("}}]")
            } else {
                let said = plan.text
                if flavor == .mlxLM, said.isEmpty { text.raw("null") } else { text.string(said) }
                if plan.thinking > 0 {
                    text.raw(",")
                    text.raw(flavor.thoughts)
                    text.string(plan.thoughts)
                }
            }
            text.raw("}")
        } else {
            text.raw(",\"text\":")
            text.string(plan.text)
        }
        let tokens = ask.logprobs == nil ? [] : plan.saidTokens
        logprobs(tokens, from: 0, into: &text)
        if tokens.isEmpty { noLogprobs(into: &text) }
        text.raw(",\"finish_reason\":")
        text.string(plan.finish.rawValue)
        text.raw("}")
    }

    private func vectors(_ embeddings: EmbeddingAsk, _ text: inout JSONText) {
        text.raw("{\"object\":\"list\",\"data\":[")
        for (index, input) in embeddings.inputs.enumerated() {
            if index > 0 { text.raw(",") }
            text.raw("{\"object\":\"embedding\",\"index\":")
            text.number(index)
            text.raw(",\"embedding\":")
            let vector = Self.vector(input, embeddings.dimensions)
            if embeddings.base64 {
                text.string(
                    Base64.encode(vector.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }))
            } else {
                text.raw("[")
                for (position, number) in vector.enumerated() {
                    if position > 0 { text.raw(",") }
                    text.raw("\(number)".utf8)
                }
                text.raw("]")
            }
            text.raw("}")
        }
        text.raw("],\"model\":")
        text.string(model)
        text.raw(",\"usage\":{\"prompt_tokens\":")
        text.number(ask.plan.promptTokens)
        text.raw(",\"total_tokens\":")
        text.number(ask.plan.promptTokens)
        text.raw("}}")
    }

    /// A vector of length one that only the text decides.
    static func vector(_ input: TokenText, _ dimensions: Int) -> [Float] {
        var words = input
        var vector: [Float] = []
        for _ in 0..<dimensions {
            vector.append(Float(Int64(bitPattern: words.fingerprint) >> 40) / 8_388_608)
            _ = words.next()
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? vector.map { $0 / length } : vector
    }
}

enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for begin in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - begin)
            var word: UInt32 = 0
            for position in 0..<3 { word = word << 8 | (position < count ? UInt32(bytes[begin + position]) : 0) }
            for position in 0..<4 {
                let sextet = Int(word >> UInt32(18 - 6 * position)) & 63
                text.append(position <= count ? alphabet[sextet] : UInt8(ascii: "="))
            }
        }
        return text
    }
}
