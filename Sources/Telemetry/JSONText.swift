/// Writes JSON into bytes, field by field, for lines that are made once and never read back by us.
package struct JSONText {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    package mutating func openObject() {
        comma()
        bytes.append(123)
        needsComma = false
    }

    package mutating func closeObject() {
        bytes.append(125)
        needsComma = true
    }

    package mutating func openArray() {
        comma()
        bytes.append(91)
        needsComma = false
    }

    package mutating func closeArray() {
        bytes.append(93)
        needsComma = true
    }

    package mutating func key(_ name: String) {
        comma()
        quoted(name)
        bytes.append(58)
        needsComma = false
    }

    package mutating func string(_ text: String) {
        comma()
        quoted(text)
        needsComma = true
    }

    package mutating func integer(_ value: Int) {
        comma()
        bytes += "\(value)".utf8
        needsComma = true
    }

    /// JSON has no infinities; they become null.
    package mutating func number(_ value: Double) {
        comma()
        bytes += (value.isFinite ? PrometheusText.number(value) : "null").utf8
        needsComma = true
    }

    package mutating func flag(_ value: Bool) {
        comma()
        bytes += (value ? "true" : "false").utf8
        needsComma = true
    }

    package mutating func null() {
        comma()
        bytes += "null".utf8
        needsComma = true
    }

    /// A string that is not text yet, such as a time.
    package mutating func string(_ write: (inout [UInt8]) -> Void) {
        comma()
        bytes.append(34)
        write(&bytes)
        bytes.append(34)
        needsComma = true
    }

    package mutating func newline() { bytes.append(10) }

    package mutating func field(_ name: String, _ value: String) {
        key(name)
        string(value)
    }

    package mutating func field(_ name: String, _ value: Int) {
        key(name)
        integer(value)
    }

    package mutating func field(_ name: String, _ value: Double) {
        key(name)
        number(value)
    }

    package mutating func field(_ name: String, _ value: Bool) {
        key(name)
        flag(value)
    }

    private mutating func comma() { if needsComma { bytes.append(44) } }

    private mutating func quoted(_ text: String) {
        bytes.append(34)
        var text = text
        text.withUTF8 { source in
            var start = 0
            for position in 0..<source.count {
                let byte = source[position]
                guard byte < 32 || byte == 34 || byte == 92 || byte == 127 else { continue }
                bytes.append(contentsOf: source[start..<position])
                start = position + 1
                switch byte {
                case 34: bytes += [92, 34]
                case 92: bytes += [92, 92]
                case 10: bytes += [92, 110]
                case 13: bytes += [92, 114]
                case 9: bytes += [92, 116]
                default:
                    let low = byte & 15
                    bytes += [92, 117, 48, 48, 48 + byte >> 4, low < 10 ? 48 + low : 87 + low]
                }
            }
            bytes.append(contentsOf: source[start...])
        }
        bytes.append(34)
    }
}
