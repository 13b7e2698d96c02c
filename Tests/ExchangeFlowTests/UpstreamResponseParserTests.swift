import Determinism
import Testing

@testable import ExchangeFlow

/// What a whole answer says, however it was cut on its way.
private struct Story: Equatable {
    var status = 0
    var body: [UInt8] = []
    var isEnded = false
    var isReusable = false
    var failure: String?
}

/// Feeds the pieces as a connection does: what a head lacks is kept, everything else is used up.
private func read(_ pieces: [[UInt8]], eof: Bool = false) -> Story {
    var parser = UpstreamResponseParser()
    var story = Story()
    var kept: [UInt8] = []
    for piece in pieces {
        let bytes = kept + piece
        kept = []
        var offset = 0
        reading: while true {
            let event = bytes.withUnsafeBytes { parser.next(in: $0, at: &offset) }
            switch event {
            case .needMore:
                kept = Array(bytes[offset...])
                break reading
            case .head(let head, let end):
                story.status = head.status
                #expect(end == offset)
            case .body(let range): story.body += bytes[range]
            case .end(let isReusable):
                story.isEnded = true
                story.isReusable = isReusable
            case .failed(let reason):
                story.failure = reason
                return story
            }
        }
    }
    if eof { story.isEnded = parser.endOfBytes() && kept.isEmpty }
    return story
}

@Suite struct UpstreamResponseParserTests {
    @Test(
        "an answer means the same wherever its bytes are cut",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nConnection: close\r\n\r\nhello", false, 200, "hello", false),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", true),
            ("HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n", false, 503, "", true),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n", false, 200,
                "hello!", true
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n", false,
                200, "0123456789", true
            ),
            ("HTTP/1.0 200 OK\r\nServer: BaseHTTP\r\n\r\ndata: x\n\n", true, 200, "data: x\n\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", false, 200, "hi", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200, "x", true),
        ] as [(String, Bool, Int, String, Bool)])
    func cuts(_ row: (String, Bool, Int, String, Bool)) {
        let bytes = Array(row.0.utf8)
        let expected = Story(status: row.2, body: Array(row.3.utf8), isEnded: true, isReusable: row.4)
        #expect(read([bytes], eof: row.1) == expected)
        #expect(read(bytes.map { [$0] }, eof: row.1) == expected)
        for cut in 0...bytes.count {
            #expect(read([Array(bytes[..<cut]), Array(bytes[cut...])], eof: row.1) == expected)
        }
    }

    @Test(
        "what two readers could frame differently is refused",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\u{0}b\r\n\r\n",
            "HTTP/1.1 200 OK\nX: a\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1234567890123456\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
        ])
    func refused(_ text: String) {
        #expect(read([Array(text.utf8)]).failure != nil)
        #expect(read(Array(text.utf8).map { [$0] }).failure != nil)
    }

    @Test(
        "an early end is an end only where the end is the framing",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nContent-",
            "",
        ])
    func earlyEnd(_ text: String) {
        #expect(!read([Array(text.utf8)], eof: true).isEnded)
    }

    @Test("a head of the bound passes, one byte more does not")
    func headBound() {
        func head(of bytes: Int) -> [UInt8] {
            let begin = "HTTP/1.1 204 x\r\nX: "
            let end = "\r\n\r\n"
            return Array((begin + String(repeating: "a", count: bytes - begin.utf8.count - end.utf8.count) + end).utf8)
        }
        #expect(read([head(of: UpstreamResponseParser.headBytesMax)]).status == 204)
        #expect(read([head(of: UpstreamResponseParser.headBytesMax + 1)]).failure != nil)
        let endless = Array(repeating: UInt8(ascii: "a"), count: UpstreamResponseParser.headBytesMax + 1)
        #expect(read([endless]).failure != nil)
    }

    @Test("fields up to the bound, and not one more")
    func fieldBound() {
        func answer(_ fields: Int) -> [UInt8] {
            Array(("HTTP/1.1 204 x\r\n" + String(repeating: "a: b\r\n", count: fields) + "\r\n").utf8)
        }
        #expect(read([answer(ResponseHead.fieldsMax)]).failure == nil)
        #expect(read([answer(ResponseHead.fieldsMax + 1)]).failure != nil)
    }

    @Test("trailers and extensions are skipped up to their bound")
    func ignoredBound() {
        func answer(_ trailer: Int) -> [UInt8] {
            Array(
                ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + String(repeating: "t", count: trailer)
                    + "\r\n\r\n").utf8)
        }
        #expect(read([answer(UpstreamResponseParser.ignoredBytesMax)]).isEnded)
        #expect(read([answer(UpstreamResponseParser.ignoredBytesMax + 1)]).failure != nil)
    }

    @Test("mutated answers never crash and never yield more body than bytes", arguments: 0..<200 as Range<UInt64>)
    func fuzz(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var bytes = Array(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
                .utf8)
        for _ in 0...random.below(4) {
            bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
        }
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int(random.below(UInt64(rest.count))) + 1
            pieces.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        let cut = read(pieces)
        let whole = read([bytes])
        #expect(cut == whole)
        #expect(cut.body.count <= bytes.count)
    }
}
