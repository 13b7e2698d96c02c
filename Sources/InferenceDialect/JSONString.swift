/// A string as JSON writes it.
enum JSONString {
    static func append(_ text: String, to bytes: inout [UInt8]) {
        let digits: StaticString = "0123456789abcdef"
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0a: bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
            case 0..<0x20:
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(digits.utf8Start[Int(byte >> 4)])
                bytes.append(digits.utf8Start[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// The text of a string's inside, escapes undone; half of a surrogate pair becomes U+FFFD.
    static func unescaped(_ inside: some Collection<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(inside.count)
        var units: [UInt16] = []
        var place = inside.startIndex
        func next() -> UInt8? {
            guard place < inside.endIndex else { return nil }
            defer { inside.formIndex(after: &place) }
            return inside[place]
        }
        func flush() {
            guard !units.isEmpty else { return }
            text.append(contentsOf: String(decoding: units, as: UTF16.self).utf8)
            units.removeAll(keepingCapacity: true)
        }
        while let byte = next() {
            guard byte == UInt8(ascii: "\\"), let escaped = next() else {
                flush()
                text.append(byte)
                continue
            }
            if escaped == UInt8(ascii: "u") {
                var unit: UInt16 = 0
                for _ in 0..<4 { unit = unit << 4 | UInt16(next().flatMap(hexValue) ?? 0) }
                units.append(unit)
                continue
            }
            flush()
            switch escaped {
            case UInt8(ascii: "n"): text.append(0x0a)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "r"): text.append(0x0d)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0c)
            default: text.append(escaped)
            }
        }
        flush()
        return text
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
