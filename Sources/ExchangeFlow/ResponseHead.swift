/// A worker's response head: its framing decided, its fields as ranges of the bytes it came in.
package struct ResponseHead: Equatable, Sendable {
    package struct Field: Equatable, Sendable {
        package let name: Range<Int>
        package let value: Range<Int>
    }

    package enum ContentType: Equatable, Sendable { case none, json, eventStream, other }

    package struct Failure: Error, Equatable { package let reason: String }

    /// Fields of one head, more than any inference server sends.
    package static let fieldsMax = 100
    /// Fields that a `Connection` field names; more are not worth a list.
    static let connectionOptionsMax = 16

    package private(set) var status = 0
    package private(set) var minorVersion = 1
    package private(set) var contentLength: Int?
    package private(set) var isChunked = false
    package private(set) var keepsAlive = true
    package private(set) var contentType = ContentType.none
    package private(set) var isEncoded = false
    /// End-to-end fields, without those of the framing (`Content-Length`, `Transfer-Encoding`, `Connection`).
    package private(set) var fields: [Field] = []
    /// Fields named by `Connection`, lowercased: hop-by-hop as well.
    package private(set) var connectionOptions: [String] = []

    static func parse(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Result<ResponseHead, Failure> {
        var head = ResponseHead()
        var line = range.lowerBound
        var saysClose = false
        var saysKeepAlive = false
        var isFirst = true
        while true {
            guard let end = Self.lineEnd(bytes, from: line, to: range.upperBound) else {
                return .failure(Failure(reason: "a line without CRLF in the head"))
            }
            if end == line { break }
            if isFirst {
                guard head.readStatusLine(bytes, line..<end) else {
                    return .failure(Failure(reason: "a status line that is not HTTP/1"))
                }
                isFirst = false
            } else if let reason = head.readField(bytes, line..<end, &saysClose, &saysKeepAlive) {
                return .failure(Failure(reason: reason))
            }
            line = end + 2
        }
        guard !isFirst else { return .failure(Failure(reason: "an empty head")) }
        if head.isChunked, head.contentLength != nil {
            return .failure(Failure(reason: "both Content-Length and Transfer-Encoding"))
        }
        if head.isChunked, head.minorVersion == 0 {
            return .failure(Failure(reason: "Transfer-Encoding in HTTP/1.0"))
        }
        head.keepsAlive = !saysClose && (head.minorVersion >= 1 || saysKeepAlive)
        return .success(head)
    }

    private mutating func readStatusLine(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) -> Bool {
        // "HTTP/1.1 200" and then a space and a reason, or nothing.
        guard line.count >= 12, Self.equals(bytes, line.lowerBound..<line.lowerBound + 7, "http/1.") else {
            return false
        }
        let minor = bytes[line.lowerBound + 7]
        guard minor == 48 || minor == 49, bytes[line.lowerBound + 8] == 32 else { return false }
        minorVersion = Int(minor - 48)
        for index in line.lowerBound + 9..<line.lowerBound + 12 {
            guard (48...57).contains(bytes[index]) else { return false }
            status = status * 10 + Int(bytes[index] - 48)
        }
        if line.count > 12, bytes[line.lowerBound + 12] != 32 { return false }
        return status >= 100 && status <= 599
    }

    private mutating func readField(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, _ saysClose: inout Bool, _ saysKeepAlive: inout Bool
    ) -> String? {
        var colon = line.lowerBound
        while colon < line.upperBound, bytes[colon] != UInt8(ascii: ":") {
            guard Self.isToken(bytes[colon]) else { return "a field name with a byte that is not a token's" }
            colon += 1
        }
        guard colon > line.lowerBound, colon < line.upperBound else { return "a field without a name or a colon" }
        var first = colon + 1
        var last = line.upperBound
        while first < last, bytes[first] == 32 || bytes[first] == 9 { first += 1 }
        while last > first, bytes[last - 1] == 32 || bytes[last - 1] == 9 { last -= 1 }
        for index in first..<last where bytes[index] < 32 && bytes[index] != 9 || bytes[index] == 127 {
            return "a control character in a field value"
        }
        let name = line.lowerBound..<colon
        let value = first..<last
        switch name.count {
        case 14 where Self.equals(bytes, name, "content-length"):
            guard let length = Self.decimal(bytes, value) else { return "a Content-Length that is not a number" }
            if let known = contentLength, known != length { return "two different Content-Lengths" }
            contentLength = length
            return nil
        case 17 where Self.equals(bytes, name, "transfer-encoding"):
            guard Self.equals(bytes, value, "chunked"), !isChunked else {
                return "a Transfer-Encoding other than one chunked"
            }
            isChunked = true
            return nil
        case 10 where Self.equals(bytes, name, "connection"):
            var place = value.lowerBound
            while let option = Self.nextItem(bytes, &place, to: value.upperBound) {
                if Self.equals(bytes, option, "close") {
                    saysClose = true
                } else if Self.equals(bytes, option, "keep-alive") {
                    saysKeepAlive = true
                } else if !option.isEmpty, connectionOptions.count < Self.connectionOptionsMax {
                    connectionOptions.append(String(decoding: bytes[option], as: UTF8.self).lowercased())
                }
            }
            return nil
        case 12 where Self.equals(bytes, name, "content-type"):
            if Self.hasPrefix(bytes, value, "application/json") {
                contentType = .json
            } else if Self.hasPrefix(bytes, value, "text/event-stream") {
                contentType = .eventStream
            } else {
                contentType = .other
            }
        case 16 where Self.equals(bytes, name, "content-encoding"):
            isEncoded = !Self.equals(bytes, value, "identity")
        default: break
        }
        guard fields.count < Self.fieldsMax else { return "more than \(Self.fieldsMax) fields" }
        fields.append(Field(name: name, value: value))
        return nil
    }

    /// The next item of a comma-separated list from `start` on, spaces around it left out; `start` moves past it.
    private static func nextItem(
        _ bytes: UnsafeRawBufferPointer, _ start: inout Int, to end: Int
    ) -> Range<Int>? {
        guard start < end else { return nil }
        var last = start
        while last < end, bytes[last] != UInt8(ascii: ",") { last += 1 }
        var item = start..<last
        start = last + 1
        while let first = item.first, bytes[first] == 32 || bytes[first] == 9 { item = first + 1..<item.upperBound }
        while let final = item.last, bytes[final] == 32 || bytes[final] == 9 { item = item.lowerBound..<final }
        return item
    }

    /// Plain digits, no sign, no space, at most eighteen so that no addition overflows.
    private static func decimal(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        guard (1...18).contains(range.count) else { return nil }
        var value = 0
        for index in range {
            guard (48...57).contains(bytes[index]) else { return nil }
            value = value * 10 + Int(bytes[index] - 48)
        }
        return value
    }

    /// Where the line's CR stands; nil for a bare LF, a bare CR, or no end.
    private static func lineEnd(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int? {
        var index = start
        while index + 1 < end {
            if bytes[index] == 13 { return bytes[index + 1] == 10 ? index : nil }
            if bytes[index] == 10 { return nil }
            index += 1
        }
        return nil
    }

    /// Whether the bytes, ASCII letters lowered, are this lowercase text.
    package static func equals(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count == text.utf8CodeUnitCount && hasPrefix(bytes, range, text)
    }

    private static func hasPrefix(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount {
            var byte = bytes[range.lowerBound + index]
            if (65...90).contains(byte) { byte |= 32 }
            if byte != text.utf8Start[index] { return false }
        }
        return true
    }

    /// RFC 9110 5.6.2: the bytes of a field name.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        case 33, 35, 36, 37, 38, 39, 42, 43, 45, 46, 94, 95, 96, 124, 126: true
        default: false
        }
    }
}
