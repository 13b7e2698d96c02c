import Testing

@testable import Balancing

@Suite struct WeightedRoundRobinTests {
    @Test("5, 1, 1 is spread evenly through the round")
    func smooth() {
        var chooser = PlacementChooser(strategy: .weightedRoundRobin, seed: 1)
        let fleet = [candidate(0, weight: 5), candidate(1, weight: 1), candidate(2, weight: 1)]
        #expect(chooser.workers(14, among: fleet, for: query()) == [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0])
    }

    @Test("without weights, a Mac of twice the speed takes twice the turns")
    func speed() {
        var chooser = PlacementChooser(strategy: .weightedRoundRobin, seed: 1)
        let fleet = [candidate(0, decode: 20), candidate(1, decode: 40)]
        #expect(chooser.workers(300, among: fleet, for: query()).count { $0 == 1 } == 200)
    }

    @Test("slots count by what they add: eight streams are not eight times one")
    func slots() {
        let one = WeightedRoundRobin.share(of: candidate(0, slots: 1, decode: 40))
        let eight = WeightedRoundRobin.share(of: candidate(0, slots: 8, decode: 40))
        #expect(one == 40)
        // 320 tokens a second if streams cost nothing; a step of eight takes 2.05 times as long.
        #expect(abs(eight - 156.097_56) < 1e-4)
    }

    @Test("every model has its own balances; one past the bound shares the first's")
    func models() {
        let fleet = [candidate(0), candidate(1)]
        var chooser = PlacementChooser(strategy: .weightedRoundRobin, seed: 1)
        #expect(chooser.workers(1, among: fleet, for: query(model: 0)) == [0])
        #expect(chooser.workers(1, among: fleet, for: query(model: WeightedRoundRobin.modelsMax - 1)) == [0])
        #expect(chooser.workers(1, among: fleet, for: query(model: WeightedRoundRobin.modelsMax)) == [1])
    }

    @Test("the last worker of the bound has its own balance, and one past it still gets a turn")
    func workers() {
        var chooser = PlacementChooser(strategy: .weightedRoundRobin, seed: 1)
        let last = WeightedRoundRobin.workersMax - 1
        #expect(chooser.workers(4, among: [candidate(0), candidate(last)], for: query()) == [0, last, 0, last])
        var other = PlacementChooser(strategy: .weightedRoundRobin, seed: 1)
        let seen = other.workers(40, among: [candidate(0), candidate(last + 1), candidate(3)], for: query())
        #expect(Set(seen) == [0, last + 1, 3])
    }

    @Test("a worker whose neighbours left and came back does not starve")
    func debt() {
        var chooser = PlacementChooser(strategy: .weightedRoundRobin, seed: 1)
        let fleet = [candidate(0), candidate(1), candidate(2)]
        _ = chooser.workers(500, among: [candidate(0)], for: query())
        let after = chooser.workers(9, among: fleet, for: query())
        #expect(after.count { $0 == 0 } >= 2)
    }
}
