/// Errors in OpenAI's shape, the only one that SDKs read: `{"error":{"message","type","param","code"}}`.
package enum ErrorBody {
    /// Bytes of a worker's own text that are shown to the client.
    package static let workerTextBytesMax = 2 << 10

    package static func json(message: String, type: String, param: String?, code: String?) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.utf8.count + 96)
        append(#"{"error":{"message":"#, to: &bytes)
        appendString(message, to: &bytes)
        append(#","type":"#, to: &bytes)
        appendString(type, to: &bytes)
        append(#","param":"#, to: &bytes)
        appendString(param, to: &bytes)
        append(#","code":"#, to: &bytes)
        appendString(code, to: &bytes)
        append("}}", to: &bytes)
        return bytes
    }

    /// The same as the last event of a stream.
    package static func event(message: String, type: String, param: String?, code: String?) -> [UInt8] {
        Array("data: ".utf8) + json(message: message, type: type, param: param, code: code) + Array("\n\n".utf8)
    }

    /// The last event of a stream of `/v1/messages`, whose SDK reads no other shape.
    package static func messagesEvent(message: String, type: String) -> [UInt8] {
        var bytes = Array("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":".utf8)
        appendString(type == "server_error" ? "api_error" : type, to: &bytes)
        append(#","message":"#, to: &bytes)
        appendString(message, to: &bytes)
        append("}}\n\n", to: &bytes)
        return bytes
    }

    /// The HTTP status that the error object of an event names in `code` or `status`; nil when it names none.
    package static func status(in body: [UInt8]) -> Int? {
        body.withUnsafeBytes { bytes in
            var status: Int?
            var cursor = JSONCursor(bytes)
            cursor.forEachMember { cursor, key in
                guard cursor.isWord(key, "error"), cursor.peek() == UInt8(ascii: "{") else {
                    return cursor.skipValue()
                }
                cursor.forEachMember { cursor, key in
                    guard cursor.isWord(key, "code") || cursor.isWord(key, "status") else { return cursor.skipValue() }
                    if let told = cursor.integer(), (400..<600).contains(told) { status = told }
                }
            }
            return status
        }
    }

    /// A worker's error body in OpenAI's shape, or nil when it has that shape already.
    ///
    /// Flat `{"error":"text"}`, FastAPI's `{"detail":…}`, HTML and plain text become a message of at most
    /// `workerTextBytesMax` bytes of the worker's own words.
    /// `param`: the member of the request that is to blame, if it is known.
    package static func reshaped(_ body: [UInt8], status: Int, param: String? = nil) -> [UInt8]? {
        let text: String? = body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            guard cursor.take(UInt8(ascii: "{")) else { return words(bytes[...]) }
            var found: String??
            var isFirst = true
            while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
                isFirst = false
                guard let key = cursor.key() else { break }
                let isError = cursor.isWord(key, "error")
                let isDetail = cursor.isWord(key, "detail") || cursor.isWord(key, "message")
                switch cursor.peek() {
                case UInt8(ascii: "{") where isError:
                    // SDKs read `message`; an error object without one is no better than none.
                    if hasMessage(cursor), param == nil { return nil }
                    found = value(&cursor)
                case UInt8(ascii: "\"") where isError || isDetail:
                    let inside = cursor.string() ?? 0..<0
                    if isError || found == nil { found = unescaped(bytes, inside) }
                case UInt8(ascii: "n"): cursor.skipValue()
                default:
                    let told = value(&cursor)
                    if isError || (isDetail && found == nil) { found = told }
                }
            }
            return (found ?? nil) ?? words(bytes[...])
        }
        guard let text else { return nil }
        let told = text.isEmpty ? "The worker answered with status \(status) and no explanation." : text
        return json(
            message: told, type: status >= 500 ? "server_error" : "invalid_request_error", param: param,
            code: "worker.rejected")
    }

    private static func hasMessage(_ cursor: JSONCursor) -> Bool {
        var cursor = cursor
        _ = cursor.take(UInt8(ascii: "{"))
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return false }
            if cursor.isWord(key, "message"), cursor.peek() == UInt8(ascii: "\"") { return true }
            cursor.skipValue()
        }
        return false
    }

    /// A value's own text.
    private static func value(_ cursor: inout JSONCursor) -> String {
        _ = cursor.peek()
        let start = cursor.position
        cursor.skipValue()
        return words(cursor.bytes[start..<cursor.position])
    }

    private static func words(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        text(Array(bytes.prefix(workerTextBytesMax + 1)))
    }

    /// At most `workerTextBytesMax` bytes, cut between characters.
    private static func text(_ bytes: [UInt8]) -> String {
        var count = bytes.count
        if count > workerTextBytesMax {
            count = workerTextBytesMax
            while count > 0, bytes[count] & 0xc0 == 0x80 { count -= 1 }
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// A JSON string's inside as text. Escapes of control and quoting characters are undone; `\u` is left as written,
    /// which is legible and cannot go wrong.
    private static func unescaped(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> String {
        var undone: [UInt8] = []
        var place = range.lowerBound
        while place < range.upperBound, undone.count <= workerTextBytesMax {
            var byte = bytes[place]
            if byte == UInt8(ascii: "\\"), place + 1 < range.upperBound, bytes[place + 1] != UInt8(ascii: "u") {
                place += 1
                byte =
                    switch bytes[place] {
                    case UInt8(ascii: "n"): 0x0a
                    case UInt8(ascii: "t"): 0x09
                    case UInt8(ascii: "r"): 0x0d
                    default: bytes[place]
                    }
            }
            undone.append(byte)
            place += 1
        }
        return text(undone)
    }

    private static func append(_ text: StaticString, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private static func appendString(_ text: String?, to bytes: inout [UInt8]) {
        guard let text else { return append("null", to: &bytes) }
        JSONString.append(text, to: &bytes)
    }
}
