import Determinism
import SimulatedWorker
import Testing

@Suite("The machine")
struct MachineTests {
    @Test("a stream gets its head, its tokens at the chip's rate and its end; a late look changes nothing")
    func oneStream() throws {
        var often = MachineStory(.openAI)
        var late = MachineStory(.openAI)
        let id = try often.ask(chat("hello", "\"max_tokens\":90"))
        _ = try late.ask(chat("hello", "\"max_tokens\":90"))
        for _ in 0..<150 { often.pass(seconds: 0.01) }
        late.pass(seconds: 1.5)
        #expect(often.hasHead(id))
        #expect(often.tokens(id) == 90)
        #expect(often.isFinished(id))
        #expect(often.outputs == late.outputs)
        let journal = often.machine.journal.entries(after: 0)
        let finished = try #require(journal.first { $0.event == .finish })
        let seconds = finished.at.seconds(since: .zero)
        #expect((0.95...1.1).contains(seconds), "90 tokens at 91 per second")
        #expect(late.machine.journal.entries(after: 0) == journal)
    }

    @Test("two streams share a step: each is slower, both together are faster")
    func batching() throws {
        var story = MachineStory(.openAI)
        let ids = [try story.ask(chat("one", "\"max_tokens\":400")), try story.ask(chat("two", "\"max_tokens\":400"))]
        story.pass(seconds: 2)
        let counts = ids.map { story.tokens($0) }
        #expect(abs(counts[0] - counts[1]) <= 2)
        #expect((150...162).contains(counts[0]), "2 s of 91 tokens per second, divided by 1.15")
    }

    @Test("llama.cpp sends no head before a slot is free; the slot of one that ends goes to the first who waits")
    func slots() throws {
        var story = MachineStory(.llamaCpp, slots: 2)
        let ids = try (0..<4).map { try story.ask(chat("number \($0)", "\"max_tokens\":\($0 == 0 ? 4 : 200)")) }
        #expect(ids.map { story.hasHead($0) } == [true, true, false, false])
        #expect(story.machine.queuedCount == 2)
        story.pass(seconds: 0.2)
        #expect(ids.map { story.hasHead($0) } == [true, true, true, false])
        #expect(story.machine.runningCount == 2)
    }

    @Test("openai's head comes at once, with or without a slot")
    func headAtAccept() throws {
        var story = MachineStory(.openAI, slots: 1)
        let ids = try (0..<2).map { try story.ask(chat("number \($0)")) }
        #expect(ids.allSatisfy { story.hasHead($0) })
        #expect(story.machine.queuedCount == 1)
    }

    @Test("n choices of llama.cpp take n slots")
    func choicesTakeSlots() throws {
        var story = MachineStory(.llamaCpp, slots: 4)
        let three = try story.ask(chat("three", "\"n\":3,\"max_tokens\":9"))
        let two = try story.ask(chat("two", "\"n\":2,\"max_tokens\":9"))
        #expect(story.hasHead(three))
        #expect(!story.hasHead(two))
    }

    @Test("mlx_lm and exo comment on each prefill step of 2,048 tokens; the others are silent")
    func progress() throws {
        let words = String(repeating: "word", count: 5_000)
        for flavor in Flavor.allCases {
            var story = MachineStory(flavor)
            _ = try story.ask(chat(words))
            story.pass(seconds: 60)
            let steps = story.outputs.compactMap {
                if case .progress(_, let done, let total) = $0 { [done, total] } else { nil }
            }
            let tells = flavor == .mlxLM || flavor == .exo
            #expect(steps == (tells ? [[2_048, 5_002], [4_096, 5_002], [5_002, 5_002]] : []))
        }
    }

    @Test("a seeded request waits until mlx_lm's batch has drained, runs alone, and keeps the next one waiting")
    func seedDrainsTheBatch() throws {
        var story = MachineStory(.mlxLM)
        let first = try story.ask(chat("first", "\"max_tokens\":20"))
        let seeded = try story.ask(chat("seeded", "\"max_tokens\":20,\"seed\":3"))
        let last = try story.ask(chat("last", "\"max_tokens\":20"))
        #expect([first, seeded, last].map { story.hasHead($0) } == [true, false, false])
        story.pass(seconds: 0.3)
        #expect([first, seeded, last].map { story.hasHead($0) } == [true, true, false])
        story.pass(seconds: 0.3)
        #expect(story.hasHead(last))
    }

    @Test("another model pushes mlx_lm's out: it drains, loads for as long as the bytes take, and its cache is gone")
    func modelSwap() throws {
        let models = [SimulatedModel.seven, SimulatedModel(name: "b", parametersBillions: 8)]
        var story = MachineStory(.mlxLM, models: models)
        _ = try story.ask(chat("first"))
        story.pass(seconds: 1)
        let other = try story.ask(
            #"{"model":"b","stream":true,"max_tokens":4,"messages":[{"role":"user","content":"x"}]}"#)
        story.pass(seconds: 4.4)
        #expect(!story.hasHead(other), "eight billion parameters at 4.5 bits are 4.5 GB, a second each")
        story.pass(seconds: 0.5)
        #expect(story.hasHead(other))
        let back = try story.ask(chat("first"))
        story.pass(seconds: 20)
        #expect(story.cached(back) == 0)
    }

    @Test("a client that leaves frees its slot at once where the kind notices, with its phase in the journal")
    func leaving() throws {
        var story = MachineStory(.llamaCpp, slots: 1)
        let decoding = try story.ask(chat("a", "\"max_tokens\":4000"))
        let queued = try story.ask(chat("b", "\"max_tokens\":4000"))
        let last = try story.ask(chat(String(repeating: "long", count: 4_000), "\"max_tokens\":4"))
        story.pass(seconds: 1)
        story.leave(queued)
        story.leave(decoding)
        story.leave(last)
        story.leave(last)
        #expect(story.machine.runningCount == 0)
        #expect(story.machine.queuedCount == 0)
        let closed = story.machine.journal.entries(after: 0).filter { $0.event == .closed }
        #expect(closed.map(\.phase) == [.queued, .decode, .prefill])
        #expect(closed.map(\.noticed) == [true, true, true])
        #expect(closed.map(\.at) == Array(repeating: story.now, count: 3))
    }

    @Test("mlx_lm notices a stream's end with its next event, and that of a plain answer never")
    func leavingUnnoticed() throws {
        var story = MachineStory(.mlxLM)
        let stream = try story.ask(chat("a", "\"max_tokens\":400"))
        let plain = try story.ask(chat("b", "\"max_tokens\":400", stream: false))
        story.pass(seconds: 0.5)
        story.leave(stream)
        story.leave(plain)
        #expect(story.machine.runningCount == 2)
        story.pass(seconds: 0.1)
        #expect(story.machine.runningCount == 1)
        story.pass(seconds: 10)
        #expect(story.machine.runningCount == 0)
        #expect(!story.isFinished(plain), "nobody is there to be told")
        let events = story.machine.journal.entries(after: 0).filter { $0.exchange == plain }.map(\.event)
        #expect(events.last == .finish)
    }

    @Test("the same prompt is computed once; the next turn reuses prompt and answer; another prompt reuses nothing")
    func prefixCache() throws {
        var story = MachineStory(.openAI, instant: true)
        let words = String(repeating: "word", count: 100)
        let first = try story.ask(chat(words))
        let again = try story.ask(chat(words))
        let other = try story.ask(chat("something else"))
        #expect(story.cached(first) == 0)
        #expect(story.cached(again) == 101, "102 tokens, of which the last is always computed")
        #expect(story.cached(other) == 1, "the user's role is the same, and nothing else")
        let answer = String(decoding: try story.read(chat(words)).plan.choices[0].text, as: UTF8.self)
        let next = try story.ask(
            """
            {"model":"llama-7b","max_tokens":4,"messages":[{"role":"user","content":"\(words)"},
            {"role":"assistant","content":"\(answer)"},{"role":"user","content":"go on"}]}
            """)
        #expect(story.cached(next) == 106)
    }

    @Test("a worker without durations answers whole, at any slot count, and leaves no deadline behind")
    func instant() throws {
        var story = MachineStory(.llamaCpp, slots: 1, instant: true)
        for number in 0..<10 {
            let id = try story.ask(chat("number \(number)", "\"max_tokens\":30"))
            #expect(story.tokens(id) == 30)
            #expect(story.isFinished(id))
        }
        #expect(story.machine.nextDeadline == nil)
        #expect(story.machine.runningCount == 0)
    }

    @Test("the queue takes its bound and refuses one more")
    func queueBound() throws {
        var story = MachineStory(.openAI, slots: 1)
        try story.fault(#"{"kind":"zombie","times":1}"#)
        try story.ask(chat())
        story.pass(seconds: 1)
        for _ in 0..<WorkerMachine.queueMax { try story.ask(chat()) }
        #expect(story.machine.queuedCount == WorkerMachine.queueMax)
        #expect(story.machine.counters.refused == 0)
        try story.ask(chat())
        #expect(story.machine.queuedCount == WorkerMachine.queueMax)
        #expect(story.machine.counters.refused == 1)
    }

    @Test("the journal keeps its bound and forgets the oldest of one more")
    func journalBound() {
        var journal = Journal()
        let entry = Journal.Entry(event: .accept, at: .zero, monotonic: 0)
        for _ in 0..<Journal.entriesMax { journal.append(entry) }
        #expect(journal.entries(after: 0).first?.number == 1)
        journal.append(entry)
        let numbers = journal.entries(after: 0).map(\.number)
        #expect(numbers == Array(2...(Journal.entriesMax + 1)))
        #expect(journal.entries(after: Journal.entriesMax).map(\.number) == [Journal.entriesMax + 1])
        #expect(journal.entries(after: Journal.entriesMax + 1).isEmpty)
    }
}
