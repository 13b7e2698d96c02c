/// What a comment line of a stream says about the prompt: the only sign of life while nothing can be decoded yet.
package enum PromptProgress: Equatable, Sendable {
    case none
    /// Prompt tokens computed so far. Only a rise is progress: a server may repeat its last line for ever.
    case advanced(done: Int, of: Int)
}

extension PromptProgress {
    /// Bytes of a line that is looked at.
    static let lineBytesMax = 64
    private static let digitsMax = 12

    /// Reads `: keepalive 2048/8192`, a line without its end; anything else is `none`.
    init(comment line: UnsafeRawBufferPointer) {
        self = Self.read(line) ?? .none
    }

    private static func read(_ line: UnsafeRawBufferPointer) -> PromptProgress? {
        let word: StaticString = ": keepalive "
        guard line.count > word.utf8CodeUnitCount, line.count <= lineBytesMax else { return nil }
        for offset in 0..<word.utf8CodeUnitCount where line[offset] != word.utf8Start[offset] { return nil }
        var place = word.utf8CodeUnitCount
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
}
