/// Whose fault an error answer is, so that nobody is blamed, retried or left alone for another's.
package enum Verdict: Equatable, Sendable {
    /// Theirs: passed on, no retry, no blame.
    case client
    /// Full: the next candidate or the queue, no blame.
    case capacity
    /// Its model is not in memory yet.
    case loading
    /// The worker does not have the model.
    case absent
    /// This kind cannot do it.
    case unsuitable
    /// Tells nothing certain: the next candidate, no mark on the breaker.
    case ambiguous
    /// A hard failure: the next candidate and a mark.
    case fault
    /// Its engine is dead, whatever its HTTP thread says.
    case dead
    case ok
}

/// A whole answer that is not a 2xx.
package struct AnswerStart: Sendable {
    package let status: Int
    /// The media type, when it is known.
    package let contentType: String?
    package let body: [UInt8]

    package init(status: Int, contentType: String?, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// Error texts are short; the bound keeps a page of HTML cheap.
    static let searchedBytesMax = 4 << 10

    /// Whether the beginning of the body has `words`.
    func says(_ words: StaticString) -> Bool {
        let count = words.utf8CodeUnitCount
        let text = body.prefix(Self.searchedBytesMax)
        guard text.count >= count else { return false }
        let pattern = UnsafeBufferPointer(start: words.utf8Start, count: count)
        for start in 0...(text.count - count) where text[start] == pattern[0] {
            if text[start..<(start + count)].elementsEqual(pattern) { return true }
        }
        return false
    }
}
