/// What a worker's bytes say, read in place: status, framing, and the ranges of the body.
///
/// Workers are small HTTP servers with odd habits (HTTP/1.0, EOF as an end, chunks of one event). This parser accepts
/// those and nothing doubtful: whatever two readers could frame differently is a `protocolError`, and its connection is
/// closed, never reused (L11). It copies nothing: a head is parsed where it lies once it is whole, a body is answered
/// as ranges of the bytes that came.
package struct UpstreamResponseParser: Sendable {
    /// Bytes of status line and fields together.
    package static let headBytesMax = 32 << 10
    /// Bytes of chunk extensions and trailers, which carry nothing for us.
    package static let ignoredBytesMax = 8 << 10

    package enum Event: Equatable, Sendable {
        /// The bytes are used up, or (in a head) more are needed first.
        case needMore
        /// A final head; `end` is the offset just past it. The parser stands at its body.
        case head(ResponseHead, end: Int)
        case body(Range<Int>)
        /// The answer ended by its framing. `isReusable` if nothing about the connection leaves doubt.
        case end(isReusable: Bool)
        case failed(String)
    }

    private enum State: Sendable {
        case head
        case fixed(remaining: Int)
        case untilEOF
        case chunkSize(value: Int, digits: Int)
        case chunkExtension(value: Int)
        case chunkSizeLF(value: Int)
        case chunkData(remaining: Int)
        case chunkDataCR
        case chunkDataLF
        case trailer(lineBytes: Int)
        case trailerLF(isLast: Bool)
        case ended
        case failed
    }

    private var state = State.head
    private var keepsAlive = false
    private var ignoredBytes = 0

    package init() {}

    /// The next fact in `bytes` from `offset` on. For `.needMore` inside a head nothing was consumed: come back with
    /// the same bytes and more. Otherwise `offset` moves past what was understood.
    package mutating func next(in bytes: UnsafeRawBufferPointer, at offset: inout Int) -> Event {
        while true {
            switch state {
            case .head:
                guard let end = Self.headEnd(in: bytes, from: offset) else {
                    if bytes.count - offset > Self.headBytesMax {
                        return fail("a head of more than \(Self.headBytesMax) bytes")
                    }
                    return .needMore
                }
                guard end - offset <= Self.headBytesMax else {
                    return fail("a head of more than \(Self.headBytesMax) bytes")
                }
                let head: ResponseHead
                switch ResponseHead.parse(bytes, offset..<end) {
                case .success(let parsed): head = parsed
                case .failure(let failure): return fail(failure.reason)
                }
                offset = end
                if head.status < 200 {
                    // 101 would change the protocol under us; the others are notes on the way.
                    if head.status == 101 { return fail("an unasked switch of protocols") }
                    continue
                }
                keepsAlive = head.keepsAlive
                if head.status == 204 || head.status == 304 {
                    state = .fixed(remaining: 0)
                } else if head.isChunked {
                    state = .chunkSize(value: 0, digits: 0)
                } else if let length = head.contentLength {
                    state = .fixed(remaining: length)
                } else {
                    state = .untilEOF
                }
                return .head(head, end: end)
            case .fixed(let remaining):
                if remaining == 0 {
                    state = .ended
                    return .end(isReusable: keepsAlive)
                }
                guard offset < bytes.count else { return .needMore }
                return .body(take(remaining, of: bytes, at: &offset) { .fixed(remaining: $0) })
            case .untilEOF:
                guard offset < bytes.count else { return .needMore }
                let range = offset..<bytes.count
                offset = bytes.count
                return .body(range)
            case .chunkData(let remaining):
                if remaining == 0 {
                    state = .chunkDataCR
                    continue
                }
                guard offset < bytes.count else { return .needMore }
                return .body(take(remaining, of: bytes, at: &offset) { .chunkData(remaining: $0) })
            case .ended:
                guard offset < bytes.count else { return .needMore }
                return fail("bytes after the end of the answer")
            case .failed:
                return .failed("the connection was given up before")
            default:
                guard offset < bytes.count else { return .needMore }
                if let failure = chunkByte(bytes[offset]) { return fail(failure) }
                offset += 1
                if case .ended = state { return .end(isReusable: keepsAlive) }
            }
        }
    }

    /// The peer ended its side. True if the answer is whole by that: a body until EOF, or one already ended.
    package mutating func endOfBytes() -> Bool {
        switch state {
        case .untilEOF:
            state = .ended
            return true
        case .ended: return true
        default:
            return false
        }
    }

    /// Whether the parser stands between answers with nothing owed.
    package var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// Whether the body of the current answer ends with the connection.
    package var endsAtEOF: Bool {
        if case .untilEOF = state { true } else { false }
    }

    /// Ready for the next answer on the same connection.
    package mutating func startNext() {
        state = .head
        ignoredBytes = 0
    }

    private mutating func take(
        _ remaining: Int, of bytes: UnsafeRawBufferPointer, at offset: inout Int, _ next: (Int) -> State
    ) -> Range<Int> {
        let count = min(remaining, bytes.count - offset)
        let range = offset..<offset + count
        offset += count
        state = next(remaining - count)
        return range
    }

    private mutating func fail(_ reason: String) -> Event {
        state = .failed
        return .failed(reason)
    }

    /// One byte of chunked framing; the failure in words, if it is one.
    private mutating func chunkByte(_ byte: UInt8) -> String? {
        switch state {
        case .chunkSize(let value, let digits):
            if let digit = Self.hexDigit(byte) {
                // Fifteen digits stay far below `Int.max` and far above any answer.
                guard digits < 15 else { return "a chunk size of more than 15 digits" }
                state = .chunkSize(value: value << 4 | digit, digits: digits + 1)
            } else if digits == 0 {
                return "a chunk without a size"
            } else if byte == 13 {
                state = .chunkSizeLF(value: value)
            } else if byte == UInt8(ascii: ";") || byte == 32 || byte == 9 {
                state = .chunkExtension(value: value)
            } else {
                return "a chunk size that is not hexadecimal"
            }
        case .chunkExtension(let value):
            if byte == 13 {
                state = .chunkSizeLF(value: value)
            } else if byte == 10 {
                return "a bare line feed in a chunk size"
            }
            return ignore()
        case .chunkSizeLF(let value):
            guard byte == 10 else { return "a chunk size line without its line feed" }
            state = value == 0 ? .trailer(lineBytes: 0) : .chunkData(remaining: value)
        case .chunkDataCR:
            guard byte == 13 else { return "a chunk longer than its size" }
            state = .chunkDataLF
        case .chunkDataLF:
            guard byte == 10 else { return "a chunk longer than its size" }
            state = .chunkSize(value: 0, digits: 0)
        case .trailer(let lineBytes):
            if byte == 13 {
                state = .trailerLF(isLast: lineBytes == 0)
            } else if byte == 10 {
                return "a bare line feed in a trailer"
            } else {
                state = .trailer(lineBytes: lineBytes + 1)
                return ignore()
            }
        case .trailerLF(let isLast):
            guard byte == 10 else { return "a trailer line without its line feed" }
            state = isLast ? .ended : .trailer(lineBytes: 0)
        default:
            return "a byte out of place"
        }
        return nil
    }

    private mutating func ignore() -> String? {
        ignoredBytes += 1
        return ignoredBytes > Self.ignoredBytesMax
            ? "more than \(Self.ignoredBytesMax) bytes of extensions and trailers" : nil
    }

    private static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case 48...57: Int(byte - 48)
        case 65...70: Int(byte - 55)
        case 97...102: Int(byte - 87)
        default: nil
        }
    }

    /// Just past the empty line that ends the head beginning at `start`.
    private static func headEnd(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        let last = bytes.count - 3
        while index < last {
            // The third byte of the pattern decides how far a mismatch lets us jump.
            let byte = bytes[index + 3]
            if byte == 10 {
                if bytes[index + 2] == 13, bytes[index + 1] == 10, bytes[index] == 13 { return index + 4 }
                index += 2
            } else if byte == 13 {
                index += 1
            } else {
                index += 4
            }
        }
        return nil
    }
}
