/// The beginning of a short text (a key, a role, a number), kept while it is looked at. Its room is used again for the
/// next one, so that no member of a request costs an allocation.
struct KeptText: Sendable {
    private var room: [UInt8]
    private(set) var count = 0

    init() { room = Array(repeating: 0, count: 64) }

    mutating func clear() { count = 0 }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        if count == room.count { grow(by: 1) }
        room[count] = byte
        count += 1
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if room.count - count < bytes.count { grow(by: bytes.count) }
        let start = count
        room.withUnsafeMutableBytes { $0[start...].copyBytes(from: bytes) }
        count += bytes.count
    }

    private mutating func grow(by more: Int) {
        room.append(contentsOf: repeatElement(0, count: max(room.count, more)))
    }

    @inline(__always)
    subscript(place: Int) -> UInt8 { room[place] }

    @inline(__always)
    func says(_ word: StaticString) -> Bool { count == word.utf8CodeUnitCount && begins(with: word) }

    @inline(__always)
    func begins(with word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard count >= length else { return false }
        return room.withUnsafeBytes { bytes in
            for place in 0..<length where bytes[place] != word.utf8Start[place] { return false }
            return true
        }
    }

    func allSatisfy(_ condition: (UInt8) -> Bool) -> Bool { room[..<count].allSatisfy(condition) }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        room.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    var text: String { String(decoding: room[..<count], as: UTF8.self) }
}

extension KeptText {
    /// A whole number written as one and of 64 bits. JSON's grammar has been looked at already.
    var integer: Int64? {
        var place = 0
        let isNegative = count > 0 && room[0] == UInt8(ascii: "-")
        if isNegative { place = 1 }
        guard place < count else { return nil }
        var value: Int64 = 0
        while place < count {
            let digit = room[place] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            // Counted downwards: the least of all has no positive twin.
            let (tens, overflows) = value.multipliedReportingOverflow(by: 10)
            let (next, overflowsToo) = tens.subtractingReportingOverflow(Int64(digit))
            guard !overflows, !overflowsToo else { return nil }
            value = next
            place += 1
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    /// A number's value.
    var number: Double? {
        // Up to fifteen digits and a point: both parts are exact, so their quotient is the nearest there is.
        var place = 0
        let isNegative = count > 0 && room[0] == UInt8(ascii: "-")
        if isNegative { place = 1 }
        guard count <= 16 else { return Double(text) }
        var digits: Int64 = 0
        var scale = 1.0
        var isFraction = false
        while place < count {
            let byte = room[place]
            let digit = byte &- UInt8(ascii: "0")
            if digit < 10 {
                digits = digits * 10 + Int64(digit)
                if isFraction { scale *= 10 }
            } else if byte == UInt8(ascii: ".") {
                isFraction = true
            } else {
                return Double(text)
            }
            place += 1
        }
        let value = Double(digits) / scale
        return isNegative ? -value : value
    }
}
