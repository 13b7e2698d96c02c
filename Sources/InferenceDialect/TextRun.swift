/// Passes over the text of a JSON string that nobody keeps: printable ASCII eight bytes at a time, characters of UTF-8
/// and escapes one by one. It checks what it passes, and stops at the first byte that it cannot pass whole.
struct TextRun {
    /// The first byte that was not passed.
    private(set) var end: Int
    /// By how many bytes the text passed is longer than what it means.
    private(set) var escaped = 0

    init(at start: Int) { end = start }

    @inline(__always)
    mutating func pass(_ bytes: UnsafeRawBufferPointer) {
        guard let text = bytes.baseAddress else { return }
        let count = bytes.count
        var place = end
        defer { end = place }
        while true {
            place = Self.endOfPlain(bytes, from: place)
            guard place < count else { return }
            // Scripts other than Latin have one character of several bytes after the other.
            var first = text.load(fromByteOffset: place, as: UInt8.self)
            while first >= 0x80 {
                let length = Self.lengthOfCharacter(first, text + place, room: count - place)
                guard length > 0 else { return }
                place += length
                guard place < count else { return }
                first = text.load(fromByteOffset: place, as: UInt8.self)
            }
            if first == UInt8(ascii: "\\") {
                let (length, meant) = Self.lengthOfEscape(text + place, room: count - place)
                guard length > 0 else { return }
                place += length
                escaped += length - meant
            } else if first == UInt8(ascii: "\"") || first < 0x20 {
                return
            }
        }
    }

    /// The end of the printable ASCII from `start` on, quotes and backslashes not counted as such.
    @inline(__always)
    static func endOfPlain(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        let ones = 0x0101_0101_0101_0101 as UInt64
        let high = 0x8080_8080_8080_8080 as UInt64
        while place + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5c)
            // High bits mark: bytes above 0x7f, quotes, backslashes, bytes below 0x20. A mark may be false only above a
            // true one, and the lowest is the one that counts.
            let marks =
                (word | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)
                    | ((word &- (ones &* 0x20)) & ~word)) & high
            if marks != 0 { return place + marks.trailingZeroBitCount / 8 }
            place += 8
        }
        while place < bytes.count {
            let byte = bytes[place]
            if byte < 0x20 || byte > 0x7f || byte == 0x22 || byte == 0x5c { break }
            place += 1
        }
        return place
    }

    /// Bytes of a whole and valid character of more than one (Unicode 15, table 3-7); 0 for anything else.
    @inline(__always)
    private static func lengthOfCharacter(_ first: UInt8, _ text: UnsafeRawPointer, room: Int) -> Int {
        func byte(_ offset: Int) -> UInt8 { text.load(fromByteOffset: offset, as: UInt8.self) }
        func continues(_ offset: Int) -> Bool { byte(offset) & 0xc0 == 0x80 }
        switch first {
        case 0xc2...0xdf: return room >= 2 && continues(1) ? 2 : 0
        case 0xe0...0xef:
            guard room >= 3, continues(1), continues(2) else { return 0 }
            if first == 0xe0, byte(1) < 0xa0 { return 0 }
            if first == 0xed, byte(1) > 0x9f { return 0 }
            return 3
        case 0xf0...0xf4:
            guard room >= 4, continues(1), continues(2), continues(3) else { return 0 }
            if first == 0xf0, byte(1) < 0x90 { return 0 }
            if first == 0xf4, byte(1) > 0x8f { return 0 }
            return 4
        default: return 0
        }
    }

    /// Bytes of a whole escape and of the character that it means; 0 for halves of surrogate pairs and anything else.
    @inline(__always)
    private static func lengthOfEscape(_ text: UnsafeRawPointer, room: Int) -> (length: Int, meant: Int) {
        guard room >= 2 else { return (0, 0) }
        switch text.load(fromByteOffset: 1, as: UInt8.self) {
        case UInt8(ascii: "n"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "t"), UInt8(ascii: "/"),
            UInt8(ascii: "r"), UInt8(ascii: "b"), UInt8(ascii: "f"):
            return (2, 1)
        case UInt8(ascii: "u"):
            guard room >= 6 else { return (0, 0) }
            var value: UInt32 = 0
            for offset in 2..<6 {
                let digit = hexadecimal(text.load(fromByteOffset: offset, as: UInt8.self))
                guard digit < 16 else { return (0, 0) }
                value = value << 4 | digit
            }
            if value < 0x80 { return (6, 1) }
            if value < 0x800 { return (6, 2) }
            return value & 0xf800 == 0xd800 ? (0, 0) : (6, 3)
        default: return (0, 0)
        }
    }

    /// A hexadecimal digit's value; 16 or more for any other byte.
    @inline(__always)
    private static func hexadecimal(_ byte: UInt8) -> UInt32 {
        let decimal = byte &- UInt8(ascii: "0")
        if decimal < 10 { return UInt32(decimal) }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? UInt32(letter) + 10 : 16
    }
}
