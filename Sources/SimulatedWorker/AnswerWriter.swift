/// An answer in bytes, as its kind of server writes it: events of a stream, or one plain body.
///
/// One writer per exchange. It knows no framing: chunks, lengths and connections are the wire's.
package struct AnswerWriter: Sendable {
    let flavor: Flavor
    let ask: Ask
    let id: String
    let created: Int
    /// The model's name in the answer; a fault may have changed it.
    let model: String
    var tellers: [ChoiceTeller]
    var opened: [Bool]
    private var ended: [Bool]
    private var isBegun = false
    /// The constant beginning of every event, up to its choices.
    let prefix: [UInt8]

    package init(flavor: Flavor, ask: Ask, number: Int, created: Int, wrongModel: Bool = false) {
        self.flavor = flavor
        self.ask = ask
        self.created = created
        id = (ask.route == .chat ? "chatcmpl-" : "cmpl-") + "sim" + String(number)
        model = wrongModel ? "another-model" : ask.modelEcho
        tellers = ask.plan.choices.map(ChoiceTeller.init)
        opened = Array(repeating: false, count: tellers.count)
        ended = opened
        let object = ask.route == .text ? "text_completion" : ask.stream ? "chat.completion.chunk" : "chat.completion"
        prefix = Self.prefix(flavor, id, object, model, created)
    }

    static func prefix(_ flavor: Flavor, _ id: String, _ object: String, _ model: String, _ created: Int) -> [UInt8] {
        var text = JSONText()
        text.raw("{\"id\":")
        text.string(id)
        if flavor == .mlxLM { text.raw(",\"system_fingerprint\":\"0.32.2-sim-applegpu\"") }
        text.raw(",\"object\":")
        text.string(object)
        text.raw(",\"created\":")
        text.number(created)
        text.raw(",\"model\":")
        text.string(model)
        if flavor == .llamaCpp { text.raw(",\"system_fingerprint\":\"b6000-sim\"") }
        return text.bytes
    }

    // Streams

    /// What stands before all tokens: llama.cpp's null for several prompts, and a role of its own.
    package mutating func begin(into text: inout JSONText) {
        guard ask.stream, !isBegun else { return }
        isBegun = true
        if flavor == .llamaCpp, ask.severalPrompts { text.raw("data: null\n\n") }
        guard flavor == .openAI, ask.route == .chat else { return }
        for choice in tellers.indices { open(choice, &text) }
    }

    package func progress(done: Int, of total: Int, into text: inout JSONText) {
        text.raw(": keepalive ")
        text.number(done)
        text.raw("/")
        text.number(total)
        text.raw("\n\n")
    }

    /// `count` further tokens of every choice.
    package mutating func tokens(_ count: Int, into text: inout JSONText) {
        guard ask.stream else { return }
        for _ in 0..<count {
            for choice in tellers.indices { token(choice, &text) }
        }
    }

    /// The finish reasons, the usage if it was asked for, and the end mark.
    package mutating func finish(cachedTokens: Int, into text: inout JSONText) {
        for choice in tellers.indices where !ended[choice] { end(choice, &text) }
        if ask.includeUsage {
            // llama.cpp counts each choice in a chunk of its own.
            let perChoice = flavor == .llamaCpp && ask.route == .chat && tellers.count > 1
            for choice in perChoice ? Array(tellers.indices) : [-1] {
                usageEvent(
                    completion: perChoice ? tellers[choice].plan.tokens : ask.plan.completionTokens, cachedTokens, &text
                )
            }
        }
        if !ask.losesDone { text.raw("data: [DONE]\n\n") }
    }

    /// An error in the middle of a stream.
    package func errorEvent(into text: inout JSONText) {
        text.raw("data: ")
        text.raw(
            flavor == .mlxLM
                ? ErrorText.flat("generation failed by script")
                : ErrorText.openAI("generation failed by script", type: "server_error", code: "scripted"))
        text.raw("\n\n")
    }

    private mutating func token(_ choice: Int, _ text: inout JSONText) {
        guard let token = tellers[choice].next() else {
            if !ended[choice] { end(choice, &text) }
            return
        }
        if case .toolCall = tellers[choice].plan.content, flavor == .mlxLM { return }
        if !opened[choice], flavor == .llamaCpp, ask.route == .chat { open(choice, &text) }
        event(choice, finish: nil, &text) { writer, text in writer.delta(choice, token, &text) }
        opened[choice] = true
    }

    private mutating func open(_ choice: Int, _ text: inout JSONText) {
        opened[choice] = true
        let flavor = flavor
        event(choice, finish: nil, &text) { _, text in
            text.raw(
                flavor == .llamaCpp
                    ? "\"role\":\"assistant\",\"content\":null" : "\"role\":\"assistant\",\"content\":\"\"")
        }
        if case .toolCall(let name, _) = tellers[choice].plan.content {
            let id = callID(choice)
            event(choice, finish: nil, &text) { _, text in
                text.raw("\"tool_calls\":[{\"index\":0,\"id\":")
                text.string(id)
                text.raw(",\"type\":\"function\",\"function\":{\"name\":")
                text.string(name)
                text.raw(",\"arguments\":\"\"}}]")
            }
        }
    }

    private mutating func end(_ choice: Int, _ text: inout JSONText) {
        ended[choice] = true
        let plan = tellers[choice].plan
        if !opened[choice], flavor == .llamaCpp, ask.route == .chat { open(choice, &text) }
        // mlx_lm writes nothing while a call is made: it comes whole, in an event of its own.
        if case .toolCall(let name, let arguments) = plan.content, flavor == .mlxLM {
            let id = callID(choice)
            event(choice, finish: nil, &text) { _, text in
                text.raw("\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":")
                text.string(name)
                text.raw(",\"arguments\":")
                text.string(arguments)
                text.raw("},\"type\":\"function\",\"id\":")
                text.string(id)
                text.raw(",\"index\":0}]")
            }
        }
        event(choice, finish: plan.finish, &text) { writer, text in
            if writer.flavor == .mlxLM, writer.ask.route == .chat { text.raw("\"role\":\"assistant\"") }
        }
    }

    private func event(
        _ choice: Int, finish: FinishReason?, _ text: inout JSONText, _ delta: (AnswerWriter, inout JSONText) -> Void
    ) {
        text.raw("data: ")
        text.raw(prefix)
        text.raw(",\"choices\":[{\"index\":")
        text.number(choice)
        if ask.route == .chat {
            text.raw(",\"delta\":{")
            delta(self, &text)
            text.raw("}")
        } else {
            text.raw(",\"text\":")
            if finish == nil { delta(self, &text) } else { text.raw("\"\"") }
        }
        text.raw(",\"finish_reason\":")
        if let finish { text.string(finish.rawValue) } else { text.raw("null") }
        text.raw("}]}\n\n")
    }

    private func delta(_ choice: Int, _ token: ChoiceTeller.Token, _ text: inout JSONText) {
        guard ask.route == .chat else {
            switch token {
            case .said(let bytes), .thought(let bytes): text.string(bytes)
            }
            return
        }
        if flavor == .mlxLM { text.raw("\"role\":\"assistant\",") }
        switch token {
        case .thought(let bytes):
            text.raw(flavor == .mlxLM ? "\"reasoning\":" : "\"reasoning_content\":")
            text.string(bytes)
        case .said(let bytes):
            if case .toolCall = tellers[choice].plan.content {
                text.raw("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":")
                text.string(bytes)
                text.raw("}}]")
            } else {
                text.raw("\"content\":")
                text.string(bytes)
            }
        }
    }

    func callID(_ choice: Int) -> String { "call_" + id.dropFirst(ask.route == .chat ? 9 : 4) + "_" + String(choice) }
}
