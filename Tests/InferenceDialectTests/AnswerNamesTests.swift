/// The client's own name for a model stands in its answers, whatever the worker calls it, and nothing else changes.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("Names in answers")
struct AnswerNamesTests {
    private static let name = "my \"own\"/name"
    private static let quoted = #""my \"own\"/name""#

    /// What a stream becomes that is cut at these places.
    private static func renamed(_ stream: [UInt8], at cuts: [Int] = []) -> [UInt8] {
        var renamer = AnswerNames(model: name)
        var output: [UInt8] = []
        var from = 0
        for end in cuts + [stream.count] {
            // A copy of its own, so that a read past the piece is a read past an allocation.
            Array(stream[from..<end]).withUnsafeBytes { renamer.feed($0, into: &output) }
            from = end
        }
        renamer.finish(into: &output)
        return output
    }

    private static func renamed(_ stream: String) -> String {
        String(decoding: renamed(Array(stream.utf8)), as: UTF8.self)
    }

    private static func renamed(body: String) -> String {
        String(decoding: Array(body.utf8).withUnsafeBytes { AnswerNames(model: name).renamed($0) }, as: UTF8.self)
    }

    private static let written =
        ": keepalive 1/2\n\n" + event(chunk(#"{"content":"Grüße, \"model\":\"x\""}"#, more: #","model":"org/big""#))
        + "event: message_start\n"
        + event(#"{"type":"message_start","message":{"id":"m","model" : "","usage":{"a":1}}}"#)
        + event(#"{"type":"response.created","response":{"id":"r","model":"a\"b\\"}}"#)
        + event(#"{"choices":[{"message":{"model":"not this"},"model":"nor this"}],"model":"but this"}"#)
        + "data:{\"model\":\"tight\"}\n\ndata: null\n\n" + event("[DONE]")

    private static let becomes =
        ": keepalive 1/2\n\n" + event(chunk(#"{"content":"Grüße, \"model\":\"x\""}"#, more: #","model":"# + quoted))
        + "event: message_start\n"
        + event(#"{"type":"message_start","message":{"id":"m","model" : "# + quoted + #","usage":{"a":1}}}"#)
        + event(#"{"type":"response.created","response":{"id":"r","model":"# + quoted + "}}")
        + event(#"{"choices":[{"message":{"model":"not this"},"model":"nor this"}],"model":"# + quoted + "}")
        + "data:{\"model\":" + quoted + "}\n\ndata: null\n\n" + event("[DONE]")

    @Test("each event of a stream, whatever its line ends, cut at every place", arguments: ["\n", "\r\n", "\r"])
    func streams(lineEnd: String) {
        let stream = Array(Self.written.replacing("\n", with: lineEnd).utf8)
        let wanted = Array(Self.becomes.replacing("\n", with: lineEnd).utf8)
        #expect(Self.renamed(stream) == wanted)
        for place in 0...stream.count { #expect(Self.renamed(stream, at: [place]) == wanted, "cut at \(place)") }
        #expect(Self.renamed(stream, at: Array(0..<stream.count)) == wanted, "cut everywhere")
    }

    @Test(
        "what has no name is passed on as it is",
        arguments: [
            "", "data", "data:", "data: ", "data: {", "data: {\"model\":", "data: {\"model\":\"x",
            "data: {\"model\":3}\n\n",
            "data: {\"model\":null}\n\n", "data: [{\"model\":\"x\"}]\n\n", "datax: {\"model\":\"x\"}\n\n",
            ": {\"model\":\"x\"}\n\n", "id: 1\nretry: 3\n\n", "data: {\"a\":{\"model\":\"x\"}}\n\n",
            "data: {\"message\":{\"response\":{\"model\":\"x\"}}}\n\n", "data: {\"message\":\"model\"}\n\n",
        ])
    func nothing(stream: String) { #expect(Self.renamed(stream) == stream) }

    @Test("of an event whose data has several lines the first is looked into, and the next event again")
    func severalLines() {
        let second = "data: {\"model\":\"x\"}\n"
        let stream = "data: {\"id\":\"a\",\ndata:  \"b\":2}\n" + second + "\n" + second + "\n"
        #expect(Self.renamed(stream) == stream.dropLast(second.count + 1) + "data: {\"model\":\(Self.quoted)}\n\n")
    }

    @Test("a line of the largest length is looked into, one byte more passes as it comes")
    func bound() {
        let frame = "data: {\"model\":\"x\",\"text\":\"\"}"
        for more in [0, 1] {
            let text = String(repeating: "t", count: AnswerNames.lineBytesMax - frame.utf8.count + more)
            let line = "data: {\"model\":\"x\",\"text\":\"\(text)\"}"
            let stream = Array((line + "\n\n" + "data: {\"model\":\"y\"}\n\n").utf8)
            let isRenamed = more == 0
            let wanted =
                (isRenamed ? line.replacing("\"x\"", with: Self.quoted) : line)
                + "\n\ndata: {\"model\":\(Self.quoted)}\n\n"
            #expect(Self.renamed(stream, at: [line.utf8.count]) == Array(wanted.utf8))
        }
    }

    @Test("an event that calls itself a whole answer is called an event, with the model's name or without")
    func events() {
        func named(_ stream: String, model: String?) -> String {
            var names = AnswerNames(model: model, namesEvents: true)
            var output: [UInt8] = []
            Array(stream.utf8).withUnsafeBytes { names.feed($0, into: &output) }
            return String(decoding: output, as: UTF8.self)
        }
        let data = { (object: String, model: String, first: Bool) in
            let parts = [#""object": "\#(object)""#, #""model":\#(model)"#]
            let inner = #""choices":[{"delta":{"object":"chat.completion"}}]"#
            return "data: {" + ((first ? parts : parts.reversed()) + [inner]).joined(separator: ",") + "}\n\n"
        }
        for first in [true, false] {
            let stream = data("chat.completion", #""m""#, first)
            #expect(named(stream, model: nil) == data("chat.completion.chunk", #""m""#, first))
            #expect(named(stream, model: Self.name) == data("chat.completion.chunk", Self.quoted, first))
            let other = data("text_completion", #""m""#, first)
            #expect(named(other, model: nil) == other)
        }
        for stream in [event("[DONE]"), event(#"{"object":3}"#), event(#"{"message":{"object":"chat.completion"}}"#)] {
            #expect(named(stream, model: nil) == stream)
        }
    }

    @Test("a plain answer's own name, and no other string of that name")
    func bodies() {
        let answer = { (name: String) in
            #"{"id":"c","choices":[{"message":{"model":"no","content":"\"model\":\"no\""}}], "model" : \#(name), "usage":{}}"#
        }
        #expect(Self.renamed(body: answer(#""theirs""#)) == answer(Self.quoted))
        #expect(Self.renamed(body: answer(#""th\"ei\\rs""#)) == answer(Self.quoted))
        for body in [answer("null"), answer("7"), "", "{", "[]", "plain text", #"{"data":[{"model":"x"}]}"#] {
            #expect(Self.renamed(body: body) == body)
        }
    }
}
