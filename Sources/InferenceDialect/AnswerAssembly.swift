/// A plain answer made of a stream's events: for workers that compute a plain answer to its end although its client has
/// left, but notice a stream's.
///
/// Text stays as the worker escaped it: the insides of JSON strings are put behind one another and never decoded. What
/// comes out is what the worker itself would have answered, as long as both say the same with other words; members that
/// nobody here knows are kept.
package struct AnswerAssembly: Sendable {
    /// Bytes of one assembled answer.
    package static let bytesUsual = 16 << 20
    package static let choicesMax = 128
    /// Members of the outermost object and of a choice that are kept by name.
    static let membersMax = 64

    package enum Failure: Error, Equatable {
        /// More than its bytes, `choicesMax` or another bound of the answer's parts.
        case tooLarge
        /// An event that is not the JSON it should be.
        case unreadable
        /// The events ended before the answer did.
        case unfinished
    }

    /// What the answer is, which decides what its events are.
    enum Shape: Sendable {
        case chat, text, response, message

        init?(_ route: InferenceRoute) {
            switch route {
            case .chatCompletions: self = .chat
            case .completions: self = .text
            case .other("responses"): self = .response
            case .other("messages"): self = .message
            case .embeddings, .other: return nil
            }
        }
    }

    let shape: Shape
    /// What the client calls the model.
    private let model: String
    private let wantsLogprobs: Bool
    private let bytesMax: Int
    /// Of the outermost object, in the order in which they first came.
    var members = GatheredMembers()
    private var choices: [GatheredChoice] = []
    /// What is added to the index of a choice, where several streams make one answer.
    package var firstIndex = 0
    /// The last count of tokens, as the worker wrote it.
    private var usage: [UInt8] = []
    /// The response or message that a typed stream told last, and the blocks of the message.
    var typed = TypedAnswer()
    package private(set) var failure: Failure?

    /// Whether a route's plain answers can be made of events.
    package static func serves(_ route: InferenceRoute) -> Bool { Shape(route) != nil }

    /// Nil for a route that this does not serve.
    package init?(
        route: InferenceRoute, model: String, wantsLogprobs: Bool, bytesMax: Int = bytesUsual
    ) {
        guard let shape = Shape(route) else { return nil }
        self.shape = shape
        self.model = model
        self.wantsLogprobs = wantsLogprobs
        self.bytesMax = bytesMax
    }

    /// Bytes kept so far.
    var bytes: Int {
        members.bytes + usage.count + typed.bytes + choices.reduce(0) { $0 + $1.bytes }
    }

    /// One event's data. After a failure nothing more is taken.
    package mutating func feed(_ data: UnsafeRawBufferPointer) {
        guard failure == nil else { return }
        var cursor = JSONCursor(data)
        // `data: null` and `[DONE]` are events without an answer's part.
        guard cursor.peek() == UInt8(ascii: "{") else { return }
        switch shape {
        case .chat, .text: readChunk(&cursor)
        case .response, .message: typed.read(&cursor, shape)
        }
        if cursor.isBroken { failure = .unreadable }
        if typed.isTooLarge || members.isTooLarge || bytes > bytesMax { failure = .tooLarge }
    }

    /// An event was too large to be looked into.
    mutating func lostEvent() { failure = failure ?? .tooLarge }

    // MARK: Chunks

    private mutating func readChunk(_ cursor: inout JSONCursor) {
        cursor.forEachMember { cursor, key in
            if cursor.isWord(key, "choices"), cursor.peek() == UInt8(ascii: "[") {
                cursor.forEachElement { cursor in
                    if cursor.peek() == UInt8(ascii: "{") { readChoice(&cursor) } else { cursor.skipValue() }
                }
            } else if cursor.isWord(key, "usage") {
                let value = cursor.value()
                guard cursor.bytes[value.lowerBound] == UInt8(ascii: "{") else { return }
                usage = Array(cursor.bytes[value])
            } else if cursor.isWord(key, "object") || cursor.isWord(key, "model") {
                cursor.skipValue()
            } else if cursor.isWord(key, "id") || cursor.isWord(key, "created") {
                members.keepFirst(key, &cursor)
            } else {
                members.keepLast(key, &cursor)
            }
        }
    }

    private mutating func readChoice(_ cursor: inout JSONCursor) {
        // The index may stand behind what belongs to it.
        var ahead = cursor
        var index = 0
        ahead.forEachMember { cursor, key in
            if cursor.isWord(key, "index") { index = cursor.integer() ?? 0 } else { cursor.skipValue() }
        }
        index += firstIndex
        let place = choices.firstIndex { $0.index >= index } ?? choices.count
        if place == choices.count || choices[place].index != index {
            guard choices.count < Self.choicesMax else {
                failure = .tooLarge
                return cursor.skipValue()
            }
            choices.insert(GatheredChoice(index: index), at: place)
        }
        choices[place].read(&cursor)
        if choices[place].isTooLarge { failure = .tooLarge }
    }

    // MARK: The answer

    /// The whole answer, or why there is none. `counted` is what the events told of tokens together; where the worker
    /// told none, it is our estimate.
    package func answer(counted: TokenUsage) throws(Failure) -> [UInt8] {
        if let failure { throw failure }
        var out: [UInt8] = []
        out.reserveCapacity(bytes + 512)
        switch shape {
        case .chat, .text: try writeCompletion(counted, to: &out)
        case .response, .message: try typed.write(shape, model, to: &out)
        }
        return out
    }

    private func writeCompletion(_ counted: TokenUsage, to out: inout [UInt8]) throws(Failure) {
        guard !choices.isEmpty, choices.allSatisfy(\.isFinished) else { throw .unfinished }
        out.append(UInt8(ascii: "{"))
        writeHead(isWhole: true, to: &out)
        for (place, choice) in choices.enumerated() {
            if place > 0 { out.append(UInt8(ascii: ",")) }
            choice.write(isChat: shape == .chat, wantsLogprobs: wantsLogprobs, to: &out)
        }
        out.append(contentsOf: #"],"usage":"#.utf8)
        if !usage.isEmpty, saysTheSame(counted) {
            out.append(contentsOf: usage)
        } else {
            // Told piece by piece, or not at all.
            Self.write(counted, to: &out)
        }
        out.append(UInt8(ascii: "}"))
    }

    /// An event that calls itself a whole chat answer, by its right name; any other stays as it is.
    package static func asEvent(_ frame: [UInt8]) -> [UInt8] {
        let wrong = Array(#""chat.completion""#.utf8)
        guard frame.count >= wrong.count else { return frame }
        // The name of the object stands before the choices, of which there are none: nothing else says this.
        for start in 0...(frame.count - wrong.count) where frame[start] == wrong[0] {
            guard frame[start..<(start + wrong.count)].elementsEqual(wrong) else { continue }
            return frame[..<start] + Array(#""chat.completion.chunk""#.utf8) + frame[(start + wrong.count)...]
        }
        return frame
    }

    /// A stream's event with one choice that is whole, and with the usage in another for which there is no choice.
    package func event(choice index: Int?, usage counted: TokenUsage?) -> [UInt8] {
        var out = Array("data: {".utf8)
        writeHead(isWhole: false, to: &out)
        if let choice = choices.first(where: { $0.index == index }) {
            choice.write(isChat: shape == .chat, wantsLogprobs: wantsLogprobs, to: &out)
        }
        out.append(UInt8(ascii: "]"))
        if let counted {
            out.append(contentsOf: #","usage":"#.utf8)
            Self.write(counted, to: &out)
        }
        out.append(contentsOf: "}\n\n".utf8)
        return out
    }

    private static func write(_ counted: TokenUsage, to out: inout [UInt8]) {
        out.append(
            contentsOf: #"{"prompt_tokens":\#(counted.prompt),"completion_tokens":\#(counted.completion),"#.utf8)
        out.append(contentsOf: #""total_tokens":\#(counted.prompt + counted.completion),"#.utf8)
        out.append(contentsOf: #""prompt_tokens_details":{"cached_tokens":\#(counted.cached)}}"#.utf8)
    }

    private func writeHead(isWhole: Bool, to out: inout [UInt8]) {
        members.write(to: &out)
        if !members.isEmpty { out.append(UInt8(ascii: ",")) }
        let object = shape == .text ? "text_completion" : isWhole ? "chat.completion" : "chat.completion.chunk"
        out.append(contentsOf: #""object":"\#(object)","model":"#.utf8)
        JSONString.append(model, to: &out)
        out.append(contentsOf: #","choices":["#.utf8)
    }

    private func saysTheSame(_ counted: TokenUsage) -> Bool {
        usage.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return TokenUsage(&cursor) == counted
        }
    }
}
