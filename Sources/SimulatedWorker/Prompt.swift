/// What a worker reads before it answers: tokens for its cache, bytes for its words, and the stage directions of a test.
///
/// Stage directions stand in the last user message or the prompt: `«stop:9»` ends the answer by itself after nine tokens,
/// `«tool:name»` calls a tool, `«think:5»` begins with five tokens of thought.
package struct Prompt: Sendable, Equatable {
    package private(set) var tokens: [UInt32] = []
    package private(set) var bytes: [UInt8] = []
    package var stopAfter: Int?
    package var thinkFor = 0
    package var tool: String?

    package init() {}

    /// One message. A role costs a token, so that a message's text begins at a token's border wherever it stands: the
    /// next turn of a conversation shares all tokens of this one, the answer included.
    package mutating func add(role: String, text: String) {
        var mark = TokenText(model: role)
        tokens.append(UInt32(truncatingIfNeeded: mark.fingerprint))
        mark.stir(1)
        bytes.append(0x0a)
        bytes.append(contentsOf: role.utf8)
        bytes.append(0x3a)
        add(text: text)
    }

    package mutating func add(text: String) {
        let utf8 = Array(text.utf8)
        bytes.append(contentsOf: utf8)
        tokens.append(contentsOf: Self.tokens(utf8))
    }

    package mutating func add(token: Int) {
        tokens.append(UInt32(truncatingIfNeeded: token))
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: token).littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func direct(from text: String) {
        stopAfter = Self.direction("stop", in: text).flatMap { Int($0) } ?? stopAfter
        thinkFor = Self.direction("think", in: text).flatMap { Int($0) } ?? thinkFor
        tool = Self.direction("tool", in: text) ?? tool
    }

    package static func tokens(_ utf8: some Collection<UInt8>) -> [UInt32] {
        var tokens: [UInt32] = []
        tokens.reserveCapacity(utf8.count / 4 + 1)
        var word: UInt32 = 0
        var filled = 0
        for byte in utf8 {
            word = word << 8 | UInt32(byte)
            filled += 1
            if filled == TokenText.bytesPerToken {
                tokens.append(word)
                word = 0
                filled = 0
            }
        }
        if filled > 0 { tokens.append(word) }
        return tokens
    }

    private static func direction(_ name: String, in text: String) -> String? {
        var rest = Substring(text)
        while let begin = rest.firstIndex(of: "«") {
            rest = rest[rest.index(after: begin)...]
            guard let end = rest.firstIndex(of: "»") else { return nil }
            let parts = rest[..<end].split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0] == name { return String(parts[1]) }
        }
        return nil
    }
}
