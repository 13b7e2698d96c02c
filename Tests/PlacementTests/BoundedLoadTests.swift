import Determinism
import Placement
import Testing

@Suite struct BoundedLoadTests {
    @Test(
        "a quarter above the fair share, rounded up, one at least",
        arguments: [
            // running, slots, slots of all, cap
            (0, 4, 16, 1), (3, 4, 16, 2), (15, 4, 16, 5), (15, 8, 16, 10), (0, 1, 1, 2), (0, 1, 100, 1),
            (31, 4, 16, 10),
        ])
    func caps(_ running: Int, _ slots: Int, _ all: Int, _ cap: Int) {
        #expect(BoundedLoad.cap(running: running, slots: slots, slotsOfAll: all) == cap)
    }

    @Test("no slots anywhere still means one")
    func empty() {
        #expect(BoundedLoad.cap(running: 5, slots: 0, slotsOfAll: 0) == 1)
    }

    @Test("the caps together always have room for one more")
    func room() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2_000 {
            let slots = (0..<(1 + random.below(20))).map { _ in Int(1 + random.below(64)) }
            let all = slots.reduce(0, +)
            let running = Int(random.below(3_000))
            let caps = slots.map { BoundedLoad.cap(running: running, slots: $0, slotsOfAll: all) }
            #expect(caps.reduce(0, +) > running)
        }
    }

    @Test("whether there is room is the comparison with the cap, at it and one to either side")
    func agreement() {
        var random = SeededGenerator(seed: 12)
        for _ in 0..<5_000 {
            let slots = Int(1 + random.below(64))
            let all = slots + Int(random.below(500))
            let running = Int(random.below(2_000))
            let cap = BoundedLoad.cap(running: running, slots: slots, slotsOfAll: all)
            for load in [0, cap - 1, cap, cap + 1] {
                let hasRoom = BoundedLoad.hasRoom(load: load, running: running, slots: slots, slotsOfAll: all)
                #expect(hasRoom == (load < cap))
            }
        }
    }
}
