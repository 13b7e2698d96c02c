/// What a server obeys, ignores and refuses, and the shape of what it writes.
extension Flavor {
    package var hasEmbeddings: Bool { self != .mlxLM && self != .exo }
    package var hasTextCompletions: Bool { self != .exo }
    /// `/v1/messages` and `/v1/responses`, of those that were observed.
    package var hasForeignRoutes: Bool { self == .llamaCpp || self == .vllmMLX }
    package var obeysResponseFormat: Bool { self != .mlxLM && self != .exo }
    package var obeysToolChoice: Bool { self != .mlxLM && self != .exo }
    /// vllm_mlx reads a list of stop texts and goes on past them.
    var obeysStop: Bool { self != .vllmMLX }
    /// mlx_lm compares tokens: a stop text inside of a word is not found.
    var stopsAtWholeTokens: Bool { self == .mlxLM }
    package var obeysSeed: Bool { self != .vllmMLX }
    /// `n`. Assumed ignored by those that were only read about.
    package var obeysChoices: Bool { self == .openAI || self == .llamaCpp }
    /// These know `max_tokens` alone and go on past the newer name's limit.
    package var obeysCompletionCeiling: Bool { ![.vllmMLX, .exo, .ollama, .oMLX].contains(self) }
    /// A null where a flag should be is refused; elsewhere it means nothing.
    var refusesNullStream: Bool { [.vllmMLX, .exo, .oMLX].contains(self) }
    /// ollama reads a prompt that is a text, and no other.
    var takesOneText: Bool { self == .ollama }
    /// exo calls each event of a stream by the name of a plain answer.
    var misnamesEvents: Bool { self == .exo }
    /// llama.cpp serves whatever it has loaded under any name.
    package var servesUnknownModels: Bool { self == .llamaCpp }
    /// Its comments on a prefill leave out what was in the cache.
    var countsWhatIsNotCached: Bool { self == .mlxLM }
    /// Whoever joins a batch is sampled as its first request wanted it.
    package var sharesSampling: Bool { self == .vllmMLX }
    /// Requests above the context are refused; mlx_lm has no limit and goes on.
    package var refusesLongPrompts: Bool { self != .mlxLM }
    package var reportsCachedTokens: Bool { [.openAI, .mlxLM, .llamaCpp, .oMLX].contains(self) }
    /// Seen of mlx_lm's plain answers and of llama.cpp, read of exo; vllm_mlx has none, and of the others it is not known.
    func hasLogprobs(stream: Bool) -> Bool {
        self == .openAI || self == .llamaCpp || self == .exo || (self == .mlxLM && !stream)
    }
    /// Texts get the log-probabilities of chats.
    var hasOneShapeOfLogprobs: Bool { self == .mlxLM || self == .llamaCpp }
    /// `"logprobs":null` stands in a choice that has none: not where nobody was seen to write it.
    func saysNull(_ route: Ask.Route, stream: Bool) -> Bool {
        switch self {
        case .mlxLM, .vllmMLX, .ollama, .oMLX: false
        case .llamaCpp: route == .text
        default: !stream
        }
    }
    /// A key may be demanded. The others ignore `Authorization`.
    package var asksForKeys: Bool { ![.mlxLM, .exo, .ollama].contains(self) }

    /// Tokens of an answer whose request names no ceiling; nil runs until the context is full.
    package var defaultCeiling: Int? {
        switch self {
        case .openAI, .mlxLM: 512
        case .vllmMLX: 32_768
        // exo's and omlx's own limits are larger than any context here.
        case .llamaCpp, .exo, .ollama, .lmStudio, .oMLX: nil
        }
    }

    /// mlx_lm ends every answer by closing the connection, in HTTP/1.0, and frames nothing.
    package var closesAfterAnswer: Bool { self == .mlxLM }
    package var closesAfterStream: Bool { self == .mlxLM || self == .exo }
    /// exo answers 200 before it knows whether there will be an answer; what goes wrong later cuts the body.
    package var sendsPlainHeadEarly: Bool { self == .exo }

    /// A role-only event stands before the text. The others repeat the role in every event.
    var opensWithRole: Bool { [.openAI, .llamaCpp, .vllmMLX, .oMLX].contains(self) }
    /// That event is sent with the head, before anything is computed.
    var opensAtOnce: Bool { opensWithRole && self != .llamaCpp }
    /// The last event has text and the finish reason.
    var finishesWithText: Bool { self == .vllmMLX }
    /// Nothing is sent while a tool call is made; it arrives whole.
    var sendsCallsWhole: Bool { self == .mlxLM || self == .ollama }
    /// The word for thoughts.
    var thoughts: StaticString { self == .mlxLM || self == .ollama ? "\"reasoning\":" : "\"reasoning_content\":" }
}
