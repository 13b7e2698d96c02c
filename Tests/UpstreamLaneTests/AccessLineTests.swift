import Foundation
import HTTPTypes
import NIOCore
import Testing

@testable import UpstreamLane

@Suite("Access lines")
struct AccessLineTests {
    private func object(_ line: [UInt8]) throws -> [String: Any] {
        let read = try JSONSerialization.jsonObject(with: Data(line))
        return try #require(read as? [String: Any])
    }

    static let hostile = [
        "", "plain", "\"", "\\", "\\\"", "a\"b\\c", "\u{0}", "\n\r\t\u{8}\u{c}", "\u{1f}\u{7f}\u{80}",
        "\u{2028}\u{2029}",
        "größer 漢字 😀", "e\u{301}", "\\u0041", "</script>", "x\u{feff}y", "\u{fffd}", "\",\"status\":200,\"x\":\"",
        "%00\r\n",
        String(repeating: "\"", count: 5_000), String((0..<128).map { Character(Unicode.Scalar($0)) }),
    ]

    @Test("whatever a text holds, the line is one JSON object and tells the text as it is", arguments: hostile)
    func hostileText(text: String) throws {
        var line = AccessLine(reusing: Array("left over".utf8))
        line.raw("{\"first\":0")
        line.text("text", text)
        line.integer("last", 1)
        line.raw("}\n")
        let object = try object(line.bytes)
        #expect(object["text"] as? String == text && object.count == 3 && object["last"] as? Int == 1)
        #expect(!line.bytes.dropLast().contains(10) && line.bytes.last == 10, "one line")
        #expect(!line.bytes.dropLast().contains { $0 < 32 || $0 == 127 }, "no control character reaches a terminal")
    }

    @Test("numbers as JSON writes them")
    func numbers() throws {
        let counts = [0, 1, 9, 10, 11, 99, 100, 1_234_567_890, Int.max, -1]
        for count in counts {
            var line = AccessLine(reusing: [])
            line.raw("{\"first\":0")
            line.integer("count", count)
            line.milliseconds("ms", nanoseconds: Int64(count))
            line.raw("}")
            let object = try object(line.bytes)
            #expect(object["count"] as? Int == max(0, count))
            #expect((object["ms"] as? Double).map { abs($0 - Double(max(0, count) / 1_000) / 1_000) < 1e-3 } == true)
        }
        var line = AccessLine(reusing: [])
        line.milliseconds("ms", nanoseconds: 1_002_003_004)
        #expect(String(decoding: line.bytes, as: UTF8.self) == ",\"ms\":1002.003")
    }

    @Test("every ending writes one line, whole, with what a person needs")
    func fields() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in
                    connection.say(Reply.stream(Reply.content("a") + Reply.finish + Reply.usage + Reply.done))
                }
                bench.ask(
                    LaneBench.stream,
                    [
                        HTTPField(name: .xRequestID, value: "mine\"\\1"),
                        HTTPField(
                            name: HTTPField.Name("traceparent")!,
                            value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                    ])
            }
            try await run.until("an ending") { $0.clients[0].endings == ["end"] }
            let lines = try await run.on { $0.accessLines }
            let line = try object(try #require(lines.first))
            #expect(lines.count == 1)
            #expect(line["request_id"] as? String == "mine\"\\1" && line["replica"] as? String == "replica-a")
            #expect(line["client"] as? String == "192.0.2.7" && line["path"] as? String == "/v1/chat/completions")
            #expect(line["model"] as? String == "model" && line["worker"] as? String == "w0")
            #expect(line["status"] as? Int == 200 && line["outcome"] as? String == "answered")
            #expect(line["stream"] as? Bool == true && line["attempts"] as? Int == 1)
            #expect(line["prompt_tokens"] as? Int == 7 && line["completion_tokens"] as? Int == 3)
            #expect(line["trace_id"] as? String == "0af7651916cd43dd8448eb211c80319c")
            #expect(line["ttft_ms"] is Double && line["duration_ms"] is Double && line["error"] == nil)
            let time = try #require(line["time"] as? String)
            #expect(time.utf8.count == 24 && time.hasSuffix("Z"))
        }
    }

    @Test("a name a client invents stands in the line and breaks nothing, and no word of a prompt does")
    func clientsWords() async throws {
        try await LaneBench.run { run in
            try await run.on { bench in
                bench.ask(
                    #"{"model":"\u0000\"},{\"evil\":\"\\\n😀","messages":[{"role":"user","content":"secret words"}]}"#)
            }
            let (lines, text) = try await run.on { ($0.accessLines, $0.clients[0].text) }
            let line = try object(try #require(lines.first))
            #expect(line["outcome"] as? String == "model_not_found" && line["evil"] == nil && line["model"] == nil)
            #expect((line["error"] as? String)?.contains("\u{0}\"},{\"evil\":\"\\\n😀") == true)
            #expect(!String(decoding: lines[0], as: UTF8.self).contains("secret"))
            #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: Any])
        }
    }
}
