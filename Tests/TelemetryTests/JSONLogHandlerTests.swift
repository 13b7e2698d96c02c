/// Log lines are read by programs, so each must be one JSON object on one line, whatever is put into it.
import Foundation
import Logging
import Telemetry
import Testing

/// What a handler wrote during `body`.
private func lines(
    _ levels: LogLevelSwitch = LogLevelSwitch(.info), _ body: (inout Logger) -> Void
) throws -> [String] {
    let pipe = Pipe()
    let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 65_536)
    var logger = Logger(label: "starling.test") { label in
        JSONLogHandler(label: label, writer: writer, levels: levels, nowMilliseconds: { 1_774_412_642_007 })
    }
    body(&logger)
    writer.close()
    try pipe.fileHandleForWriting.close()
    let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    return text.split(separator: "\n").map(String.init)
}

@Suite("the JSON log")
struct JSONLogHandlerTests {
    @Test("is one object a line, fields sorted")
    func snapshot() throws {
        let written = try lines { logger in
            logger[metadataKey: "replica"] = "gw-1"
            logger.warning(
                "worker \"a\"\nis gone",
                metadata: [
                    "worker.id": "mac-1", "attempts": .stringConvertible(3), "time": "mine",
                    "list": ["x", .dictionary(["k": "v"])],
                ], source: "tests")
        }
        #expect(
            written == [
                #"{"time":"2026-03-25T04:24:02.007Z","level":"warning","logger":"starling.test","source":"tests","#
                    + #""message":"worker \"a\"\nis gone","attempts":"3","list":["x",{"k":"v"}],"#
                    + #""replica":"gw-1","meta.time":"mine","worker.id":"mac-1"}"#
            ])
    }

    @Test("stays JSON with anything in it")
    func hostile() throws {
        let text = (0..<160).compactMap { UnicodeScalar($0) }.map(String.init).joined() + "\u{2028}😀\u{fffd}"
        let written = try lines { logger in logger.info("\(text)", metadata: ["\(text)": "\(text)"]) }
        let line = try #require(written.first)
        #expect(written.count == 1)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == text)
        #expect(object[text] as? String == text)
    }

    @Test("a reload's level holds for loggers made before it, but for those with a level of their own")
    func level() throws {
        let levels = LogLevelSwitch(.info)
        let written = try lines(levels) { logger in
            logger.debug("one")
            levels.level = .debug
            logger.debug("two")
            logger.logLevel = .error
            logger.warning("three")
        }
        #expect(written.count == 1)
        #expect(written.first?.contains(#""message":"two""#) == true)
    }

    @Test("a text of 8,192 bytes passes whole, a longer one is cut and says so")
    func textBound() throws {
        let fits = String(repeating: "m", count: JSONLogHandler.textBytesMax)
        let written = try lines { logger in
            logger.info("\(fits)")
            logger.info("\(fits)m")
        }
        #expect(written[0].contains("\"\(fits)\""))
        #expect(written[1].contains("\"\(fits)… (cut)\""))
    }

    @Test("64 fields pass, the 65th is counted")
    func fieldsBound() throws {
        func metadata(_ count: Int) -> Logger.Metadata {
            Logger.Metadata(uniqueKeysWithValues: (0..<count).map { ("k\($0 + 100)", "v") })
        }
        let written = try lines { logger in
            logger.info("a", metadata: metadata(64))
            logger.info("b", metadata: metadata(65))
        }
        #expect(!written[0].contains("meta.omitted"))
        #expect(written[1].contains(#""meta.omitted":1"#))
    }

    @Test(
        "times are right on leap days, at the epoch and before it",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func timestamps(_ milliseconds: Int64, _ expected: String) {
        var bytes: [UInt8] = []
        TimestampText.append(millisecondsSince1970: milliseconds, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }
}
