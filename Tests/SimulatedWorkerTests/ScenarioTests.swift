import Determinism
import SimulatedWorker
import Testing

@Suite("Scenarios and the faults of the whole worker")
struct ScenarioTests {
    private func steps(_ text: String) throws -> [ScenarioStep] {
        try ScenarioStep.steps(try JSONValue(Array(text.utf8)))
    }

    @Test("steps come at their moments, whatever their order in the file")
    func moments() throws {
        var story = MachineStory(.openAI)
        story.machine.play(
            try steps(
                #"""
                [{"at_ms":3000,"restart":{"ms":500}},{"at_ms":1000,"fault":{"kind":"slow","for_ms":1000}},
                {"at_ms":0,"set":{"slots":2,"memory":"refuse"}}]
                """#))
        story.pass(seconds: 0.1)
        #expect(story.machine.slots == 2 && story.machine.memoryPolicy == .refuse)
        #expect(!story.machine.holds(.slow))
        story.pass(seconds: 1)
        #expect(story.machine.holds(.slow))
        story.pass(seconds: 1)
        #expect(!story.machine.holds(.slow) && !story.machine.isDown)
        story.pass(seconds: 1)
        #expect(story.machine.isDown)
        story.pass(seconds: 0.5)
        #expect(!story.machine.isDown && story.machine.isLoading)
    }

    @Test(
        "a step that means nothing is refused with its number",
        arguments: [
            "{}", #"[{"at_ms":0}]"#, #"[{"fault":{"kind":"slow"}}]"#, #"[{"at_ms":0,"fault":{"kind":"x"}}]"#,
            #"[{"at_ms":0,"set":{"slots":0}}]"#, #"[{"at_ms":0,"pause":1}]"#, #"[{"at_ms":0,"restart":{"ms":-1}}]"#,
        ])
    func unreadable(text: String) {
        #expect(throws: ScenarioStep.Unreadable.self) { try steps(text) }
    }

    @Test("a scenario takes its bound and not one step more")
    func bound() throws {
        let step = #"{"at_ms":0,"restart":{}}"#
        func list(_ count: Int) -> String { "[" + Array(repeating: step, count: count).joined(separator: ",") + "]" }
        #expect(try steps(list(ScenarioStep.stepsMax)).count == ScenarioStep.stepsMax)
        #expect(throws: ScenarioStep.Unreadable.self) { try steps(list(ScenarioStep.stepsMax + 1)) }
    }

    @Test("faults of the whole worker can wait for a request, and last from then on")
    func waiting() throws {
        let kinds: [ScriptedFault.Kind] = [
            .closeListener, .slow, .vanish, .lieHealth, .foreignLoad, .memoryTaken, .duplicateIdentity, .backlogFull,
        ]
        for kind in kinds {
            var story = MachineStory(.openAI, instant: true)
            try story.fault(#"{"kind":"\#(kind.rawValue)","match":"poison","after_requests":1,"for_ms":1000}"#)
            for words in ["poison", "fine"] { try story.ask(chat(words)) }
            story.pass(seconds: 5)
            #expect(!story.machine.holds(kind), "one passes, and the other does not match")
            try story.ask(chat("poison"))
            #expect(story.machine.holds(kind))
            story.pass(seconds: 1)
            #expect(!story.machine.holds(kind))
        }
    }

    @Test("a restart that waits for a request takes that request with it, and comes back once")
    func restart() throws {
        var story = MachineStory(.mlxLM)
        try story.fault(#"{"kind":"restart","match":"poison","ms":2000}"#)
        let open = try story.ask(chat("fine", #""max_tokens":4000"#))
        let poison = try story.ask(chat("poison"))
        #expect(story.outputs.contains(.hangUp(open, rudely: false)))
        #expect(story.outputs.contains(.hangUp(poison, rudely: false)))
        #expect(story.machine.isDown && story.machine.isClosed)
        story.pass(seconds: 2)
        #expect(!story.machine.isClosed && story.machine.isLoading)
        let later = try story.ask(chat("poison"))
        story.pass(seconds: 10)
        #expect(story.isFinished(later))
    }

    @Test("a closed, a full and a silent door are the machine's to tell")
    func doors() throws {
        var story = MachineStory(.vllmMLX)
        try story.fault(#"{"kind":"backlog_full","for_ms":1000}"#)
        #expect(story.machine.holds(.backlogFull) && !story.machine.isClosed)
        let id = try story.ask(chat())
        story.machine.terminate(at: story.now)
        #expect(story.machine.isClosed)
        story.pass(seconds: 5)
        #expect(story.isFinished(id))
        #expect(story.outputs.last == .processEnds)
    }

    @Test("the same seed, requests and moments leave the same journal, byte for byte", arguments: Flavor.allCases)
    func determinism(flavor: Flavor) throws {
        func journal(_ seed: UInt64) throws -> [UInt8] {
            var story = MachineStory(flavor, slots: 2, seed: seed)
            try story.fault(#"{"kind":"cut","probability":0.3,"after_tokens":2}"#)
            try story.fault(#"{"kind":"slow","probability":0.2,"for_ms":700}"#)
            var ids: [ExchangeID] = []
            for number in 0..<24 {
                ids.append(try story.ask(chat("number \(number % 5)", #""max_tokens":\#(number + 1)"#)))
                if number % 7 == 3 { story.leave(ids[number - 1]) }
                story.pass(seconds: 0.05 * Double(number % 4))
            }
            story.pass(seconds: 60)
            return story.machine.journal.entries(after: 0).flatMap { story.machine.report($0).bytes }
        }
        let first = try journal(7)
        #expect(try journal(7) == first)
        #expect(try journal(8) != first)
    }

    @Test(
        "two prompts and their answers take what the formulae say, within five parts in a hundred",
        arguments: Flavor.allCases)
    func timing(flavor: Flavor) throws {
        var story = MachineStory(flavor, models: [.seven])
        if flavor.loadsLazily {
            story.machine.load(0, at: story.now)
            story.pass(seconds: 10)
        }
        // 3,002 tokens of prompt and 200 of answer on an M2 Ultra.
        let begin = story.now
        let body = chat(String(repeating: "word", count: 3_000), #""max_tokens":200"#)
        try story.ask(body)
        story.pass(seconds: 60)
        let finish = try #require(story.machine.journal.entries(after: 0).last { $0.event == .finish })
        let prefill = 2_048.0 / 1_238 + 954.0 / 1_238 * (1 + 2_048.0 / 32_768)
        let weights = 7 * 0.5625
        let cache = 3_102.0 * 131_072 * 7 / 8 / 800e9
        let decode = 200 * (weights / (94.3 * 3.82) + cache)
        let seconds = finish.at.seconds(since: begin)
        #expect(abs(seconds / (prefill + decode) - 1) < 0.05, "\(seconds) instead of \(prefill + decode)")
    }
}
