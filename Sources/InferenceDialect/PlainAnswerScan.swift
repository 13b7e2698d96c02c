/// Finds what matters of a plain JSON answer while its bytes pass, cut anywhere: the count of tokens, whether a choice
/// finished, whether it is an error.
///
/// Only members in their own place count (`usage` and `error` of the outermost object, `finish_reason` of a choice): a
/// model that writes JSON about usage writes it inside a string. Nothing is kept but one key and one `usage` object.
package struct PlainAnswerScan: Sendable {
    /// Bytes of a `usage` object; real ones have 200.
    static let usageBytesMax = 4 << 10
    /// Bytes of a key that are kept: the longest one looked for, and one more that tells a longer key apart.
    private static let keyBytesMax = 14

    package private(set) var usage: TokenUsage?
    /// Some choice says why it stopped.
    package private(set) var hasFinish = false
    /// The outermost object has an `error` that is not null.
    package private(set) var isErrorObject = false

    private enum Place: Sendable { case outside, key, afterKey, value, captured, done }

    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var place = Place.outside
    /// The last key of the outermost object, and of the object three deep that may be a choice.
    private var outerKey: [UInt8] = []
    private var choiceKey: [UInt8] = []
    private var captured: [UInt8] = []

    package init() {}

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
                if place == .key, isInString { noteKey(byte) }
            } else {
                structural(byte)
            }
            if place == .captured { capture(byte) }
            if place == .done { return }
            position += 1
        }
    }

    private mutating func noteKey(_ byte: UInt8) {
        if depth == 1, outerKey.count < Self.keyBytesMax { outerKey.append(byte) }
        if depth == 3, choiceKey.count < Self.keyBytesMax { choiceKey.append(byte) }
    }

    private mutating func structural(_ byte: UInt8) {
        switch byte {
        case 0x20, 0x0a, 0x0d, 0x09: return
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            noteValue(byte)
            open(byte)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            if depth <= 0 { place = .done } else if place == .key || place == .afterKey { place = .value }
        case UInt8(ascii: ":"): if place == .afterKey { place = .value }
        case UInt8(ascii: ","): if place != .captured, depth == 1 || (depth == 3 && isInChoices) { beginKey() }
        case UInt8(ascii: "\""):
            noteValue(byte)
            isInString = true
        default: noteValue(byte)
        }
        if depth == 0 { place = .done }
    }

    private mutating func open(_ byte: UInt8) {
        depth += 1
        if depth == 1 {
            // An array, or text that is no JSON, has nothing for us.
            if byte == UInt8(ascii: "{") { beginKey() } else { place = .done }
        } else if depth == 2, place == .value, byte == UInt8(ascii: "{"), outerKey.elementsEqual("usage".utf8) {
            place = .captured
            captured.removeAll(keepingCapacity: true)
        } else if depth == 3, byte == UInt8(ascii: "{"), isInChoices {
            beginKey()
        }
    }

    private var isInChoices: Bool { place != .captured && outerKey.elementsEqual("choices".utf8) }

    private mutating func beginKey() {
        place = .key
        if depth == 1 { outerKey.removeAll(keepingCapacity: true) }
        choiceKey.removeAll(keepingCapacity: true)
    }

    /// The first byte of a value, or one of the bytes after it.
    private mutating func noteValue(_ first: UInt8) {
        guard place == .value else { return }
        if depth == 1, first == UInt8(ascii: "{") || first == UInt8(ascii: "\""), outerKey.elementsEqual("error".utf8) {
            isErrorObject = true
        }
        if depth == 3, first == UInt8(ascii: "\""), isInChoices, choiceKey.elementsEqual("finish_reason".utf8) {
            hasFinish = true
        }
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
