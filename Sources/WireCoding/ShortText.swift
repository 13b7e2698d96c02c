/// At most 32 bytes of UTF-8 without control characters, kept inline: a member's name costs no allocation.
package struct ShortText: Hashable, Sendable, CustomStringConvertible {
    package static let bytesMax = 32

    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    package private(set) var count: UInt8 = 0

    package init() {}

    /// Nil when it is too long or not such a text.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.bytesMax, Self.isText(bytes) else { return nil }
        count = UInt8(bytes.count)
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: bytes) }
    }

    /// What fits of the text, cut between characters; control characters become spaces.
    package init(clipping text: String) {
        var clipped: [UInt8] = []
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            let bytes = isControl ? [0x20] : Array(String(scalar).utf8)
            if clipped.count + bytes.count > Self.bytesMax { break }
            clipped += bytes
        }
        self = clipped.withUnsafeBytes { ShortText($0) } ?? ShortText()
    }

    package func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(of: words) { try body(UnsafeRawBufferPointer(rebasing: $0.prefix(Int(count)))) }
    }

    package var description: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    package static func == (left: ShortText, right: ShortText) -> Bool {
        left.words == right.words && left.count == right.count
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }

    private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // Names are ASCII as a rule, and a `String` of more than 15 bytes is an allocation.
        if bytes.allSatisfy({ (0x20...0x7e).contains($0) }) { return true }
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        return text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
    }
}
