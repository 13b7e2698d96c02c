import Testing

@testable import Balancing

@Suite struct RoundRobinTests {
    private let fleet = [candidate(2), candidate(0), candidate(5)]

    @Test("goes around by worker index, whatever the order of candidates")
    func around() {
        var chooser = PlacementChooser(strategy: .roundRobin, seed: 1)
        #expect(chooser.workers(7, among: fleet, for: query()) == [0, 2, 5, 0, 2, 5, 0])
        #expect(chooser.workers(2, among: fleet.reversed(), for: query()) == [2, 5])
    }

    @Test("a worker that drops out is passed over, and nobody serves twice when it is back")
    func dropping() {
        var chooser = PlacementChooser(strategy: .roundRobin, seed: 1)
        #expect(chooser.workers(2, among: fleet, for: query()) == [0, 2])
        #expect(chooser.workers(2, among: [candidate(0), candidate(2)], for: query()) == [0, 2])
        #expect(chooser.workers(3, among: fleet, for: query()) == [5, 0, 2])
    }

    @Test("every model has its own turn")
    func models() {
        var chooser = PlacementChooser(strategy: .roundRobin, seed: 1)
        #expect(chooser.workers(1, among: fleet, for: query(model: 0)) == [0])
        #expect(chooser.workers(2, among: fleet, for: query(model: 1)) == [0, 2])
        #expect(chooser.workers(1, among: fleet, for: query(model: 0)) == [2])
    }

    @Test("the last model of the bound has its own turn, one past it shares the first's")
    func bound() {
        var chooser = PlacementChooser(strategy: .roundRobin, seed: 1)
        #expect(chooser.workers(1, among: fleet, for: query(model: 0)) == [0])
        #expect(chooser.workers(1, among: fleet, for: query(model: RoundRobin.modelsMax - 1)) == [0])
        #expect(chooser.workers(1, among: fleet, for: query(model: RoundRobin.modelsMax)) == [2])
    }

    @Test("one candidate is always it, none is nobody")
    func few() {
        var chooser = PlacementChooser(strategy: .roundRobin, seed: 1)
        #expect(chooser.workers(3, among: [candidate(7)], for: query()) == [7, 7, 7])
        let none = chooser.choose(among: [], for: query())
        #expect(none == nil)
    }
}
