import Testing

@testable import UpstreamLane

@Suite("LoopTally")
struct LoopTallyTests {
    @Test("a value on an edge belongs to that edge's bucket, one above it to the next, and none is lost")
    func edges() {
        var histogram = LoopTally.Histogram([1, 2, 5])
        for value in [0, 1, 1.0001, 2, 5, 5.0001, 1e9] { histogram.observe(value) }
        #expect(histogram.buckets == [2, 2, 1, 2])
        #expect(abs(histogram.sum - (14.0002 + 1e9)) < 1e-3)
    }

    @Test("all edges rise")
    func rising() {
        for edges in [
            LoopTally.requestEdges, LoopTally.firstEventEdges, LoopTally.gapEdges, LoopTally.overheadEdges,
            LoopTally.queueEdges,
        ] {
            #expect(zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 })
        }
    }

    @Test("two loops add up, in every count")
    func sum() {
        var first = LoopTally()
        var second = LoopTally()
        let key = LoopTally.RequestKey(route: 0, model: 1, outcome: 2)
        let attempt = LoopTally.AttemptKey(worker: 3, outcome: 4)
        first.requests[key] = 1
        second.requests[key] = 2
        second.requests[LoopTally.RequestKey(route: 1, model: 1, outcome: 2)] = 5
        first.attempts[attempt] = 1
        second.attempts[attempt] = 3
        first.cancellations = ["queued": 1]
        second.cancellations = ["queued": 1, "decode": 2]
        first.retries = 1
        second.retries = 1
        first.promptTokens = [0: 10]
        second.promptTokens = [0: 1, 1: 2]
        second.completionTokens = [1: 4]
        first.requestSeconds[2].observe(0.2)
        second.requestSeconds[2].observe(0.2)
        second.firstEvent[1].observe(1)
        first.eventGap.observe(1)
        first.overhead.observe(1)
        second.queueWait.observe(1)
        first.inFlight = 2
        second.inFlight = 3
        first.add(second)
        #expect(first.requests == [key: 3, LoopTally.RequestKey(route: 1, model: 1, outcome: 2): 5])
        #expect(first.attempts == [attempt: 4] && first.cancellations == ["queued": 2, "decode": 2])
        #expect(first.retries == 2 && first.inFlight == 5)
        #expect(first.promptTokens == [0: 11, 1: 2] && first.completionTokens == [1: 4])
        #expect(first.requestSeconds[2].buckets.reduce(0, +) == 2 && abs(first.requestSeconds[2].sum - 0.4) < 1e-9)
        for histogram in [first.firstEvent[1], first.eventGap, first.overhead, first.queueWait] {
            #expect(histogram.buckets.reduce(0, +) == 1)
        }
    }

    @Test("every outcome has its own word, in the order of its number")
    func outcomes() {
        #expect(LoopTally.outcomeNames == ExchangeOutcome.allCases.map(\.code))
        #expect(Set(LoopTally.outcomeNames).count == LoopTally.outcomeNames.count)
        for (place, outcome) in ExchangeOutcome.allCases.enumerated() { #expect(outcome.rawValue == place) }
        #expect(LoopTally.routeNames.count == LoopTally().requestSeconds.count)
    }
}
