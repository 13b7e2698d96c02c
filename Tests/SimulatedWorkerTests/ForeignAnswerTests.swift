import Determinism
import SimulatedWorker
import Testing

@Suite("Answers in the forms of Anthropic and of Responses")
struct ForeignAnswerTests {
    private struct Event {
        let name: String
        let value: JSONValue
    }

    private func answer(_ flavor: Flavor, _ route: Ask.Route, _ body: String, again: Bool = false) throws -> String {
        var story = MachineStory(flavor, instant: true)
        let ask = try story.read(body, route)
        if again { try story.ask(body, route) }
        _ = story.machine.takeOutputs()
        var writer = AnswerWriter(flavor: flavor, ask: ask, number: 1, created: 1)
        let id = story.machine.accept(ask, at: .zero)
        var text = JSONText()
        for output in story.machine.takeOutputs() {
            switch output {
            case .cached(id, let tokens): writer.cachedTokens = tokens
            case .head(id): writer.begin(into: &text)
            case .tokens(id, let count): writer.tokens(count, into: &text)
            case .finish(id, let cached):
                if ask.stream {
                    writer.finish(cachedTokens: cached, into: &text)
                } else {
                    text.raw(writer.plain(cachedTokens: cached))
                }
            default: break
            }
        }
        return String(decoding: text.bytes, as: UTF8.self)
    }

    private func events(_ text: String) throws -> [Event] {
        let lines = text.split(separator: "\n")
        return try stride(from: 0, to: lines.count, by: 2).map { place in
            Event(
                name: String(lines[place].dropFirst("event: ".count)),
                value: try JSONValue(Array(lines[place + 1].dropFirst("data: ".count).utf8)))
        }
    }

    private let chatText =
        #"{"model":"llama-7b","max_tokens":3,"messages":[{"role":"system","content":"be brief"},"#
        + #"{"role":"user","content":"hello"}]}"#

    @Test(
        "both say what a chat says, plain and in a stream, of events that name themselves",
        arguments: [Flavor.llamaCpp, .vllmMLX])
    func sameWords(flavor: Flavor) throws {
        let said = String(decoding: try MachineStory(flavor).read(chatText).plan.choices[0].text, as: UTF8.self)
        let message =
            #"{"model":"llama-7b","max_tokens":3,"system":"be brief","messages":[{"role":"user","content":"hello"}]"#
        let plain = try JSONValue(Array(try answer(flavor, .messages, message + "}").utf8))
        #expect(plain["content"]?.items?.first?["text"]?.text == said)
        #expect(plain["stop_reason"] == "max_tokens")
        #expect(plain["usage"]?["output_tokens"] == .integer(3))
        let stream = try events(try answer(flavor, .messages, message + #","stream":true}"#))
        #expect(stream.allSatisfy { $0.value["type"]?.text == $0.name })
        #expect(stream.compactMap { $0.value["delta"]?["text"]?.text }.joined() == said)
        let end = stream.first { $0.name == "message_delta" }?.value["delta"]?["stop_reason"]?.text
        #expect(end == (flavor == .vllmMLX ? "end_turn" : "max_tokens"))

        let response = #"{"model":"llama-7b","max_output_tokens":3,"instructions":"be brief","input":"hello""#
        let whole = try JSONValue(Array(try answer(flavor, .responses, response + "}").utf8))
        #expect(whole["output"]?.items?.first?["content"]?.items?.first?["text"]?.text == said)
        #expect(whole["status"]?.text == (flavor == .vllmMLX ? "incomplete" : "completed"))
        let pieces = try events(try answer(flavor, .responses, response + #","stream":true}"#))
        #expect(pieces.allSatisfy { $0.value["type"]?.text == $0.name })
        #expect(pieces.compactMap { $0.value["delta"]?.text }.joined() == said)
        #expect(pieces.last?.name == "response.completed")
        let numbers = pieces.compactMap { $0.value["sequence_number"]?.whole }
        #expect(numbers == (flavor == .vllmMLX ? Array(1...pieces.count) : []))
    }

    @Test("a tool is called in the form of the route", arguments: [Flavor.llamaCpp, .vllmMLX])
    func tools(flavor: Flavor) throws {
        let schema = #"{"type":"object","properties":{"town":{"type":"string"}}}"#
        let message =
            #"{"model":"llama-7b","max_tokens":60,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"look","input_schema":\#(schema)}]"#
        let plain = try JSONValue(Array(try answer(flavor, .messages, message + "}").utf8))
        let block = try #require(plain["content"]?.items?.first)
        #expect(block["name"] == "look" && block["input"]?["town"] != nil && plain["stop_reason"] == "tool_use")
        let stream = try events(try answer(flavor, .messages, message + #","stream":true}"#))
        let pieces = stream.compactMap { $0.value["delta"]?["partial_json"]?.text }.joined()
        #expect(try JSONValue(Array(pieces.utf8)) == block["input"])

        let response =
            #"{"model":"llama-7b","input":[{"role":"user","content":"x"}],"tools":[{"type":"function","name":"look","parameters":\#(schema)}]}"#
        let call = try JSONValue(Array(try answer(flavor, .responses, response).utf8))["output"]?.items?.first
        #expect(call?["type"] == "function_call" && call?["name"] == "look")
    }

    @Test("llama.cpp's stream begins with what was in its cache")
    func cached() throws {
        let message =
            #"{"model":"llama-7b","max_tokens":3,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#
        let usage = try events(try answer(.llamaCpp, .messages, message, again: true))[0].value["message"]?["usage"]
        #expect(usage?["cache_read_input_tokens"] == .integer(3) && usage?["input_tokens"] == .integer(1))
    }

    @Test("kinds that were not observed with these routes have none of them")
    func others() {
        for flavor in Flavor.allCases where ![.llamaCpp, .vllmMLX].contains(flavor) {
            #expect(flavor.route("/v1/messages") == nil && flavor.route("/v1/responses") == nil)
        }
    }
}
