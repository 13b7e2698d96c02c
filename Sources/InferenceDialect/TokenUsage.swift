/// What an exchange cost, as the worker counted it.
package struct TokenUsage: Equatable, Sendable {
    package var prompt: Int
    package var completion: Int
    /// The part of the prompt that was not computed again.
    package var cached: Int

    package init(prompt: Int, completion: Int, cached: Int) {
        self.prompt = prompt
        self.completion = completion
        self.cached = cached
    }
}

extension TokenUsage {
    /// Reads a `usage` object at the cursor, under either of OpenAI's two vocabularies, and passes it. Nil when it has
    /// neither count: then it is somebody else's object. A count that is absent is 0.
    init?(_ cursor: inout JSONCursor) {
        guard cursor.take(UInt8(ascii: "{")) else { return nil }
        var prompt: Int?
        var completion: Int?
        var cached = 0
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return nil }
            if cursor.isWord(key, "prompt_tokens") || cursor.isWord(key, "input_tokens") {
                prompt = cursor.integer()
            } else if cursor.isWord(key, "completion_tokens") || cursor.isWord(key, "output_tokens") {
                completion = cursor.integer()
            } else if cursor.isWord(key, "prompt_tokens_details") || cursor.isWord(key, "input_tokens_details"),
                cursor.peek() == UInt8(ascii: "{")
            {
                cached = Self.cachedTokens(&cursor)
            } else {
                cursor.skipValue()
            }
        }
        guard prompt != nil || completion != nil, !cursor.isBroken else { return nil }
        self.init(prompt: prompt ?? 0, completion: completion ?? 0, cached: cached)
    }

    private static func cachedTokens(_ cursor: inout JSONCursor) -> Int {
        _ = cursor.take(UInt8(ascii: "{"))
        var cached = 0
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { break }
            if cursor.isWord(key, "cached_tokens") { cached = cursor.integer() ?? 0 } else { cursor.skipValue() }
        }
        return cached
    }
}
