/// What a request needs that not every kind of worker can do. Lacking it is a matter of placement, not a client's error.
package struct RequestNeeds: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let logprobs = RequestNeeds(rawValue: 1 << 0)
    /// `response_format` other than plain text.
    package static let structuredOutput = RequestNeeds(rawValue: 1 << 1)
    /// `tool_choice` that forces a call.
    package static let requiredTool = RequestNeeds(rawValue: 1 << 2)
    package static let tools = RequestNeeds(rawValue: 1 << 3)
    /// `n` > 1
    package static let manyChoices = RequestNeeds(rawValue: 1 << 4)
    /// `prompt` is a list of two strings or more, or of lists of token ids.
    package static let listPrompt = RequestNeeds(rawValue: 1 << 5)
    /// `prompt` is made of token ids.
    package static let tokenPrompt = RequestNeeds(rawValue: 1 << 6)
    /// `prompt` is or has an empty string.
    package static let emptyPrompt = RequestNeeds(rawValue: 1 << 7)
    /// `max_tokens: 0`, to have a prompt scored.
    package static let zeroCeiling = RequestNeeds(rawValue: 1 << 8)
    package static let images = RequestNeeds(rawValue: 1 << 9)
    /// An image to be fetched from the network by whoever answers.
    package static let remoteImages = RequestNeeds(rawValue: 1 << 10)
    package static let seed = RequestNeeds(rawValue: 1 << 11)
    package static let logitBias = RequestNeeds(rawValue: 1 << 12)
    /// Members that make mlx_lm load something else: `adapters`, `draft_model`, `num_draft_tokens`, `role_mapping`.
    package static let loaderFields = RequestNeeds(rawValue: 1 << 13)
    /// `chat_template_kwargs` other than the usual switches for thinking.
    package static let templateArguments = RequestNeeds(rawValue: 1 << 14)
    package static let repetitionPenalty = RequestNeeds(rawValue: 1 << 15)
    /// A stop sequence that is not empty.
    package static let stop = RequestNeeds(rawValue: 1 << 19)
    /// `logprobs` of a text completion, as a number.
    package static let countedLogprobs = RequestNeeds(rawValue: 1 << 17)
    /// `top_logprobs` of more than eleven.
    package static let manyTopLogprobs = RequestNeeds(rawValue: 1 << 18)
    /// `logprobs` in a stream.
    package static let streamedLogprobs = RequestNeeds(rawValue: 1 << 16)
}
