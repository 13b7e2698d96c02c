/// SHA-256 of a key's secret part. The secret itself is never kept.
///
/// Equality takes the same time wherever two digests differ, so an answer's delay tells nothing about the right one.
package struct SecretDigest: Equatable, Sendable {
    package static let byteCount = 32

    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// `bytes` are the 32 bytes of the hash; a programmer's error otherwise.
    package init(_ bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a SHA-256 digest has 32 bytes")
        func word(_ start: Int) -> UInt64 { (0..<8).reduce(0) { $0 << 8 | UInt64(bytes[start + $1]) } }
        words = (word(0), word(8), word(16), word(24))
    }

    package static func == (one: SecretDigest, other: SecretDigest) -> Bool {
        let (a, b) = (one.words, other.words)
        return (a.0 ^ b.0) | (a.1 ^ b.1) | (a.2 ^ b.2) | (a.3 ^ b.3) == 0
    }
}
