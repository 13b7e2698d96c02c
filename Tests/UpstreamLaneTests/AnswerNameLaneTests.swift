import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import NIOCore
import Testing

@testable import UpstreamLane

@Suite("Answers by the client's name for the model")
struct AnswerNameLaneTests {
    private static func plan(_ kind: WorkerKind = .openAI, renames: Bool = true) -> LaneBench.Plan {
        var plan = LaneBench.Plan()
        plan.kinds = [kind]
        plan.renamesModels = renames
        return plan
    }

    private static let asked = #"{"model":"alias","messages":[{"role":"user","content":"hello"}]}"#
    private static let askedStream = #"{"model":"alias","stream":true,"messages":[{"role":"user","content":"hello"}]}"#

    private static func answer(_ name: String) -> String {
        #"{"object":"chat.completion","model":"\#(name)","choices":[{"index":0,"message":{"content":"hi"},"#
            + #""finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1}}"#
    }

    private static func events(_ name: String) -> [String] {
        [#""delta":{"role":"assistant"}"#, #""delta":{"content":"hi"}"#, #""delta":{},"finish_reason":"stop""#].map {
            #"data: {"choices":[{"index":0,\#($0)}],"model":"\#(name)"}"# + "\n\n"
        }
    }

    private static func usage(_ name: String) -> String {
        #"data: {"choices":[],"model":"\#(name)","usage":{"prompt_tokens":7,"completion_tokens":1}}"# + "\n\n"
    }

    /// One exchange with a worker that says this; its client, as text.
    private static func client(
        _ plan: LaneBench.Plan, _ body: String, says reply: String
    ) async throws -> (text: String, length: String?, outcomes: Int) {
        var seen = ("", nil as String?, 0)
        try await LaneBench.run(plan) { run in
            try await run.on { bench in
                bench.worker.whenAsked = { connection, _ in connection.say(reply) }
                bench.ask(body)
            }
            try await run.until("an ending") { !$0.clients[0].endings.isEmpty }
            seen = try await run.on { bench in
                #expect(bench.clients[0].status == 200 && bench.clients[0].endings == ["end"] && bench.owed == [])
                return (bench.clients[0].text, bench.clients[0].field("content-length"), bench.outcomes(.answered))
            }
        }
        return seen
    }

    @Test("a plain answer comes whole, with its new length; without the setting it comes as it is")
    func plain() async throws {
        for renames in [true, false] {
            let name = renames ? "alias" : "/models/a path/of somebody"
            let seen = try await Self.client(
                Self.plan(renames: renames), Self.asked, says: Reply.plain(Self.answer("/models/a path/of somebody")))
            #expect(seen.text == Self.answer(name) && seen.length == String(Self.answer(name).utf8.count))
            #expect(seen.outcomes == 1)
        }
        let held = try await Self.client(Self.plan(.exo), Self.asked, says: Reply.plain(Self.answer("x")))
        #expect(held.text == Self.answer("alias"), "of a kind whose plain answers wait anyway")
        let assembled = try await Self.client(
            Self.plan(.llamaCpp, renames: false), Self.asked,
            says: Reply.stream((Self.events("x") + [Reply.done]).joined()))
        #expect(assembled.text.contains(#""model":"alias""#), "one that is put together here has it already")
    }

    @Test("what is no JSON, what is encoded and an error are passed as they are")
    func others() async throws {
        let body = Self.answer("x")
        let length = "content-length: \(body.utf8.count)\r\n"
        for fields in ["content-type: text/plain\r\n", "content-type: application/json\r\ncontent-encoding: br\r\n"] {
            let seen = try await Self.client(
                Self.plan(), Self.asked, says: "HTTP/1.1 200 OK\r\n\(fields)\(length)\r\n\(body)")
            #expect(seen.text == body)
        }
    }

    @Test("an answer too long to be kept passes as it is, from its first byte")
    func tooLong() async throws {
        let text = String(repeating: "t", count: AnswerAssembly.bytesUsual)
        let body = #"{"text":"\#(text)","model":"x"}"#
        let seen = try await Self.client(Self.plan(), Self.asked, says: Reply.plain(body))
        #expect(seen.text == body && seen.length == String(body.utf8.count))
    }

    @Test(
        "each event of a stream, wherever the bytes are cut, and what is withheld is withheld",
        arguments: [1, 5, 4_096])
    func stream(piece: Int) async throws {
        let said = Array((Self.events("theirs") + [Self.usage("theirs"), Reply.done]).joined().utf8)
        var reply = Reply.streamHead
        for start in stride(from: 0, to: said.count, by: piece) {
            reply += Reply.chunk(String(decoding: said[start..<min(start + piece, said.count)], as: UTF8.self))
        }
        reply += Reply.lastChunk
        let seen = try await Self.client(Self.plan(), Self.askedStream, says: reply)
        #expect(seen.text == (Self.events("alias") + [Reply.done]).joined() && seen.outcomes == 1)
        let untouched = try await Self.client(Self.plan(renames: false), Self.askedStream, says: reply)
        #expect(untouched.text == (Self.events("theirs") + [Reply.done]).joined())
    }

    @Test("exo's events are called events, whatever the setting, for an SDK may pass over what is none")
    func misnamed() async throws {
        let events = { (object: String, model: String) in
            Self.events(model).map { $0.replacingText(#"{"choices""#, #"{"object":"\#(object)","choices""#) }
        }
        for renames in [true, false] {
            let seen = try await Self.client(
                Self.plan(.exo, renames: renames), Self.askedStream,
                says: Reply.stream((events("chat.completion", "x") + [Reply.done]).joined()))
            #expect(seen.text == (events("chat.completion.chunk", renames ? "alias" : "x") + [Reply.done]).joined())
        }
    }

    @Test("a stream that ends inside a line loses no byte of it")
    func cutShort() async throws {
        let events = Self.events("theirs").joined() + #"data: {"model":"thei"#
        let seen = try await Self.client(Self.plan(), Self.askedStream, says: Reply.stream(events))
        #expect(seen.text == Self.events("alias").joined() + #"data: {"model":"thei"# + "\n\ndata: [DONE]\n\n")
    }
}
