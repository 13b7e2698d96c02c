import Determinism
import Placement
import Testing

@testable import Balancing

@Suite struct ConsistentHashTests {
    private let fleet = (0..<8).map { candidate($0) }

    private func owner(_ key: UInt64, _ fleet: [Candidate]) -> Int? {
        var chooser = PlacementChooser(strategy: .consistentHash, seed: key)
        return chooser.choose(among: fleet, for: query(key: key)).map { fleet[$0].worker.rawValue }
    }

    @Test("a key has one worker, whatever the seed and the order of candidates")
    func stable() {
        for key in 1...300 as ClosedRange<UInt64> {
            var other = PlacementChooser(strategy: .consistentHash, seed: 99)
            #expect(
                other.workers(2, among: fleet.reversed(), for: query(key: key)) == [
                    owner(key, fleet)!, owner(key, fleet)!,
                ])
        }
        #expect(Set((1...300).map { owner($0, fleet) }).count == 8)
    }

    @Test("when a worker leaves only its keys move")
    func leaving() {
        let rest = fleet.filter { $0.worker.rawValue != 3 }
        for key in 1...1_000 as ClosedRange<UInt64> {
            let before = owner(key, fleet)
            if before != 3 { #expect(owner(key, rest) == before) } else { #expect(owner(key, rest) != 3) }
        }
    }

    @Test("one key for everybody stays within the cap of every worker")
    func bounded() {
        var fleet = fleet
        var chooser = PlacementChooser(strategy: .consistentHash, seed: 1)
        for running in 0..<32 {
            let caps = fleet.map { BoundedLoad.cap(running: running, slots: $0.slots, slotsOfAll: 32) }
            let chosen = chooser.choose(among: fleet, for: query(key: 5))!
            #expect(fleet[chosen].running < caps[chosen])
            fleet[chosen].running += 1
        }
        // ⌈1.25 · 32 · 4 ÷ 32⌉ at the end: the popular key's home is full to its cap and no further.
        #expect(fleet.map(\.running).max() == 5)
        #expect(fleet.map(\.running).reduce(0, +) == 32)
    }

    @Test("at the cap the key goes on to the next of its ring, one below it stays")
    func spill() {
        let home = owner(5, fleet)!
        // Eight workers of four slots that carry 8: the cap is ⌈1.25 · 9 · 4 ÷ 32⌉ = 2.
        var busy = fleet
        for position in busy.indices { busy[position].running = 1 }
        #expect(owner(5, busy) == home)
        busy[home].running = 2
        busy[(home + 1) % 8].running = 0
        let next = owner(5, busy)
        #expect(next != home)
        #expect(next == owner(5, fleet.filter { $0.worker.rawValue != home }))
    }

    @Test("clients that are nobody in particular are spread by load")
    func nobody() {
        var chooser = PlacementChooser(strategy: .consistentHash, seed: 1)
        var fleet = fleet
        for _ in 0..<8 {
            let chosen = chooser.choose(among: fleet, for: query(key: 0))!
            fleet[chosen].running += 1
        }
        #expect(fleet.allSatisfy { $0.running == 1 })
    }
}
