/// A JSON line in the making: plain appends to one array of bytes, which its owner reuses.
struct AccessLine {
    private(set) var bytes: [UInt8]

    /// `storage` is emptied and written over.
    init(reusing storage: consuming [UInt8]) {
        bytes = storage
        bytes.removeAll(keepingCapacity: true)
    }

    mutating func raw(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Text that is known to need no escapes.
    mutating func plain(_ text: String) {
        var text = text
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }

    mutating func integer(_ name: StaticString, _ value: Int) {
        key(name)
        number(value)
    }

    /// Milliseconds with three digits behind the point, from nanoseconds.
    mutating func milliseconds(_ name: StaticString, nanoseconds: Int64) {
        key(name)
        let microseconds = max(0, Int(nanoseconds / 1_000))
        number(microseconds / 1_000)
        fraction(microseconds % 1_000)
    }

    /// A point and three digits.
    mutating func fraction(_ thousandths: Int) {
        bytes.append(UInt8(ascii: "."))
        bytes.append(UInt8(ascii: "0") + UInt8(thousandths / 100 % 10))
        bytes.append(UInt8(ascii: "0") + UInt8(thousandths / 10 % 10))
        bytes.append(UInt8(ascii: "0") + UInt8(thousandths % 10))
    }

    mutating func text(_ name: StaticString, _ value: String) {
        key(name)
        bytes.append(UInt8(ascii: "\""))
        var value = value
        value.withUTF8 { text in
            // Most texts need no escape, and then are one copy.
            if text.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5c && $0 != 0x7f }) {
                bytes.append(contentsOf: text)
            } else {
                for byte in text { escaped(byte) }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escaped(_ byte: UInt8) {
        switch byte {
        case 0x22, 0x5c:
            bytes.append(0x5c)
            bytes.append(byte)
        case 0..<0x20, 0x7f:
            raw("\\u00")
            let digits: StaticString = "0123456789abcdef"
            bytes.append(digits.utf8Start[Int(byte >> 4)])
            bytes.append(digits.utf8Start[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }

    private mutating func key(_ name: StaticString) {
        bytes.append(UInt8(ascii: ","))
        bytes.append(UInt8(ascii: "\""))
        raw(name)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func number(_ value: Int) {
        guard value >= 10 else {
            // None of our counts is negative.
            bytes.append(UInt8(ascii: "0") + UInt8(max(0, value)))
            return
        }
        var rest = value
        let start = bytes.count
        while rest > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        }
        bytes[start...].reverse()
    }
}
