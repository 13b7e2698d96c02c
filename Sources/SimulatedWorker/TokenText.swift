/// The words of a worker that knows none: the next token is a function of the model and of every byte before it.
///
/// The same prompt therefore gets the same text from any worker, and a prompt that already ends in the beginning of an
/// answer is continued where it stopped. A token is a space and three letters, four bytes like the average real one.
package struct TokenText: Sendable {
    package static let bytesPerToken = 4
    private static let prime: UInt64 = 0x100_0000_01b3
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    package init(model: String) { read(Array(model.utf8)) }

    /// Bytes of the prompt, in order.
    package mutating func read(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { state = (state ^ UInt64(byte)) &* Self.prime }
    }

    /// Mixes in what makes one sampling differ from another: seed, temperature, the number of the choice.
    package mutating func stir(_ value: UInt64) {
        guard value != 0 else { return }
        state ^= Self.finish(value)
    }

    /// The next token. It becomes part of what was read.
    package mutating func next() -> [UInt8] {
        var mixed = Self.finish(state)
        var token: [UInt8] = [0x20]
        for letters in [Self.consonants, Self.vowels, Self.consonants] {
            token.append(letters[Int(mixed % UInt64(letters.count))])
            mixed /= UInt64(letters.count)
        }
        read(token)
        return token
    }

    /// A number that belongs to everything read so far, for what is no text: embeddings, identifiers.
    package var fingerprint: UInt64 { Self.finish(state) }

    package static func tokens(inBytes count: Int) -> Int { (count + bytesPerToken - 1) / bytesPerToken }

    private static let consonants = Array("bdfgklmnprstvz".utf8)
    private static let vowels = Array("aeiou".utf8)

    /// SplitMix64's finisher: the plain product above has weak low bits.
    private static func finish(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
