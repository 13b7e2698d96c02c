import Testing

@testable import Balancing

@Suite struct LeastConnectionsTests {
    @Test("the smallest share of slots in use, not the smallest number")
    func share() {
        var chooser = PlacementChooser(strategy: .leastConnections, seed: 3)
        let fleet = [
            candidate(0, slots: 2, running: 1), candidate(1, slots: 16, running: 4), candidate(2, slots: 4, running: 2),
        ]
        #expect(chooser.workers(20, among: fleet, for: query()) == Array(repeating: 1, count: 20))
    }

    @Test("those that wait there count like those that run")
    func queued() {
        var chooser = PlacementChooser(strategy: .leastConnections, seed: 3)
        let fleet = [candidate(0, running: 1, queued: 2), candidate(1, running: 2)]
        #expect(chooser.workers(5, among: fleet, for: query()) == [1, 1, 1, 1, 1])
    }

    @Test("equals are drawn among evenly, and shares are compared without rounding")
    func equals() {
        var chooser = PlacementChooser(strategy: .leastConnections, seed: 3)
        let fleet = [
            candidate(0, slots: 3, running: 1), candidate(1, slots: 9, running: 3), candidate(2, slots: 6, running: 2),
        ]
        var counts = [0, 0, 0]
        for worker in chooser.workers(3_000, among: fleet, for: query()) { counts[worker] += 1 }
        // 1 000 expected; five standard deviations are 129.
        #expect(counts.allSatisfy { (871...1_129).contains($0) })
    }

    @Test("the same seed chooses the same")
    func replay() {
        let fleet = (0..<8).map { candidate($0) }
        var one = PlacementChooser(strategy: .leastConnections, seed: 9)
        var two = PlacementChooser(strategy: .leastConnections, seed: 9)
        let first = one.workers(50, among: fleet, for: query())
        #expect(first == two.workers(50, among: fleet, for: query()))
        #expect(Set(first).count > 1)
    }

    @Test("a worker without slots in its settings is no division by zero")
    func noSlots() {
        var chooser = PlacementChooser(strategy: .leastConnections, seed: 3)
        #expect(
            chooser.workers(1, among: [candidate(0, slots: 0, running: 1), candidate(1, running: 1)], for: query()) == [
                1
            ])
    }
}
