import Determinism
import Testing

@testable import Balancing

@Suite struct ResourceAwareTests {
    // The rows of the design's table: an 8B model in 4 bits on an M2 Ultra and on an M5 Pro.
    private let ultra = candidate(0, prefill: 1_060, decode: 80)
    private let pro = candidate(1, prefill: 1_410, decode: 56)

    private func near(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 0.1 }

    @Test("seconds of the design's table")
    func table() {
        #expect(near(ResourceAware.score(ultra, prompt: 300, output: 200), 2.8))
        #expect(near(ResourceAware.score(pro, prompt: 300, output: 200), 3.8))
        #expect(near(ResourceAware.score(ultra, prompt: 12_000, output: 100), 12.6))
        #expect(near(ResourceAware.score(pro, prompt: 12_000, output: 100), 10.3))
    }

    @Test("a chat goes to the fast decoder, a document to the fast prefiller")
    func twoRates() {
        var chooser = PlacementChooser(strategy: .resourceAware, seed: 1)
        #expect(chooser.workers(5, among: [ultra, pro], for: query(prompt: 300, output: 200)) == [0, 0, 0, 0, 0])
        #expect(chooser.workers(5, among: [ultra, pro], for: query(prompt: 12_000, output: 100)) == [1, 1, 1, 1, 1])
    }

    @Test("what runs there already is paid for, although a slot is free")
    func drain() {
        var busy = ultra
        busy.running = 2
        busy.outputTokensAhead = 800
        var chooser = PlacementChooser(strategy: .resourceAware, seed: 1)
        #expect(chooser.workers(5, among: [busy, pro], for: query(prompt: 300, output: 200)) == [1, 1, 1, 1, 1])
        busy.outputTokensAhead = 0
        busy.promptTokensAhead = 4_000
        #expect(chooser.workers(5, among: [busy, pro], for: query(prompt: 300, output: 200)) == [1, 1, 1, 1, 1])
    }

    @Test("a step grows with the streams beside it, up to the slots")
    func steps() {
        func decoding(_ running: Int) -> Double {
            ResourceAware.score(candidate(0, slots: 3, running: running, decode: 10, slope: 0.5), prompt: 0, output: 10)
        }
        #expect([0, 1, 2, 3].map(decoding) == [1, 1.5, 2, 2])
    }

    @Test("loading and memory pressure cost seconds, and pressure never infinitely many")
    func price() {
        let free = ResourceAware.score(candidate(0), prompt: 100, output: 10)
        let loading = ResourceAware.score(candidate(0, load: 12), prompt: 100, output: 10)
        let half = ResourceAware.score(candidate(0, pressure: 0.5), prompt: 100, output: 10)
        let full = ResourceAware.score(candidate(0, pressure: 1), prompt: 100, output: 10)
        #expect(abs(loading - free - 12) < 1e-9)
        #expect(abs(half - free - 0.15) < 1e-9)
        #expect(abs(full - free - 0.15 * 49) < 1e-6)
    }

    @Test("weight 2 counts half the seconds; a missing rate is dear and not infinite")
    func weight() {
        let one = ResourceAware.score(candidate(0), prompt: 100, output: 10)
        #expect(ResourceAware.score(candidate(0, weight: 2), prompt: 100, output: 10) == one / 2)
        let unknown = ResourceAware.score(candidate(0, weight: 0, prefill: 0, decode: 0), prompt: 100, output: 10)
        #expect(unknown.isFinite && unknown > 1_000)
    }

    @Test("equals within a quarter of a second are drawn among, one beyond it never")
    func ties() {
        var chooser = PlacementChooser(strategy: .resourceAware, seed: 2)
        // 1 s, 1.24 s and 1.26 s of own work.
        let fleet = [
            candidate(0, decode: 100), candidate(1, decode: 100, load: 0.24), candidate(2, decode: 100, load: 0.26),
        ]
        var counts = [0, 0, 0]
        for worker in chooser.workers(2_000, among: fleet, for: query(prompt: 0, output: 100)) { counts[worker] += 1 }
        #expect(counts[2] == 0)
        #expect((888...1_112).contains(counts[0]))
    }

    @Test("of two equals the one with more room takes it")
    func room() {
        var chooser = PlacementChooser(strategy: .resourceAware, seed: 2)
        let fleet = [
            candidate(0, slots: 8, running: 3, decode: 1_000), candidate(1, slots: 8, running: 1, decode: 1_000),
        ]
        #expect(chooser.workers(20, among: fleet, for: query(prompt: 10, output: 10)) == Array(repeating: 1, count: 20))
    }

    @Test("many equals are chosen equally often")
    func even() {
        var chooser = PlacementChooser(strategy: .resourceAware, seed: 5)
        let fleet = (0..<10).map { candidate($0) }
        var counts = [Int](repeating: 0, count: 10)
        for worker in chooser.workers(10_000, among: fleet, for: query()) { counts[worker] += 1 }
        // 1 000 expected; five standard deviations are 150.
        #expect(counts.allSatisfy { (850...1_150).contains($0) })
    }

    @Test("none is nobody")
    func none() {
        var chooser = PlacementChooser(strategy: .resourceAware, seed: 5)
        let chosen = chooser.choose(among: [], for: query())
        #expect(chosen == nil)
    }

    @Test(
        "what is believed cached is not computed again; who cannot join the batch waits for its end, and so do the others"
    )
    func cacheAndBatch() {
        var cached = candidate(0, prefill: 100, decode: 50)
        cached.cachedTokens = 900
        #expect(ResourceAware.score(cached, prompt: 1_000, output: 0) == 1)
        cached.cachedTokens = 2_000
        #expect(ResourceAware.score(cached, prompt: 1_000, output: 0) == 0.01)
        let busy = candidate(1, running: 1, prompt: 100, output: 50, prefill: 100, decode: 50)
        var alone = busy
        alone.joinsBatch = false
        let joined = ResourceAware.score(busy, prompt: 100, output: 0)
        #expect(abs(ResourceAware.score(alone, prompt: 100, output: 0) - joined - 2) < 1e-9)
    }
}
