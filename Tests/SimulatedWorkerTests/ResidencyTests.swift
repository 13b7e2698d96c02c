import Determinism
import SimulatedWorker
import Testing

@Suite("Models in memory")
struct ResidencyTests {
    /// Seven billion parameters at four and a half bits: 3.94 GB, a second each.
    private let loadSeconds = 3.94

    private func residents(_ story: MachineStory) -> [Int] { story.machine.residents.map(\.copies) }

    @Test("what is in memory at the start, and when the first answer's head comes", arguments: Flavor.allCases)
    func start(flavor: Flavor) throws {
        var story = MachineStory(flavor, models: [.seven, SimulatedModel(name: "b", parametersBillions: 7)])
        // With two models llama.cpp is a router.
        let lazy = [.ollama, .lmStudio, .oMLX, .llamaCpp].contains(flavor)
        #expect(residents(story) == (lazy ? [0, 0] : flavor == .mlxLM ? [1, 0] : [1, 1]))
        let id = try story.ask(chat())
        story.pass(seconds: loadSeconds - 0.1)
        #expect(story.isFinished(id) == !lazy)
        #expect(story.hasHead(id) == (!lazy || flavor == .oMLX), "omlx's head does not wait for the load")
        story.pass(seconds: 1)
        #expect(story.isFinished(id))
    }

    @Test("ollama ends a load when the client that began it leaves; who waits begins it anew")
    func abortedLoad() throws {
        var story = MachineStory(.ollama)
        let first = try story.ask(chat("a"))
        let second = try story.ask(chat("b"))
        story.pass(seconds: 3)
        story.leave(first)
        let events = story.machine.journal.entries(after: 0).map(\.event)
        #expect(events.suffix(3) == [.loadAbort, .closed, .loadBegin])
        story.pass(seconds: loadSeconds - 0.1)
        #expect(!story.hasHead(second))
        story.pass(seconds: 1)
        #expect(story.isFinished(second))
        #expect(story.machine.counters.loads == 1)
    }

    @Test("lm_studio loads a copy for each of several first requests")
    func copies() throws {
        var story = MachineStory(.lmStudio)
        for number in 0..<3 { try story.ask(chat("number \(number)")) }
        story.pass(seconds: 60)
        #expect(residents(story) == [3])
        #expect(abs(story.machine.memory.weights - 3 * 3.94) < 0.1)
        try story.ask(chat("later"))
        story.pass(seconds: 60)
        #expect(residents(story) == [3], "a model that is there is not loaded again")
    }

    @Test("as many loads at a time as the bound; one more request waits for theirs")
    func loadBound() throws {
        var story = MachineStory(.lmStudio)
        for number in 0..<WorkerMachine.loadsMax { try story.ask(chat("number \(number)")) }
        #expect(story.machine.runningLoads.count == WorkerMachine.loadsMax)
        let oneMore = try story.ask(chat("one more"))
        #expect(story.machine.runningLoads.count == WorkerMachine.loadsMax)
        story.pass(seconds: 100)
        #expect(residents(story) == [WorkerMachine.loadsMax])
        #expect(story.isFinished(oneMore))
    }

    @Test("ollama forgets a model five minutes after its last answer, or as keep_alive says")
    func keepAlive() throws {
        for (member, seconds) in [("", 300.0), (#","keep_alive":"1m30s""#, 90), (#","keep_alive":-1"#, nil)]
            as [(String, Double?)]
        {
            var story = MachineStory(.ollama)
            let id = try story.ask(#"{"model":"llama-7b"\#(member)}"#, .load)
            story.pass(seconds: 4)
            #expect(story.isFinished(id))
            story.pass(seconds: (seconds ?? 100_000) - 4)
            #expect(residents(story) == [1])
            story.pass(seconds: 5)
            #expect(residents(story) == [seconds == nil ? 1 : 0])
        }
    }

    @Test("keep_alive 0 unloads at once and loads nothing")
    func unload() throws {
        var story = MachineStory(.ollama, instant: true)
        try story.ask(chat())
        #expect(residents(story) == [1])
        let id = try story.ask(#"{"model":"llama-7b","keep_alive":0}"#, .load)
        #expect(story.isFinished(id))
        #expect(residents(story) == [0])
        #expect(story.machine.counters.loads == 1)
    }

    @Test(
        "durations are read as Go writes them",
        arguments: [("5m", 300.0), ("1h30m", 5_400), ("500ms", 0.5), ("10", 10), ("x", nil), ("5y", nil), ("", nil)]
            as [(String, Double?)])
    func durations(text: String, seconds: Double?) {
        #expect(KeepAlive(.string(text)) == seconds.map { .duration(.seconds($0)) })
    }

    @Test("exo has no instance of a deleted model, and has one again once it is placed and loaded")
    func instances() throws {
        var story = MachineStory(.exo)
        story.machine.unload(0, at: story.now)
        let refused = try story.ask(chat())
        let is404 = story.outputs.contains { if case .refuse(refused, 404, _) = $0 { true } else { false } }
        #expect(is404)
        story.machine.load(0, at: story.now)
        let id = try story.ask(chat())
        #expect(story.hasHead(id))
        story.pass(seconds: 10)
        #expect(story.isFinished(id))
    }

    // Memory

    private func tight(_ flavor: Flavor, _ memory: Double, models: Int = 1) -> MachineStory {
        MachineStory(
            flavor, instant: true,
            models: (0..<models).map { SimulatedModel(name: $0 == 0 ? "llama-7b" : "m\($0)", parametersBillions: 7) },
            contextTokens: 100_000, memoryGigabytes: memory)
    }

    @Test("the least recently used idle model makes room, where the kind evicts")
    func eviction() throws {
        // 13.4 GB for the GPU: the system's two and two models of four.
        var story = tight(.ollama, 20, models: 3)
        for name in ["llama-7b", "m1", "llama-7b", "m2"] {
            try story.ask(#"{"model":"\#(name)"}"#, .load)
            story.pass(seconds: 1)
        }
        #expect(residents(story) == [1, 0, 1])
    }

    @Test("a prompt that does not fit is refused by omlx's guard, in its words")
    func refusal() throws {
        var story = tight(.oMLX, 10)
        let small = try story.ask(chat("small"))
        let large = try story.ask(chat(String(repeating: "word", count: 30_000)))
        #expect(story.isFinished(small))
        let body = story.outputs.lazy.compactMap { if case .refuse(large, 507, let body) = $0 { body } else { nil } }
        #expect(
            body.first.map { String(decoding: $0, as: UTF8.self).contains("projected memory would exceed") } == true)
    }

    @Test("a model that does not fit is refused, and the next request is served")
    func refusedModel() throws {
        let large = SimulatedModel(name: "large", parametersBillions: 14)
        var story = MachineStory(.oMLX, instant: true, models: [.seven, large], memoryGigabytes: 10)
        let refused = try story.ask(
            #"{"model":"large","max_tokens":4,"messages":[{"role":"user","content":"x"}]}"#)
        let served = try story.ask(chat())
        let is507 = story.outputs.contains { if case .refuse(refused, 507, _) = $0 { true } else { false } }
        #expect(is507)
        #expect(story.isFinished(served))
    }

    @Test("swapping takes nine tenths of the speed, and gives them back with the memory")
    func swapping() throws {
        var story = MachineStory(.openAI, memoryGigabytes: 16)
        let id = try story.ask(chat("a", #""max_tokens":4000"#))
        story.pass(seconds: 2)
        let fast = story.tokens(id)
        try story.fault(#"{"kind":"memory_taken","gigabytes":8,"for_ms":10000}"#)
        story.pass(seconds: 10)
        let slow = story.tokens(id) - fast
        #expect((0.45...0.6).contains(Double(slow) / Double(fast)), "ten seconds at a tenth are one of two seconds")
        #expect(story.machine.memory.swapped == 0)
        story.pass(seconds: 2)
        #expect(story.tokens(id) - fast - slow > fast * 9 / 10)
    }

    @Test("a worker that is told to die of too little memory dies")
    func death() throws {
        var story = tight(.openAI, 16)
        story.machine.set(memoryPolicy: .die, at: .zero)
        try story.ask(chat())
        #expect(!story.outputs.contains(.processDies))
        try story.fault(#"{"kind":"memory_taken","gigabytes":8}"#)
        story.pass(seconds: 0.1)
        #expect(story.outputs.filter { $0 == .processDies }.count == 1)
    }
}
