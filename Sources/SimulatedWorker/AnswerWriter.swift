/// An answer in bytes, as its kind of server writes it: events of a stream, or one plain body.
///
/// One writer per exchange. It knows no framing: chunks, lengths and connections are the wire's.
package struct AnswerWriter: Sendable {
    let flavor: Flavor
    /// What the server calls its own version.
    let version: String
    let ask: Ask
    package var route: Ask.Route { ask.route }
    let id: String
    let number: Int
    let created: Int
    /// The model's name in the answer; a fault may have changed it.
    let model: String
    var tellers: [ChoiceTeller]
    var opened: [Bool]
    private var ended: [Bool]
    private var isBegun = false
    private let object: String
    var eventNumber = 0
    /// Told at the end, and before the first token where the beginning of an answer says so.
    package var cachedTokens = 0
    /// The constant beginning of every event, up to its choices.
    let prefix: [UInt8]

    package init(flavor: Flavor, ask: Ask, number: Int, created: Int, wrongModel: Bool = false, version: String? = nil)
    {
        self.flavor = flavor
        self.version = version ?? flavor.version
        self.ask = ask
        self.created = created
        // llama.cpp calls texts by the name of chats, too.
        id = (ask.route != .text || flavor == .llamaCpp ? "chatcmpl-" : "cmpl-") + "sim" + String(number)
        self.number = number
        model = wrongModel ? "another-model" : ask.modelEcho
        tellers = ask.plan.choices.map(ChoiceTeller.init)
        opened = Array(repeating: false, count: tellers.count)
        ended = opened
        let object =
            ask.route == .text
            ? "text_completion" : ask.stream && !flavor.misnamesEvents ? "chat.completion.chunk" : "chat.completion"
        self.object = object
        prefix = Self.prefix(flavor, self.version, id, object, model, created)
    }

    static func prefix(
        _ flavor: Flavor, _ version: String, _ id: String, _ object: String, _ model: String, _ created: Int
    ) -> [UInt8] {
        var text = JSONText()
        text.raw("{\"id\":")
        text.string(id)
        if flavor == .mlxLM {
            text.raw(",\"system_fingerprint\":")
            text.string(version + "-0.32.4-sim-applegpu")
        }
        text.raw(",\"object\":")
        text.string(object)
        text.raw(",\"created\":")
        text.number(created)
        text.raw(",\"model\":")
        text.string(model)
        switch flavor {
        case .llamaCpp:
            text.raw(",\"system_fingerprint\":")
            text.string(version)
        case .ollama: text.raw(",\"system_fingerprint\":\"fp_ollama\"")
        case .lmStudio:
            text.raw(",\"system_fingerprint\":")
            text.string(model)
        default: break
        }
        return text.bytes
    }

    // Streams

    /// What stands before all tokens: llama.cpp's null for several prompts, what was in its cache if that was asked for, and
    /// a role of its own.
    package mutating func begin(into text: inout JSONText) {
        guard ask.stream, !isBegun else { return }
        isBegun = true
        if ask.wantsProgress {
            progressEvent(0, done: min(cachedTokens, ask.plan.promptTokens), of: ask.plan.promptTokens, &text)
        } else if flavor == .llamaCpp, ask.severalPrompts {
            text.raw("data: null\n\n")
        }
        if flavor == .exo { comment(into: &text) }
        if ask.route.isForeign { return foreignBegin(into: &text) }
        guard flavor.opensAtOnce, ask.route == .chat else { return }
        for choice in tellers.indices { open(choice, &text) }
    }

    /// How far the prompt has been computed.
    package func progress(done: Int, of total: Int, into text: inout JSONText) {
        switch flavor {
        case .exo:
            text.raw(": prefill_progress {\"PrefillProgressChunk\":{\"model\":")
            text.string(model)
            text.raw(",\"processed_tokens\":")
            text.number(done)
            text.raw(",\"total_tokens\":")
            text.number(total)
            text.raw("}}\n\n")
        case .llamaCpp: progressEvent(0, done: done, of: total, &text)
        default:
            text.raw(": keepalive ")
            text.number(done)
            text.raw("/")
            text.number(total)
            text.raw("\n\n")
        }
    }

    /// llama.cpp's: an event with a role, or with no text, that tells how far the prompt is. Here several prompts are computed as
    /// one, and the first choice speaks for all; how long it took is not told.
    private func progressEvent(_ choice: Int, done: Int, of total: Int, _ text: inout JSONText) {
        text.raw("data: ")
        text.raw(prefix)
        text.raw(",\"choices\":[{\"index\":")
        text.number(choice)
        text.raw(
            ask.route == .chat
                ? ",\"delta\":{\"role\":\"assistant\",\"content\":null}" : ",\"text\":\"\",\"logprobs\":null")
        text.raw(",\"finish_reason\":null}],\"prompt_progress\":{\"total\":")
        text.number(total)
        text.raw(",\"cache\":")
        text.number(min(cachedTokens, total))
        text.raw(",\"processed\":")
        text.number(done)
        text.raw(",\"time_ms\":0}}\n\n")
    }

    /// Something that is no event, so that nobody takes the silence for death.
    package func comment(into text: inout JSONText) {
        switch flavor {
        case .vllmMLX: text.raw(": heartbeat\n\n")
        case .exo: text.raw(": keep-alive\n\n")
        default: text.raw(":\n\n")
        }
    }

    /// `count` further tokens of every choice.
    package mutating func tokens(_ count: Int, into text: inout JSONText) {
        guard ask.stream else { return }
        if ask.route.isForeign { return foreignTokens(count, into: &text) }
        for _ in 0..<count {
            for choice in tellers.indices { token(choice, &text) }
        }
    }

    /// The finish reasons, the usage if it was asked for, and the end mark.
    package mutating func finish(cachedTokens: Int, into text: inout JSONText) {
        if ask.route.isForeign { return foreignFinish(cachedTokens, into: &text) }
        self.cachedTokens = cachedTokens
        for choice in tellers.indices where !ended[choice] { end(choice, &text) }
        let isTold = flavor == .exo || (ask.route == .text && (flavor == .llamaCpp || flavor == .vllmMLX))
        if ask.includeUsage, !isTold {
            // llama.cpp counts each choice in a chunk of its own.
            let perChoice = flavor == .llamaCpp && tellers.count > 1
            for choice in perChoice ? Array(tellers.indices) : [-1] {
                usageEvent(
                    completion: perChoice ? tellers[choice].plan.tokens : ask.plan.completionTokens, cachedTokens, &text
                )
            }
        }
        if flavor == .exo {
            text.raw(": generation_stats {\"prompt_tokens\":")
            text.number(ask.plan.promptTokens)
            text.raw(",\"generation_tokens\":")
            text.number(ask.plan.completionTokens)
            text.raw("}\n\n")
        }
        if !ask.losesDone { text.raw("data: [DONE]\n\n") }
    }

    /// An error in the middle of a stream.
    package func errorEvent(into text: inout JSONText) {
        text.raw("data: ")
        text.raw(
            flavor == .vllmMLX
                ? ErrorText.openAI("generation failed by script", type: "server_error", code: "scripted")
                : ErrorText.failure(flavor, 500, "generation failed by script", code: "scripted"))
        text.raw("\n\n")
        if flavor == .exo || flavor == .vllmMLX { text.raw("data: [DONE]\n\n") }
    }

    private mutating func token(_ choice: Int, _ text: inout JSONText) {
        guard let token = tellers[choice].next() else {
            if !ended[choice] { end(choice, &text) }
            return
        }
        if case .toolCall = tellers[choice].plan.content, flavor.sendsCallsWhole { return }
        if !opened[choice], choice > 0, ask.wantsProgress {
            // It was computed with the first one's.
            progressEvent(choice, done: ask.plan.promptTokens, of: ask.plan.promptTokens, &text)
        }
        if !opened[choice], opensLate { open(choice, &text) }
        let isLast = flavor.finishesWithText && tellers[choice].isAtEnd
        let finish = isLast ? tellers[choice].plan.finish : nil
        event(choice, finish: finish, said: token, &text) { writer, text in writer.delta(choice, token, &text) }
        opened[choice] = true
        ended[choice] = isLast
    }

    /// The role stands before the first token, and the call's name before its arguments.
    private var opensLate: Bool {
        ask.route == .chat && !flavor.opensAtOnce && !flavor.sendsCallsWhole
    }

    private mutating func open(_ choice: Int, _ text: inout JSONText) {
        opened[choice] = true
        let flavor = flavor
        if flavor.opensWithRole {
            event(choice, finish: nil, &text) { _, text in
                text.raw("\"role\":\"assistant\"")
                if flavor == .llamaCpp { text.raw(",\"content\":null") }
                if flavor != .llamaCpp, flavor != .vllmMLX { text.raw(",\"content\":\"\"") }
            }
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
        if !opened[choice], opensLate { open(choice, &text) }
        // Nothing was written while the call was made: it comes whole, in an event of its own.
        if case .toolCall(let name, let arguments) = plan.content, flavor.sendsCallsWhole {
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
            if !writer.flavor.opensWithRole, writer.ask.route == .chat { text.raw("\"role\":\"assistant\"") }
        }
    }

    private mutating func event(
        _ choice: Int, finish: FinishReason?, said: ChoiceTeller.Token? = nil, _ text: inout JSONText,
        _ delta: (AnswerWriter, inout JSONText) -> Void
    ) {
        text.raw("data: ")
        eventNumber += 1
        // vllm_mlx gives each event of a text an id of its own.
        text.raw(
            flavor == .vllmMLX && ask.route == .text
                ? Self.prefix(flavor, version, "\(id)-\(eventNumber)", object, model, created) : prefix)
        text.raw(",\"choices\":[{\"index\":")
        text.number(choice)
        if ask.route == .chat {
            text.raw(",\"delta\":{")
            delta(self, &text)
            text.raw("}")
        } else {
            text.raw(",\"text\":")
            let before = text.bytes.count
            delta(self, &text)
            if text.bytes.count == before { text.raw("\"\"") }
        }
        if case .said(let token) = said, ask.logprobs != nil {
            logprobs([token], from: (tellers[choice].told - 1) * TokenText.bytesPerToken, into: &text)
        } else {
            noLogprobs(into: &text)
        }
        text.raw(",\"finish_reason\":")
        if let finish { text.string(finish.rawValue) } else { text.raw("null") }
        text.raw("}]")
        // The last chunk of exo and vllm_mlx tells the usage, and so does each choice's of llama.cpp's texts.
        let isTold =
            flavor == .exo || flavor == .vllmMLX || (flavor == .llamaCpp && ask.route == .text)
        if finish != nil, isTold {
            text.raw(",")
            usage(completion: tellers[choice].plan.tokens, cachedTokens, &text)
        } else if flavor == .exo || (flavor == .vllmMLX && ask.route == .chat) {
            text.raw(",\"usage\":null")
        }
        if flavor == .exo { text.raw(",\"service_tier\":null") }
        // A chat whose usage has an event of its own has the timings there.
        if finish != nil, flavor == .llamaCpp, ask.route == .text || !ask.includeUsage {
            timings(tellers[choice].plan.tokens, cachedTokens, &text)
        }
        if flavor == .vllmMLX, ask.route == .chat { text.raw(",\"generation_metadata\":null") }
        text.raw("}\n\n")
    }

    private func delta(_ choice: Int, _ token: ChoiceTeller.Token, _ text: inout JSONText) {
        guard ask.route == .chat else {
            switch token {
            case .said(let bytes), .thought(let bytes): text.string(bytes)
            }
            return
        }
        if !flavor.opensWithRole { text.raw("\"role\":\"assistant\",") }
        switch token {
        case .thought(let bytes):
            text.raw(flavor.thoughts)
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

    func callID(_ choice: Int) -> String { "call_sim\(number)_\(choice)" }
}
