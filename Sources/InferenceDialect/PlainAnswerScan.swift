/// Finds what matters of a plain JSON answer while its bytes pass, cut anywhere: the count of tokens, and whether the
/// text has ended as JSON ends.
///
/// Only the answer's own `usage` counts, a member of the outermost object: a model that writes JSON about usage writes
/// it inside a string. Nothing is kept but one key and one `usage` object.
package struct PlainAnswerScan: Sendable {
    /// Bytes of a `usage` object; real ones have 200.
    static let usageBytesMax = 4 << 10
    /// One more than the key looked for, which tells a longer one apart.
    private static let keyBytesMax = 6

    package private(set) var usage: TokenUsage?

    /// Where the scan stands; a key is one of the outermost object.
    private enum Place: Sendable { case outside, key, afterKey, value, captured, done }

    private var depth = 0
    /// Whether the outermost value is an object.
    private var isObject = false
    private var isInString = false
    private var isEscaped = false
    private var place = Place.outside
    private var key: [UInt8] = []
    private var captured: [UInt8] = []

    package init() {}

    /// An object was begun and has not ended: an end of the bytes here is no end of the answer.
    package var isCutShort: Bool { depth > 0 }

    package mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        guard place != .done else { return }
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                    if place == .key { place = .afterKey }
                } else if place != .key, place != .captured {
                    // Text, mostly: on to the next byte that means something.
                    position = ByteSearch.first(
                        of: UInt8(ascii: "\""), or: UInt8(ascii: "\\"), in: bytes, from: position)
                    continue
                }
                if place == .key, isInString, key.count < Self.keyBytesMax { key.append(byte) }
            } else {
                structural(byte)
            }
            if place == .captured { capture(byte) }
            if place == .done { return }
            position += 1
        }
    }

    private mutating func structural(_ byte: UInt8) {
        switch byte {
        case 0x20, 0x0a, 0x0d, 0x09: return
        case UInt8(ascii: "{"), UInt8(ascii: "["): open(byte)
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        case UInt8(ascii: ":"): if place == .afterKey { place = .value }
        case UInt8(ascii: ","): if depth == 1 { beginKey() }
        case UInt8(ascii: "\""): isInString = true
        default: break
        }
        // The outermost value has ended, or there was none to look into.
        if depth <= 0 {
            depth = 0
            place = .done
        }
    }

    private mutating func open(_ byte: UInt8) {
        depth += 1
        if depth == 1 {
            // An array has no key for us; where it ends still matters.
            isObject = byte == UInt8(ascii: "{")
            beginKey()
        } else if depth == 2, place == .value, byte == UInt8(ascii: "{"), key.elementsEqual("usage".utf8) {
            place = .captured
            captured.removeAll(keepingCapacity: true)
        }
    }

    private mutating func beginKey() {
        guard isObject else { return }
        place = .key
        key.removeAll(keepingCapacity: true)
    }

    private mutating func capture(_ byte: UInt8) {
        guard captured.count < Self.usageBytesMax else {
            captured = []
            place = .value
            return
        }
        captured.append(byte)
        guard depth == 1 else { return }
        usage =
            captured.withUnsafeBytes { bytes in
                var cursor = JSONCursor(bytes)
                return TokenUsage(&cursor)
            } ?? usage
        captured = []
        place = .value
    }
}
