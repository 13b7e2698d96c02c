import Determinism
import SimulatedWorker
import Testing

@Suite("Scripted faults")
struct FaultTests {
    @Test("a stall stops after its tokens and keeps the slot until its client leaves")
    func stall() throws {
        var story = MachineStory(.llamaCpp, slots: 1)
        try story.fault(#"{"kind":"stall","after_tokens":3,"times":1}"#)
        let stalled = try story.ask(chat("a", "\"max_tokens\":50"))
        let waiting = try story.ask(chat("b"))
        story.pass(seconds: 60)
        #expect(story.tokens(stalled) == 3)
        #expect(!story.hasHead(waiting))
        story.leave(stalled)
        story.pass(seconds: 1)
        #expect(story.isFinished(waiting))
    }

    @Test("a zombie sends a head and never a token")
    func zombie() throws {
        for instant in [false, true] {
            var story = MachineStory(.mlxLM, instant: instant)
            try story.fault(#"{"kind":"zombie"}"#)
            let id = try story.ask(chat())
            story.pass(seconds: 60)
            #expect(story.hasHead(id))
            #expect(story.tokens(id) == 0)
            #expect(!story.isFinished(id))
        }
    }

    @Test("endings of a fault come after their tokens, in place of the finish")
    func endings() throws {
        for (kind, ending) in [
            ("cut", { Output.hangUp($0, rudely: false) }), ("error_event", { Output.errorEvent($0) }),
            ("silent_end", { Output.silentEnd($0) }),
        ] {
            for instant in [false, true] {
                var story = MachineStory(.openAI, instant: instant)
                try story.fault("{\"kind\":\"\(kind)\",\"after_tokens\":2}")
                let id = try story.ask(chat("a", "\"max_tokens\":50"))
                story.pass(seconds: 5)
                #expect(story.tokens(id) == 2)
                #expect(story.outputs.last == ending(id))
                #expect(story.machine.runningCount == 0)
            }
        }
    }

    @Test("refuse and reset strike the requests that match, after those that pass, as often as they may")
    func aim() throws {
        var story = MachineStory(.openAI, instant: true)
        try story.fault(#"{"kind":"refuse","status":429,"match":"poison","after_requests":1,"times":1}"#)
        let ids = try ["fine", "poison", "poison", "poison"].map { try story.ask(chat($0)) }
        let refused = story.outputs.compactMap { if case .refuse(let id, 429, _) = $0 { id } else { nil } }
        #expect(refused == [ids[2]])
        #expect(ids.map { story.isFinished($0) } == [true, true, false, true])
    }

    @Test("a slow head delays head and answer, also where nothing else takes time")
    func slowHead() throws {
        for flavor in Flavor.allCases {
            var story = MachineStory(flavor, instant: true)
            try story.fault(#"{"kind":"slow_head","ms":500}"#)
            let id = try story.ask(chat())
            story.pass(seconds: 0.499)
            #expect(!story.hasHead(id))
            story.pass(seconds: 0.001)
            #expect(story.hasHead(id))
            #expect(story.isFinished(id))
        }
    }

    @Test("a slow chip is slow for as long as the fault lasts")
    func slow() throws {
        var story = MachineStory(.openAI)
        try story.fault(#"{"kind":"slow","factor":0.5,"for_ms":2000}"#)
        let id = try story.ask(chat("a", "\"max_tokens\":1000"))
        story.pass(seconds: 2)
        let slow = story.tokens(id)
        story.pass(seconds: 2)
        let fast = story.tokens(id) - slow
        #expect((88...93).contains(slow))
        #expect((178...183).contains(fast))
        #expect(story.machine.activeFaults.isEmpty)
    }

    @Test("somebody else's work on the chip takes its share of the speed, and gives it back")
    func foreignLoad() throws {
        var story = MachineStory(.openAI)
        let id = try story.ask(chat("a", "\"max_tokens\":1000"))
        story.pass(seconds: 2)
        let alone = story.tokens(id)
        try story.fault(#"{"kind":"foreign_load","factor":0.5,"for_ms":2000}"#)
        story.pass(seconds: 2)
        let shared = story.tokens(id) - alone
        story.pass(seconds: 2)
        let after = story.tokens(id) - alone - shared
        #expect((0.48...0.54).contains(Double(shared) / Double(alone)))
        #expect(after > 2 * shared - 10)
    }

    @Test("a worker that vanished takes nothing from its queue until it is back")
    func vanish() throws {
        var story = MachineStory(.llamaCpp)
        try story.fault(#"{"kind":"vanish","for_ms":5000}"#)
        let id = try story.ask(chat())
        story.pass(seconds: 4.999)
        #expect(!story.hasHead(id))
        story.pass(seconds: 1)
        #expect(story.isFinished(id))
    }

    @Test("a request of death kills the process, and another one does not")
    func dieOn() throws {
        var story = MachineStory(.mlxLM, instant: true)
        try story.fault(#"{"kind":"die_on","match":"poison"}"#)
        let harmless = try story.ask(chat("fine"))
        #expect(story.isFinished(harmless) && !story.outputs.contains(.processDies))
        let deadly = try story.ask(chat("poison"))
        #expect(story.outputs.contains(.processDies) && !story.hasHead(deadly))
    }

    @Test("a dead thread answers everybody with the same 404 until the restart")
    func threadDead() throws {
        var story = MachineStory(.mlxLM)
        let open = try story.ask(chat())
        let refusal = #expect(throws: Refusal.self) {
            try story.read(#"{"model":"llama-7b","prompt":["a","b"]}"#, .text)
        }
        #expect(refusal == .threadDies(silently: false))
        _ = story.machine.accept(.threadDies(silently: false), at: story.now)
        let later = try story.ask(chat())
        #expect(story.outputs.contains(.refuse(later, status: 404, body: ErrorText.threadDied)))
        #expect(story.outputs.contains(.hangUp(open, rudely: false)))
        story.machine.restart(at: story.now)
        let after = try story.ask(chat())
        story.pass(seconds: 2)
        #expect(story.isFinished(after))
    }

    @Test("the same seed makes the same choices of chance")
    func chance() throws {
        func struck(seed: UInt64) throws -> [Bool] {
            var story = MachineStory(.openAI, instant: true, seed: seed)
            try story.fault(#"{"kind":"reset","probability":0.5}"#)
            return try (0..<64).map { _ in
                let id = try story.ask(chat())
                return !story.isFinished(id)
            }
        }
        let first = try struck(seed: 7)
        #expect(try struck(seed: 7) == first)
        #expect(try struck(seed: 8) != first)
        #expect((16...48).contains(first.filter { $0 }.count))
    }

    @Test(
        "a fault that means nothing is refused by name",
        arguments: [
            #"{}"#, #"{"kind":"x"}"#, #"{"kind":"stall","after":3}"#, #"{"kind":"stall","after_tokens":-1}"#,
            #"{"kind":"slow","factor":0}"#,
        ])
    func unreadable(text: String) throws {
        let value = try JSONValue(Array(text.utf8))
        #expect(throws: ScriptedFault.Unreadable.self) { try ScriptedFault(value) }
    }

    @Test("as many faults as the bound, and not one more")
    func bound() throws {
        var machine = MachineStory(.openAI).machine
        for _ in 0..<WorkerMachine.faultsMax {
            let id = machine.add(ScriptedFault(kind: .slow), at: .zero)
            #expect(id != nil)
        }
        let oneMore = machine.add(ScriptedFault(kind: .slow), at: .zero)
        #expect(oneMore == nil)
    }
}
