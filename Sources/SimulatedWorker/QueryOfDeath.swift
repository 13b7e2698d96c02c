/// Requests that are known to end a real server, or to make it hang up or fail. All were observed.
///
/// It is a table of the past and no list of what could happen: whatever else kills is scripted with `die_on`.
struct QueryOfDeath {
    let flavor: Flavor
    let request: JSONValue
    let route: Ask.Route
    let body: [UInt8]
    /// llama.cpp's parser calls itself for each bracket and ends its process when the stack does.
    static let fatalDepth = 50_000

    /// What no parser gets through, before anything else is looked at.
    static func unreadable(_ flavor: Flavor, _ body: [UInt8], _ problem: JSONValue.Unreadable) -> Refusal {
        let isDeep = problem.message.hasPrefix(JSONReader.tooDeep)
        if isDeep, flavor == .mlxLM { return .hangUp }
        if isDeep, flavor == .llamaCpp, openings(body) >= fatalDepth { return .processDies }
        if isDeep, flavor == .vllmMLX { return .answer(status: 400, body: ErrorText.detail("nested too deeply")) }
        return ErrorText.invalidJSON(flavor, body, problem)
    }

    private static func openings(_ body: [UInt8]) -> Int {
        body.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") }
    }

    func check() throws(Refusal) {
        switch flavor {
        case .mlxLM: try checkMLX()
        case .vllmMLX: try checkVLLM()
        case .llamaCpp: try checkLlama()
        default: break
        }
        if flavor.refusesNullStream, request["stream"] == .null {
            throw .answer(status: 422, body: ErrorText.unprocessable("stream", "Input should be a valid boolean"))
        }
    }

    private func given(_ name: String) -> JSONValue? {
        guard let value = request[name], value != .null else { return nil }
        return value
    }

    private var biasesUnknownTokens: Bool {
        (given("logit_bias")?.members ?? []).contains {
            (Int($0.name) ?? 0) >= AskReader.vocabulary || (Int($0.name) ?? 0) < -AskReader.vocabulary
        }
    }

    /// A penalty that no floating-point number holds.
    private var hasEndlessPenalty: Bool {
        ["presence_penalty", "frequency_penalty", "repetition_penalty"].contains {
            given($0)?.number.map { !$0.isFinite } ?? false
        }
    }

    /// Half a surrogate pair; the reader has put a replacement character in its place.
    private var hasLoneSurrogateInStop: Bool {
        let stops = given("stop").map { $0.text.map { [$0] } ?? $0.items?.compactMap(\.text) ?? [] } ?? []
        return stops.contains { $0.contains("\u{fffd}") }
            && ChoiceWriter.position(of: Array("\\ud".utf8), in: body, from: 0) != nil
    }

    private var stopIsNoText: Bool {
        guard let stop = given("stop"), stop.text == nil else { return false }
        return stop.items == nil || stop.items!.contains { $0.text == nil }
    }

    private func checkMLX() throws(Refusal) {
        if String(validating: body, as: UTF8.self) == nil { throw .hangUp }
        try checkMLXLogprobs()
        if let seed = given("seed"), (seed.whole ?? -1) < 0 { throw .hangUp }
        if biasesUnknownTokens { throw .processDies }
        // What goes wrong after the tokenizer is told to nobody.
        if hasEndlessPenalty { throw .threadDies(silently: true) }
        if let most = given("top_k")?.whole, most > AskReader.vocabulary, (given("temperature")?.number ?? 0) > 0 {
            throw .threadDies(silently: true)
        }
        if route == .text, let prompt = request["prompt"] {
            if prompt.text == "" { throw .threadDies(silently: true) }
            if let items = prompt.items, items.contains(where: { $0.text != nil }) {
                throw .threadDies(silently: false)
            }
        }
        if stopIsNoText || hasLoneSurrogateInStop { throw .threadDies(silently: false) }
        if given("chat_template_kwargs")?["return_tensors"] != nil { throw .threadDies(silently: false) }
    }

    /// It looks at these in texts, too, where they are numbers elsewhere; -1 is its own word for none.
    private func checkMLXLogprobs() throws(Refusal) {
        if let wanted = request["logprobs"], wanted.flag == nil {
            throw ErrorText.invalid(flavor, "logprobs", "logprobs must be of type bool")
        }
        guard let top = request["top_logprobs"], top != .integer(-1) else { return }
        let complaint: String? =
            switch top.whole {
            case nil: "of type int"
            case let count? where count < 0: "at least 0"
            case let count? where count > 11: "at most 11"
            default: nil
            }
        if let complaint { throw ErrorText.invalid(flavor, "top_logprobs", "top_logprobs must be \(complaint)") }
    }

    private func checkVLLM() throws(Refusal) {
        if biasesUnknownTokens { throw .processDies }
        // The complaint shows the input, which cannot be written down.
        if hasLoneSurrogateInStop { throw .answer(status: 500, body: ErrorText.internalServerError) }
        if let stop = given("stop"), stop.text != nil || stopIsNoText {
            throw ErrorText.invalid(flavor, "stop", "Input should be a valid list")
        }
        if hasEndlessPenalty {
            throw ErrorText.invalid(flavor, "frequency_penalty", "Input should be a finite number")
        }
        let isEmpty = request["prompt"]?.text == "" || request["prompt"]?.items == [""]
        if route == .text && isEmpty || route == .chat && request["messages"]?.items?.isEmpty == true {
            throw .answer(status: 500, body: ErrorText.internalServerError)
        }
        if let type = given("response_format")?["type"]?.text, type != "text" {
            throw ErrorText.invalid(flavor, "response_format", "guided decoding needs the extra that is not installed")
        }
    }

    private func checkLlama() throws(Refusal) {
        func fails(_ message: String) -> Refusal {
            .answer(status: 500, body: ErrorText.llama(500, message, type: "server_error"))
        }
        if hasLoneSurrogateInStop { throw fails(loneSurrogate) }
        if hasEndlessPenalty {
            throw fails("[json.exception.out_of_range.406] number overflow parsing '\(endlessNumber)'")
        }
        if let other = given("stop")?.items?.first(where: { $0.text == nil }) {
            throw TypeRule.llamaRefusal("stop", "string", other)
        }
    }

    /// The parser stands behind the escape, and shows the string that it was in.
    private var loneSurrogate: String {
        let escape = ChoiceWriter.position(of: Array("\\ud".utf8), in: body, from: 0) ?? 0
        let end = min(escape + 7, body.count)
        let begin = body[..<escape].lastIndex(of: UInt8(ascii: "\"")) ?? escape
        return
            "[json.exception.parse_error.101] parse error at line 1, column \(end): syntax error while parsing value - "
            + "invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF; last read: "
            + "'\(String(decoding: body[begin..<end], as: UTF8.self))'"
    }

    private var endlessNumber: String {
        body.split { !"+-.eE0123456789".utf8.contains($0) }.lazy
            .map { String(decoding: $0, as: UTF8.self) }.first { Double($0).map { !$0.isFinite } ?? false } ?? ""
    }
}
