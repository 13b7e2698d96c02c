/// Which form an answer has that is no chat's and no text's. They know one choice, and end without a mark of their own.
extension AnswerWriter {
    mutating func foreignBegin(into text: inout JSONText) {
        switch ask.route {
        case .messages: messagesBegin(into: &text)
        case .responses: responsesBegin(into: &text)
        default: break
        }
    }

    mutating func foreignTokens(_ count: Int, into text: inout JSONText) {
        for _ in 0..<count {
            guard case .said(let bytes) = tellers[0].next() else { continue }
            if ask.route == .messages {
                messagesToken(bytes, into: &text)
            } else {
                responsesToken(bytes, into: &text)
            }
        }
    }

    mutating func foreignFinish(_ cachedTokens: Int, into text: inout JSONText) {
        if ask.route == .messages {
            messagesFinish(into: &text)
        } else {
            responsesFinish(cachedTokens: cachedTokens, into: &text)
        }
    }

    func foreignPlain(_ cachedTokens: Int) -> [UInt8] {
        ask.route == .messages ? messagesPlain(cachedTokens: cachedTokens) : responsesPlain(cachedTokens: cachedTokens)
    }
}
