/// Decides what one choice will say: words, a tool's arguments or a JSON text, and where it ends.
struct ChoiceWriter {
    let reader: AskReader
    let request: JSONValue
    let route: Ask.Route
    let model: String
    let temperature: Double

    func choice(_ number: Int, _ prompt: Prompt) -> ChoicePlan {
        var words = TokenText(model: model)
        words.read(prompt.bytes)
        words.stir(UInt64(number))
        if temperature > 0 {
            words.stir(temperature.bitPattern)
            let seed = reader.flavor.obeysSeed ? reader.given("seed", request)?.whole : nil
            words.stir(UInt64(bitPattern: Int64(seed ?? 0)))
        }
        let ceiling = self.ceiling(prompt)
        if let call = toolCall(prompt, &words, ceiling) { return call }
        if let text = structured(&words) { return fixed(text, ceiling) }
        let thinking = min(prompt.thinkFor, ceiling)
        var plan = ChoicePlan(content: .words(words), tokens: ceiling, thinking: thinking, finish: .length)
        if let stopAfter = prompt.stopAfter, stopAfter >= 0, thinking + stopAfter < ceiling {
            plan = ChoicePlan(content: .words(words), tokens: thinking + stopAfter, thinking: thinking, finish: .stop)
        }
        return stopped(plan)
    }

    /// The tokens that the request, the kind or the context allows.
    private func ceiling(_ prompt: Prompt) -> Int {
        let room = max(1, reader.contextTokens - prompt.tokens.count)
        let newer = reader.flavor.obeysCompletionCeiling ? reader.given("max_completion_tokens", request) : nil
        let given = newer ?? reader.given("max_tokens", request)
        // llama.cpp takes fractions.
        let asked = given?.whole ?? given?.number.flatMap { Int(exactly: $0.rounded(.down)) }
        var wanted = asked ?? reader.flavor.defaultCeiling ?? room
        // llama.cpp makes a token before it looks; what is below nothing is no ceiling.
        if reader.flavor == .llamaCpp { wanted = wanted < 0 ? room : max(1, wanted) }
        return reader.flavor.refusesLongPrompts ? min(wanted, room) : min(wanted, max(room, reader.contextTokens))
    }

    /// Tools are used whenever there are some, except for an answer to a tool's result.
    private func toolCall(_ prompt: Prompt, _ words: inout TokenText, _ ceiling: Int) -> ChoicePlan? {
        guard route == .chat, let tools = request["tools"]?.items, !tools.isEmpty,
            request["messages"]?.items?.last?["role"]?.text != "tool"
        else { return nil }
        // mlx_lm does not know tool_choice.
        let choice = reader.flavor.obeysToolChoice ? reader.given("tool_choice", request) : nil
        if choice?.text == "none" { return nil }
        let wanted = choice?["function"]?["name"]?.text ?? prompt.tool
        let functions = tools.compactMap { $0["function"] }
        guard let function = functions.first(where: { $0["name"]?.text == wanted }) ?? functions.first,
            let name = function["name"]?.text
        else { return nil }
        let arguments = InventedValue.satisfying(function["parameters"] ?? .members(["type": "object"]), &words).bytes
        let tokens = TokenText.tokens(inBytes: arguments.count)
        guard tokens > ceiling else {
            return ChoicePlan(content: .toolCall(name: name, arguments: arguments), tokens: tokens, finish: .toolCalls)
        }
        // A call that is cut off cannot be parsed by mlx_lm and is dropped; the others send what there is.
        return reader.flavor == .mlxLM
            ? ChoicePlan(content: .fixed([]), tokens: ceiling, finish: .length)
            : ChoicePlan(content: .toolCall(name: name, arguments: arguments), tokens: ceiling, finish: .length)
    }

    private func structured(_ words: inout TokenText) -> [UInt8]? {
        guard reader.flavor.obeysResponseFormat, let format = reader.given("response_format", request) else {
            return nil
        }
        switch format["type"]?.text {
        case "json_object":
            let schema =
                format["schema"] ?? .members(["properties": .members(["answer": .members(["type": "string"])])])
            return InventedValue.satisfying(schema, &words).bytes
        case "json_schema":
            let schema = format["json_schema"]?["schema"] ?? .members(["type": "object"])
            return InventedValue.satisfying(schema, &words).bytes
        default: return nil
        }
    }

    private func fixed(_ text: [UInt8], _ ceiling: Int) -> ChoicePlan {
        let tokens = TokenText.tokens(inBytes: text.count)
        return ChoicePlan(
            content: .fixed(text), tokens: min(tokens, ceiling), finish: tokens > ceiling ? .length : .stop)
    }

    /// Ends the choice before the first stop text that it would say.
    private func stopped(_ plan: ChoicePlan) -> ChoicePlan {
        guard reader.flavor.obeysStop else { return plan }
        let given = reader.given("stop", request)
        let texts = (given?.text.map { [$0] } ?? given?.items?.compactMap(\.text) ?? []).map { Array($0.utf8) }
        if reader.flavor == .llamaCpp, texts.contains([]) {
            return ChoicePlan(content: .fixed([]), tokens: 0, finish: .stop)
        }
        let stops = texts.filter { !$0.isEmpty }
        guard !stops.isEmpty else { return plan }
        var teller = ChoiceTeller(plan)
        var said: [UInt8] = []
        let longest = stops.reduce(0) { max($0, $1.count) }
        while let token = teller.next() {
            guard case .said(let bytes) = token else { continue }
            let begin = max(0, said.count - longest)
            said.append(contentsOf: bytes)
            var found = stops.compactMap { Self.position(of: $0, in: said, from: begin) }.min()
            if reader.flavor.stopsAtWholeTokens {
                found = stops.lazy.filter { said.count >= $0.count && said.suffix($0.count).elementsEqual($0) }
                    .map { said.count - $0.count }.filter { $0 % TokenText.bytesPerToken == 0 }.min()
            }
            guard let found else { continue }
            return ChoicePlan(
                content: .fixed(Array(said[..<found])), tokens: teller.told - plan.thinking, finish: .stop)
        }
        return plan
    }

    static func position(of wanted: [UInt8], in text: [UInt8], from begin: Int) -> Int? {
        guard text.count - begin >= wanted.count else { return nil }
        return (begin...(text.count - wanted.count)).first { text[$0..<($0 + wanted.count)].elementsEqual(wanted) }
    }
}
