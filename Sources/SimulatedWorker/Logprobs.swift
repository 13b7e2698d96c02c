/// Log-probabilities that look like some: negative, the same for the same token, and the chosen token's the highest.
enum Logprobs {
    /// What a request asks for: how many alternatives beside each token.
    struct Wish: Sendable, Equatable {
        let top: Int
    }

    static let topMax = 20

    /// Hundredths, so that they print the same everywhere.
    private static func hundredths(_ token: [UInt8]) -> Int { token.reduce(1) { ($0 * 31 + Int($1)) % 97 } + 1 }

    private static func number(_ hundredths: Int, _ text: inout JSONText) {
        text.raw(hundredths >= 100 ? "-1." : "-0.")
        let rest = hundredths % 100
        if rest < 10 { text.raw("0") }
        text.number(rest)
    }

    /// The token itself, then others that it could have been: its last letter changed.
    private static func alternatives(_ token: [UInt8], _ top: Int) -> [(token: [UInt8], hundredths: Int)] {
        let own = hundredths(token)
        return (0..<top).map { rank in
            var other = token
            if rank > 0, let last = other.indices.last { other[last] = UInt8(ascii: "a") + UInt8(rank % 26) }
            return (other, min(199, own + 5 * rank))
        }
    }

    /// `{"content":[{"token":…,"logprob":…,"bytes":[…],"top_logprobs":[…]}]}`. mlx_lm and llama.cpp tell the token's
    /// number besides, mlx_lm no bytes, and without alternatives not even the token.
    static func chat(_ tokens: [[UInt8]], _ wish: Wish, _ flavor: Flavor, into text: inout JSONText) {
        text.raw("{\"content\":[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { text.raw(",") }
            entry(token, hundredths(token), wish, flavor, &text)
            if flavor != .mlxLM || wish.top > 0 {
                text.raw(",\"top_logprobs\":[")
                for (rank, other) in alternatives(token, wish.top).enumerated() {
                    if rank > 0 { text.raw(",") }
                    entry(other.token, other.hundredths, wish, flavor, &text)
                    text.raw("}")
                }
                text.raw("]")
            }
            text.raw("}")
        }
        text.raw("]}")
    }

    private static func entry(
        _ token: [UInt8], _ hundredths: Int, _ wish: Wish, _ flavor: Flavor, _ text: inout JSONText
    ) {
        let hasID = flavor == .mlxLM || flavor == .llamaCpp
        text.raw("{")
        if hasID {
            text.raw("\"id\":")
            text.number(Int(Prompt.tokens(token).first ?? 0) % AskReader.vocabulary)
        }
        if flavor != .mlxLM || wish.top > 0 {
            if hasID { text.raw(",") }
            text.raw("\"token\":")
            text.string(token)
        }
        text.raw(",\"logprob\":")
        number(hundredths, &text)
        guard flavor != .mlxLM else { return }
        text.raw(",\"bytes\":[")
        for (index, byte) in token.enumerated() {
            if index > 0 { text.raw(",") }
            text.number(Int(byte))
        }
        text.raw("]")
    }

    /// The older shape of text completions, which mlx_lm and llama.cpp do not have: four lists of the same length.
    static func texts(_ tokens: [[UInt8]], _ wish: Wish, from offset: Int, into text: inout JSONText) {
        func list(_ name: StaticString, _ write: ([UInt8], inout JSONText) -> Void) {
            text.raw(name)
            for (index, token) in tokens.enumerated() {
                if index > 0 { text.raw(",") }
                write(token, &text)
            }
            text.raw("]")
        }
        list("{\"tokens\":[") { token, text in text.string(token) }
        list(",\"token_logprobs\":[") { token, text in number(hundredths(token), &text) }
        list(",\"top_logprobs\":[") { token, text in
            text.raw("{")
            for (rank, other) in alternatives(token, wish.top).enumerated() {
                if rank > 0 { text.raw(",") }
                text.string(other.token)
                text.raw(":")
                number(other.hundredths, &text)
            }
            text.raw("}")
        }
        var place = offset
        list(",\"text_offset\":[") { token, text in
            text.number(place)
            place += token.count
        }
        text.raw("}")
    }
}

extension AnswerWriter {
    /// The member `logprobs` of a choice, of the tokens that begin so many bytes after its beginning.
    func logprobs(_ tokens: [[UInt8]], from offset: Int, into text: inout JSONText) {
        guard let wish = ask.logprobs, !tokens.isEmpty else { return }
        text.raw(",\"logprobs\":")
        if ask.route == .chat || flavor.hasOneShapeOfLogprobs {
            Logprobs.chat(tokens, wish, flavor, into: &text)
        } else {
            Logprobs.texts(tokens, wish, from: offset, into: &text)
        }
    }

    /// The same where there are none.
    func noLogprobs(into text: inout JSONText) {
        if flavor.saysNull(ask.route, stream: ask.stream) { text.raw(",\"logprobs\":null") }
    }
}

extension AskReader {
    /// Chat says whether and how many; a text says how many at once. Some kinds have none, and mlx_lm none in streams.
    func logprobs(_ request: JSONValue, _ route: Ask.Route, stream: Bool) -> Logprobs.Wish? {
        guard flavor.hasLogprobs(stream: stream) else { return nil }
        let wanted = given("logprobs", request)
        if flavor == .mlxLM {
            // Alternatives bring the rest with them.
            let top = max(0, given("top_logprobs", request)?.whole ?? 0)
            return wanted?.flag == true || top > 0 ? Logprobs.Wish(top: top) : nil
        }
        if route == .text, let count = wanted?.whole {
            return Logprobs.Wish(top: min(max(0, count), Logprobs.topMax))
        }
        guard wanted?.flag == true else { return nil }
        return Logprobs.Wish(top: min(max(0, given("top_logprobs", request)?.whole ?? 0), Logprobs.topMax))
    }
}
