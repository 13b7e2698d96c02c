/// One whole frame of an event stream, read: its kind, its counts, which choices spoke.
struct FrameReading {
    private(set) var kind = EventStreamCutter.Kind.comment(progress: false)
    private(set) var usage: TokenUsage?
    private(set) var choicesSeen: UInt128 = 0
    private(set) var choicesFinished: UInt128 = 0
    private(set) var errorBody: [UInt8] = []
    /// What a comment says: prompt tokens computed so far.
    private(set) var promptDone: Int?

    /// What an event with `prompt_progress` tells.
    private(set) var progress: Progress?

    /// Tokens of a prompt that a server has: `done` in all, `cached` of them from before.
    struct Progress: Equatable, Sendable {
        var done = 0
        var cached = 0
    }

    private var hasContent = false
    private var hasRole = false
    private var hasFinish = false

    init(_ fields: EventFields, route: InferenceRoute) {
        promptDone = fields.promptDone
        guard fields.hasData else {
            if let told = fields.toldError { fail(told) }
            return
        }
        fields.withData { read($0, route, fields.saysError) }
    }

    // MARK: The event

    private mutating func read(_ data: UnsafeRawBufferPointer, _ route: InferenceRoute, _ saysError: Bool) {
        var cursor = JSONCursor(data)
        let first = cursor.peek()
        if first == UInt8(ascii: "["), Self.isDone(data) {
            kind = .done
            return
        }
        if saysError { return fail(data) }
        guard first == UInt8(ascii: "{") else {
            // `data: null` comes from a real server; an empty `data:` says as little.
            kind = first == UInt8(ascii: "n") || first == 0 ? .empty : .other
            return
        }
        switch route {
        case .chatCompletions, .completions: readCompletion(&cursor)
        case .embeddings, .other: readTyped(&cursor)
        }
        if kind == .error { fail(data) }
    }

    private static func isDone(_ data: UnsafeRawBufferPointer) -> Bool {
        let word: StaticString = "[DONE]"
        var start = 0
        var end = data.count
        while start < end, data[start] <= 0x20 { start += 1 }
        while end > start, data[end - 1] <= 0x20 { end -= 1 }
        return JSONCursor(data).isWord(start..<end, word)
    }

    private mutating func fail(_ data: UnsafeRawBufferPointer) {
        kind = .error
        errorBody = Array(data.prefix(EventStreamCutter.errorBytesMax))
    }

    /// A chunk of a chat or text completion.
    private mutating func readCompletion(_ cursor: inout JSONCursor) {
        _ = cursor.take(UInt8(ascii: "{"))
        var hasChoices = false
        var hasChoice = false
        var isError = false
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { break }
            if cursor.isWord(key, "choices"), cursor.peek() == UInt8(ascii: "[") {
                hasChoices = true
                hasChoice = readChoices(&cursor)
            } else if cursor.isWord(key, "usage"), cursor.peek() == UInt8(ascii: "{") {
                if let counted = TokenUsage(&cursor) { usage = counted }
            } else if cursor.isWord(key, "error") {
                isError = cursor.peek() != UInt8(ascii: "n")
                cursor.skipValue()
            } else if cursor.isWord(key, "prompt_progress"), cursor.peek() == UInt8(ascii: "{") {
                readProgress(&cursor)
            } else {
                cursor.skipValue()
            }
        }
        kind =
            if isError {
                .error
            } else if hasContent {
                .content
            } else if hasFinish {
                .finish
            } else if !hasChoice, usage != nil {
                .usage
            } else if cursor.isBroken || !hasChoices {
                .other
            } else if hasRole {
                .role
            } else {
                .null
            }
    }

    private mutating func readProgress(_ cursor: inout JSONCursor) {
        _ = cursor.take(UInt8(ascii: "{"))
        var told = Progress()
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return }
            if cursor.isWord(key, "processed") {
                told.done = cursor.integer() ?? 0
            } else if cursor.isWord(key, "cache") {
                told.cached = cursor.integer() ?? 0
            } else {
                cursor.skipValue()
            }
        }
        progress = told
    }

    /// Whether there was any choice.
    private mutating func readChoices(_ cursor: inout JSONCursor) -> Bool {
        _ = cursor.take(UInt8(ascii: "["))
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "]"), isFirst: isFirst) {
            isFirst = false
            if cursor.peek() == UInt8(ascii: "{") { readChoice(&cursor) } else { cursor.skipValue() }
        }
        return !isFirst
    }

    private mutating func readChoice(_ cursor: inout JSONCursor) {
        _ = cursor.take(UInt8(ascii: "{"))
        var index = 0
        var finishes = false
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { break }
            if cursor.isWord(key, "delta"), cursor.peek() == UInt8(ascii: "{") {
                readDelta(&cursor)
            } else if cursor.isWord(key, "text") {
                if isNonEmptyString(&cursor) { hasContent = true }
            } else if cursor.isWord(key, "finish_reason") {
                finishes = isNonEmptyString(&cursor)
            } else if cursor.isWord(key, "index") {
                index = cursor.integer() ?? 0
            } else {
                cursor.skipValue()
            }
        }
        if finishes { hasFinish = true }
        guard index < 128 else { return }
        choicesSeen |= 1 << UInt128(index)
        if finishes { choicesFinished |= 1 << UInt128(index) }
    }

    /// Content is text of any name (`content`, `reasoning`, `reasoning_content`, `refusal`, …), a tool call, audio: any
    /// member with something in it but the role.
    private mutating func readDelta(_ cursor: inout JSONCursor) {
        _ = cursor.take(UInt8(ascii: "{"))
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return }
            switch cursor.peek() {
            case UInt8(ascii: "\""):
                let isText = isNonEmptyString(&cursor)
                if cursor.isWord(key, "role") { hasRole = true } else if isText { hasContent = true }
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                let before = cursor.position
                cursor.skipValue()
                if !Self.isHollow(cursor.bytes[before..<cursor.position]) { hasContent = true }
            default: cursor.skipValue()
            }
        }
    }

    private func isNonEmptyString(_ cursor: inout JSONCursor) -> Bool {
        guard cursor.peek() == UInt8(ascii: "\"") else {
            cursor.skipValue()
            return false
        }
        return cursor.string().map { !$0.isEmpty } ?? false
    }

    /// `[]` or `{}`, white space aside.
    private static func isHollow(_ value: Slice<UnsafeRawBufferPointer>) -> Bool {
        var inside = 0
        for byte in value where byte > 0x20 {
            inside += 1
            if inside > 2 { return false }
        }
        return true
    }

    /// Streams of other routes have typed events; which of them a client would miss is not known here, so each counts.
    /// The last event of a message or a response is its finish.
    private mutating func readTyped(_ cursor: inout JSONCursor) {
        kind = .content
        readMembers(&cursor, isInside: false)
    }

    private static func endsAnswer(_ type: Range<Int>, _ cursor: JSONCursor) -> Bool {
        cursor.isWord(type, "message_stop") || cursor.isWord(type, "response.completed")
            || cursor.isWord(type, "response.incomplete") || cursor.isWord(type, "response.failed")
    }

    private mutating func readMembers(_ cursor: inout JSONCursor, isInside: Bool) {
        _ = cursor.take(UInt8(ascii: "{"))
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return }
            if cursor.isWord(key, "error"), cursor.peek() != UInt8(ascii: "n") { kind = .error }
            if cursor.isWord(key, "type"), cursor.peek() == UInt8(ascii: "\"") {
                guard let word = cursor.string() else { return }
                if cursor.isWord(word, "error") { kind = .error }
                if !isInside, Self.endsAnswer(word, cursor) {
                    choicesSeen = 1
                    choicesFinished = 1
                }
            } else if !isInside, cursor.isWord(key, "response") || cursor.isWord(key, "message"),
                cursor.peek() == UInt8(ascii: "{")
            {
                // The last event of a response, and the first of a message, hold the count one level down.
                readMembers(&cursor, isInside: true)
            } else if cursor.isWord(key, "usage"), cursor.peek() == UInt8(ascii: "{") {
                if let counted = TokenUsage(&cursor) { usage = counted }
            } else {
                cursor.skipValue()
            }
        }
    }
}
