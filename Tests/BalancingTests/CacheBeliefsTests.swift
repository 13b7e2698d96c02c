import Testing

@testable import Balancing

@Suite struct CacheBeliefsTests {
    private let model = ModelIndex(rawValue: 1)
    private let worker = WorkerIndex(rawValue: 2)

    @Test("a worker is believed to keep ten prompts; the eleventh displaces the one unused for longest")
    func prompts() {
        var beliefs = CacheBeliefs()
        for prompt in 1...10 as ClosedRange<UInt64> {
            beliefs.note(prompt, of: model, at: worker, tokens: Int(prompt) * 100)
        }
        #expect((1...10).allSatisfy { beliefs.tokens(of: $0, model, at: worker) == Int($0) * 100 })
        beliefs.note(1, of: model, at: worker, tokens: 150)
        beliefs.note(11, of: model, at: worker, tokens: 1_100)
        #expect(beliefs.tokens(of: 1, model, at: worker) == 150)
        #expect(beliefs.tokens(of: 2, model, at: worker) == 0)
        #expect(beliefs.tokens(of: 11, model, at: worker) == 1_100)
    }

    @Test("workers and models do not share what they keep")
    func apart() {
        var beliefs = CacheBeliefs()
        beliefs.note(7, of: model, at: worker, tokens: 500)
        #expect(beliefs.tokens(of: 7, ModelIndex(rawValue: 2), at: worker) == 0)
        #expect(beliefs.tokens(of: 7, model, at: WorkerIndex(rawValue: 1)) == 0)
    }

    @Test("at the bound of pairs all are kept, one past it begins anew")
    func pairs() {
        var beliefs = CacheBeliefs()
        let places = (0..<CacheBeliefs.pairsMax).map { (ModelIndex(rawValue: $0 / 4), WorkerIndex(rawValue: $0 % 4)) }
        for (model, worker) in places { beliefs.note(7, of: model, at: worker, tokens: 5) }
        // Another prompt of a known pair is no pair more.
        beliefs.note(8, of: places[0].0, at: places[0].1, tokens: 5)
        #expect(places.allSatisfy { beliefs.tokens(of: 7, $0.0, at: $0.1) == 5 })
        beliefs.note(7, of: model, at: WorkerIndex(rawValue: 9), tokens: 5)
        #expect(places.allSatisfy { beliefs.tokens(of: 7, $0.0, at: $0.1) == 0 })
        #expect(beliefs.tokens(of: 7, model, at: WorkerIndex(rawValue: 9)) == 5)
    }

    @Test(
        "the last model and worker of the bounds are remembered, one past either is not",
        arguments: [
            (CacheBeliefs.modelsMax - 1, CacheBeliefs.workersMax - 1, 5), (CacheBeliefs.modelsMax, 0, 0),
            (0, CacheBeliefs.workersMax, 0),
        ])
    func edges(_ model: Int, _ worker: Int, _ tokens: Int) {
        var beliefs = CacheBeliefs()
        beliefs.note(7, of: ModelIndex(rawValue: model), at: WorkerIndex(rawValue: worker), tokens: 5)
        #expect(beliefs.tokens(of: 7, ModelIndex(rawValue: model), at: WorkerIndex(rawValue: worker)) == tokens)
    }

    @Test("what a worker had in an earlier life is gone")
    func lives() {
        var beliefs = CacheBeliefs()
        beliefs.note(7, of: model, at: worker, tokens: 500, life: 1)
        #expect(beliefs.tokens(of: 7, model, at: worker, life: 1) == 500)
        #expect(beliefs.tokens(of: 7, model, at: worker, life: 2) == 0)
    }

    @Test("an answer that tells of far fewer cached tokens than were believed takes all belief in that worker away")
    func corrected() {
        for (believed, cached, keeps) in [(500, 499, true), (500, 250, true), (500, 249, false), (0, 0, true)] {
            var beliefs = CacheBeliefs()
            beliefs.note(1, of: model, at: worker, tokens: 500)
            beliefs.note(2, of: model, at: worker, tokens: 600)
            beliefs.correct(1, of: model, at: worker, life: 0, believed: believed, cached: cached, tokens: 700)
            #expect(beliefs.tokens(of: 1, model, at: worker) == 700)
            #expect(beliefs.tokens(of: 2, model, at: worker) == (keeps ? 600 : 0), "\(believed) \(cached)")
        }
    }

    @Test("a correction of what is forgotten already counts nothing twice: the bound of pairs stays where it is")
    func correctedTwice() {
        var beliefs = CacheBeliefs()
        let places = (0..<CacheBeliefs.pairsMax).map { (ModelIndex(rawValue: $0 / 4), WorkerIndex(rawValue: $0 % 4)) }
        // Its place exists, since one beside it is known, and nothing is believed there.
        beliefs.note(1, of: places[0].0, at: places[1].1, tokens: 5)
        beliefs.correct(1, of: places[0].0, at: places[0].1, life: 0, believed: 100, cached: 0, tokens: 5)
        for (model, worker) in places { beliefs.note(1, of: model, at: worker, tokens: 5) }
        beliefs.note(1, of: model, at: WorkerIndex(rawValue: 9), tokens: 5)
        #expect(places.allSatisfy { beliefs.tokens(of: 1, $0.0, at: $0.1) == 0 }, "one past the bound begins anew")
    }
}
