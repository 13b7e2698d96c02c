/// What one pass over a request body found. Offsets are byte offsets in the whole body.
package struct ScannedRequest: Equatable, Sendable {
    package internal(set) var bodyBytes = 0
    /// Just past the outermost `{`.
    package internal(set) var objectStart = 0
    package internal(set) var objectIsEmpty = true

    package internal(set) var model: String?
    /// The value with its quotes.
    package internal(set) var modelRange: Range<Int>?

    package internal(set) var stream = false
    /// The value of `stream`.
    package internal(set) var streamRange: Range<Int>?
    package internal(set) var streamIsNull = false
    package internal(set) var includeUsage: Bool?
    package internal(set) var includeUsageRange: Range<Int>?
    /// The value of `stream_options`, its braces included.
    package internal(set) var streamOptionsRange: Range<Int>?
    /// False when it is null.
    package internal(set) var streamOptionsIsObject = false
    package internal(set) var streamOptionsIsEmpty = true

    /// llama-server's `return_progress`, whatever it is but false and null: what is no wish for progress is the server's
    /// to refuse.
    package internal(set) var wantsProgress = false
    /// The value of `return_progress`.
    package internal(set) var returnProgressRange: Range<Int>?

    /// The smallest of `max_completion_tokens`, `max_tokens`, `max_output_tokens` that were given.
    package internal(set) var outputCeiling: Int?
    package internal(set) var user: String?
    /// `n`, or 1.
    package internal(set) var choices = 1
    package internal(set) var needs: RequestNeeds = []

    // What some kinds of worker need to have written otherwise.
    /// Members of the outermost object that are null, and for which a strict server takes no null.
    package internal(set) var nulls = RemovalList()
    /// Empty strings in a list of stop sequences.
    package internal(set) var emptyStops = RemovalList()
    /// The value of `stop`, when it is or has an empty string.
    package internal(set) var stopRange: Range<Int>?
    /// The value of `stop`, when it is a string.
    package internal(set) var stopTextRange: Range<Int>?
    /// The key `max_completion_tokens` with its quotes, when its value is no null.
    package internal(set) var completionCeilingKey: Range<Int>?
    package internal(set) var hasMaxTokens = false
    /// The value of `max_tokens`, when it is null.
    package internal(set) var maxTokensNull: Range<Int>?
    /// A chat or a text completion: what makes tokens until something ends it.
    package internal(set) var generates = false
    package internal(set) var topK: Int64?
    package internal(set) var topKRange: Range<Int>?
    package internal(set) var seed: Int64?
    package internal(set) var seedRange: Range<Int>?
    /// A list of prompts, its brackets included.
    package internal(set) var promptListRange: Range<Int>?
    /// The prompts of a list that are strings, their quotes included; at most one more than may be asked one by one.
    package internal(set) var promptRanges: [Range<Int>] = []
    /// The brackets around a prompt that is a list of one string, with the white space inside them.
    package internal(set) var promptBrackets: Brackets?
    /// The largest token id in `logit_bias`.
    package internal(set) var largestBias: Int64?

    /// Members that do not change what is asked: `stream`, `stream_options`, `user`, `metadata`, `store`, and
    /// `return_progress`.
    package internal(set) var asides = RemovalList()

    /// Bytes of text in messages, prompt or input, escapes undone.
    package internal(set) var promptBytes = 0
    /// The model, the tools and the prompt through its first user message: the same for every later turn of a conversation.
    package internal(set) var prefixFingerprint: UInt64 = 0

    package struct Brackets: Equatable, Sendable {
        package let opening: Range<Int>
        package let closing: Range<Int>
    }

    /// Four bytes a token, a usual figure for English; good enough to tell a long prompt from a short one.
    package var estimatedPromptTokens: Int { (promptBytes + 3) / 4 + 1 }
}
