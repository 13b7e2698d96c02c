/// What a comment line of a stream says about the prompt: the only sign of life while nothing can be decoded yet.
package enum PromptProgress: Equatable, Sendable {
    case none
    /// Prompt tokens computed so far. Only a rise is progress: a server may repeat its last line for ever.
    case advanced(done: Int, of: Int)
}

extension PromptProgress {
    /// Bytes of a line that is looked at: exo's has the model's name in it.
    static let lineBytesMax = 512
    private static let digitsMax = 12

    /// Reads mlx_lm's `: keepalive 2048/8192` and exo's `: prefill_progress {…}`, a line without its end; anything else
    /// is `none`.
    init(comment line: UnsafeRawBufferPointer) {
        guard line.count <= Self.lineBytesMax else {
            self = .none
            return
        }
        self = Self.pair(line) ?? Self.object(line) ?? .none
    }

    /// Where the line goes on after this word; nil if it does not begin with it.
    private static func rest(_ line: UnsafeRawBufferPointer, after word: StaticString) -> Int? {
        let length = word.utf8CodeUnitCount
        guard line.count > length else { return nil }
        for offset in 0..<length where line[offset] != word.utf8Start[offset] { return nil }
        return length
    }

    private static func pair(_ line: UnsafeRawBufferPointer) -> PromptProgress? {
        guard var place = rest(line, after: ": keepalive ") else { return nil }
        guard let done = number(line, &place), place < line.count, line[place] == UInt8(ascii: "/") else { return nil }
        place += 1
        guard let total = number(line, &place), place == line.count else { return nil }
        return .advanced(done: done, of: total)
    }

    private static func number(_ line: UnsafeRawBufferPointer, _ place: inout Int) -> Int? {
        let first = place
        var value = 0
        while place < line.count, line[place] &- 0x30 < 10 {
            guard place - first < digitsMax else { return nil }
            value = value * 10 + Int(line[place] - 0x30)
            place += 1
        }
        return place > first ? value : nil
    }

    private static func object(_ line: UnsafeRawBufferPointer) -> PromptProgress? {
        guard let place = rest(line, after: ": prefill_progress ") else { return nil }
        var cursor = JSONCursor(line, at: place)
        return members(&cursor, isInside: false)
    }

    /// `{"processed_tokens":1,"total_tokens":2}`, or the same one level down: exo writes the name of the object's type
    /// around its members.
    private static func members(_ cursor: inout JSONCursor, isInside: Bool) -> PromptProgress? {
        guard cursor.take(UInt8(ascii: "{")) else { return nil }
        var done: Int?
        var total: Int?
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return nil }
            if cursor.isWord(key, "processed_tokens") {
                done = cursor.integer()
            } else if cursor.isWord(key, "total_tokens") {
                total = cursor.integer()
            } else if !isInside, cursor.peek() == UInt8(ascii: "{") {
                return members(&cursor, isInside: true)
            } else {
                cursor.skipValue()
            }
        }
        guard !cursor.isBroken, let done, let total else { return nil }
        return .advanced(done: done, of: total)
    }
}
