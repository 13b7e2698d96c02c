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
    package internal(set) var includeUsage: Bool?
    package internal(set) var includeUsageRange: Range<Int>?
    /// The value of `stream_options`, its braces included.
    package internal(set) var streamOptionsRange: Range<Int>?
    /// False when it is null.
    package internal(set) var streamOptionsIsObject = false
    package internal(set) var streamOptionsIsEmpty = true

    /// The smallest of `max_completion_tokens`, `max_tokens`, `max_output_tokens` that were given.
    package internal(set) var outputCeiling: Int?
    package internal(set) var user: String?
    /// `n`, or 1.
    package internal(set) var choices = 1
    package internal(set) var needs: RequestNeeds = []

    /// Bytes of text in messages, prompt or input, escapes undone.
    package internal(set) var promptBytes = 0
    /// The model, the tools and the prompt through its first user message: the same for every later turn of a conversation.
    package internal(set) var prefixFingerprint: UInt64 = 0

    /// Four bytes a token, a usual figure for English; good enough to tell a long prompt from a short one.
    package var estimatedPromptTokens: Int { (promptBytes + 3) / 4 + 1 }
}
