/// Writes the lane's answers as HTTP/1 bytes: a head, its body as it comes, an end.
///
/// The framework's encoder makes three writes of every chunk and converts each head twice before; an answer of the lane
/// is one buffer per flush, whatever was said since the last one. Framing is ours to decide: a length where there is one,
/// else chunks, else (for HTTP/1.0) the end of the connection.
import HTTPTypes
import NIOCore
import NIOHTTP1

struct AnswerEncoder {
    /// Bodies up to here are copied behind what waits; a larger one is written by itself, uncopied.
    static let copiedBytesMax = 8 << 10

    private var isChunked = false
    /// What was said since the last write.
    private(set) var waiting = ByteBuffer()

    mutating func head(_ head: HTTPResponse, isOldClient: Bool) {
        let code = head.status.code
        waiting.writeStaticString(isOldClient ? "HTTP/1.0 " : "HTTP/1.1 ")
        waiting.writeString(String(code))
        waiting.writeStaticString(" ")
        waiting.writeString(HTTPResponseStatus(statusCode: code).reasonPhrase)
        waiting.writeStaticString("\r\n")
        var hasLength = false
        for field in head.headerFields {
            let name = field.name
            if name == .contentLength { hasLength = true }
            waiting.writeString(name.rawName)
            waiting.writeStaticString(": ")
            waiting.writeString(field.value)
            waiting.writeStaticString("\r\n")
        }
        // RFC 9112, section 6: these have no body, and so no framing of one.
        let isBodyless = code < 200 || code == 204 || code == 304
        isChunked = !isBodyless && !hasLength && !isOldClient
        waiting.writeStaticString(isChunked ? "transfer-encoding: chunked\r\n\r\n" : "\r\n")
    }

    /// Whether the bytes are too many to be copied. Then the caller writes `waiting`, the bytes, and calls `bodyWritten`.
    mutating func body(_ bytes: ByteBuffer) -> Bool {
        let count = bytes.readableBytes
        guard count > 0 else { return false }
        if isChunked {
            writeHexadecimal(count)
            waiting.writeStaticString("\r\n")
        }
        guard count <= Self.copiedBytesMax else { return true }
        waiting.writeImmutableBuffer(bytes)
        bodyWritten()
        return false
    }

    private mutating func writeHexadecimal(_ value: Int) {
        let digits: StaticString = "0123456789abcdef"
        var shift = (Int.bitWidth - 1 - value.leadingZeroBitCount) & ~3
        while shift >= 0 {
            waiting.writeInteger(digits.utf8Start[value >> shift & 15])
            shift -= 4
        }
    }

    mutating func bodyWritten() {
        if isChunked { waiting.writeStaticString("\r\n") }
    }

    mutating func end() {
        if isChunked { waiting.writeStaticString("0\r\n\r\n") }
        isChunked = false
    }

    /// Gives up what waits; nil when there is nothing.
    mutating func take() -> ByteBuffer? {
        guard waiting.readableBytes > 0 else { return nil }
        let bytes = waiting
        waiting.clear()
        return bytes
    }
}
