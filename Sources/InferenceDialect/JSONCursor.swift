/// Walks JSON text in place: keys are compared, strings measured, values skipped; nothing is decoded or allocated.
///
/// It is lenient: what is not JSON ends the walk (`isBroken`), and the caller then knows less. Requests, where leniency
/// would be a hole, are read by `RequestScan` instead.
struct JSONCursor {
    /// Nesting that a skip follows; deeper text ends the walk.
    static let depthMax = 128

    let bytes: UnsafeRawBufferPointer
    private(set) var position: Int
    private(set) var isBroken = false

    init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// The next byte that is not white space, without passing it; 0 at the end.
    mutating func peek() -> UInt8 {
        while position < bytes.count {
            let byte = bytes[position]
            if byte != 0x20, byte != 0x0a, byte != 0x0d, byte != 0x09 { return byte }
            position += 1
        }
        return 0
    }

    /// Passes `byte` if it is next.
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    /// Between members or elements: true when another follows, false at `end`, broken at anything else.
    mutating func another(before end: UInt8, isFirst: Bool) -> Bool {
        if take(end) { return false }
        if !isFirst, !take(UInt8(ascii: ",")) {
            isBroken = true
            return false
        }
        if position >= bytes.count { isBroken = true }
        return !isBroken
    }

    /// A key and its colon; the range is what stands between the quotes, escapes as they are.
    mutating func key() -> Range<Int>? {
        guard let range = string(), take(UInt8(ascii: ":")) else {
            isBroken = true
            return nil
        }
        return range
    }

    /// A string's inside.
    mutating func string() -> Range<Int>? {
        guard take(UInt8(ascii: "\"")) else {
            isBroken = true
            return nil
        }
        let start = position
        while position < bytes.count {
            position = ByteSearch.first(of: UInt8(ascii: "\""), or: UInt8(ascii: "\\"), in: bytes, from: position)
            guard position < bytes.count else { break }
            if bytes[position] == UInt8(ascii: "\"") {
                position += 1
                return start..<(position - 1)
            }
            // A backslash may be the last byte there is.
            position = min(position + 2, bytes.count)
        }
        isBroken = true
        return nil
    }

    /// A whole number that fits, passed over; nil for anything else, which is passed over too.
    mutating func integer() -> Int? {
        var value = 0
        _ = peek()
        let start = position
        while position < bytes.count, case let digit = bytes[position], digit &- 0x30 < 10 {
            guard position - start < 18 else { break }
            value = value * 10 + Int(digit - 0x30)
            position += 1
        }
        guard position > start, position >= bytes.count || Self.endsNumber(bytes[position]) else {
            position = start
            skipValue()
            return nil
        }
        return value
    }

    private static func endsNumber(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") || byte <= 0x20
    }

    /// Passes over one value of any kind.
    mutating func skipValue() {
        var depth = 0
        repeat {
            switch peek() {
            case UInt8(ascii: "\""): _ = string()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                position += 1
                if depth > Self.depthMax { isBroken = true }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else {
                    isBroken = true
                    return
                }
                depth -= 1
                position += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else {
                    isBroken = true
                    return
                }
                position += 1
            case 0: isBroken = true
            default:
                let start = position
                while position < bytes.count, !Self.endsNumber(bytes[position]) { position += 1 }
                // A control byte is no value: without a step forward the walk would never end.
                if position == start { isBroken = true }
            }
        } while depth > 0 && !isBroken
    }

    /// Passes over one value and says where it stands.
    mutating func value() -> Range<Int> {
        _ = peek()
        let start = position
        skipValue()
        return start..<max(start, position)
    }

    /// Walks the object at the cursor: `body` is called before each value and passes it.
    mutating func forEachMember(_ body: (inout JSONCursor, Range<Int>) -> Void) {
        guard take(UInt8(ascii: "{")) else {
            isBroken = true
            return
        }
        var isFirst = true
        while another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = key() else { return }
            body(&self, key)
        }
    }

    /// Walks the array at the cursor: `body` is called before each element and passes it.
    mutating func forEachElement(_ body: (inout JSONCursor) -> Void) {
        guard take(UInt8(ascii: "[")) else {
            isBroken = true
            return
        }
        var isFirst = true
        while another(before: UInt8(ascii: "]"), isFirst: isFirst) {
            isFirst = false
            body(&self)
        }
    }

    /// Whether the text at `range` is `word`.
    func isWord(_ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count where bytes[range.lowerBound + offset] != word.utf8Start[offset] { return false }
        return true
    }
}

/// The next of two bytes, eight at a time.
enum ByteSearch {
    /// Its place from `start` on; the end when there is none.
    @inline(__always)
    static func first(of one: UInt8, or other: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        let ones = 0x0101_0101_0101_0101 as UInt64
        let high = 0x8080_8080_8080_8080 as UInt64
        let first = ones &* UInt64(one)
        let second = ones &* UInt64(other)
        while place + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            // A byte of x is zero exactly where (x − 1) & ~x has its high bit; lower false hits cannot come first.
            let a = word ^ first
            let b = word ^ second
            let hit = ((a &- ones) & ~a | (b &- ones) & ~b) & high
            if hit != 0 { return place + hit.trailingZeroBitCount / 8 }
            place += 8
        }
        while place < bytes.count, bytes[place] != one, bytes[place] != other { place += 1 }
        return place
    }
}
