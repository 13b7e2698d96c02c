/// What a worker is going to say, known before it begins: it takes its time only to be like the others.
package struct AnswerPlan: Sendable {
    package var choices: [ChoicePlan]
    package var promptTokens: Int
    /// The sequence for the prefix cache: of one prompt, or of the first of several.
    package var sequence: [UInt32]

    /// Decode steps until the longest choice has ended.
    package var tokens: Int { choices.reduce(0) { max($0, $1.tokens) } }
    package var completionTokens: Int { choices.reduce(0) { $0 + $1.tokens } }

    /// Prompt and first answer, as the next turn of the conversation would begin.
    package var sequenceWithAnswer: [UInt32] {
        guard let first = choices.first else { return sequence }
        return sequence + Prompt.tokens(first.text)
    }
}

package enum FinishReason: String, Sendable {
    case stop
    case length
    case toolCalls = "tool_calls"
}

/// One of the `n` answers.
package struct ChoicePlan: Sendable {
    package enum Content: Sendable {
        case words(TokenText)
        case fixed([UInt8])
        case toolCall(name: String, arguments: [UInt8])
    }

    package let content: Content
    /// Thoughts included.
    package let tokens: Int
    package let thinking: Int
    package let finish: FinishReason

    package init(content: Content, tokens: Int, thinking: Int = 0, finish: FinishReason) {
        self.content = content
        self.tokens = tokens
        self.thinking = thinking
        self.finish = finish
    }

    /// Bytes that are said in full: the words after the thoughts, the fixed text, or a tool's arguments.
    package var text: [UInt8] { saidTokens.flatMap { $0 } }

    /// The same, token by token.
    var saidTokens: [[UInt8]] {
        var teller = ChoiceTeller(self)
        var said: [[UInt8]] = []
        for _ in 0..<tokens {
            if case .said(let bytes) = teller.next() { said.append(bytes) }
        }
        return said
    }

    package var thoughts: [UInt8] {
        var teller = ChoiceTeller(self)
        var text: [UInt8] = []
        for _ in 0..<thinking {
            if case .thought(let bytes) = teller.next() { text.append(contentsOf: bytes) }
        }
        return text
    }
}

/// Tells a choice token by token.
package struct ChoiceTeller: Sendable {
    package enum Token: Sendable, Equatable {
        case thought([UInt8])
        case said([UInt8])
    }

    package let plan: ChoicePlan
    package private(set) var told = 0
    private var words: TokenText?

    package init(_ plan: ChoicePlan) {
        self.plan = plan
        if case .words(let words) = plan.content { self.words = words }
    }

    package var isAtEnd: Bool { told >= plan.tokens }

    package mutating func next() -> Token? {
        guard !isAtEnd else { return nil }
        let position = told
        told += 1
        switch plan.content {
        case .words:
            let token = words!.next()
            return position < plan.thinking ? .thought(token) : .said(token)
        case .fixed(let bytes), .toolCall(_, let bytes):
            let begin = min(position * TokenText.bytesPerToken, bytes.count)
            return .said(Array(bytes[begin..<min(begin + TokenText.bytesPerToken, bytes.count)]))
        }
    }
}
