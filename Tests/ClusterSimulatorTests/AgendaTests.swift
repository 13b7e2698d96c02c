import Determinism
import Testing

@testable import ClusterSimulator

@Suite struct AgendaTests {
    @Test("what happens at one time happens in the order in which it was added")
    func orderOfTies() {
        for seed in 0..<20 {
            var generator = SeededGenerator(seed: UInt64(seed))
            var agenda = Agenda()
            var model: [(time: Int64, number: UInt32)] = []
            var told: [UInt32] = []
            var expected: [UInt32] = []
            var isOnTime = true
            for number in 0..<UInt32(400) {
                // Few different times, so that most of them are ties.
                let time = Int64(generator.below(20))
                agenda.add(WorldEvent(.tick, payload: number), at: Instant(nanoseconds: time))
                model.append((time, number))
                guard generator.below(3) == 0, let (at, event) = agenda.popFirst() else { continue }
                told.append(event.payload)
                let first = model.indices.min {
                    (model[$0].time, model[$0].number) < (model[$1].time, model[$1].number)
                }!
                isOnTime = isOnTime && at.nanoseconds == model[first].time
                expected.append(model.remove(at: first).number)
            }
            while let (_, event) = agenda.popFirst() { told.append(event.payload) }
            expected += model.sorted { ($0.time, $0.number) < ($1.time, $1.number) }.map(\.number)
            #expect(told == expected && isOnTime)
        }
    }

    @Test("a packet's slot is used again only when nobody holds it, and growing moves nothing away")
    func arena() {
        var arena = PacketArena(capacity: 2)
        var generator = SeededGenerator(seed: 1)
        var held: [(slot: UInt32, byte: UInt8, references: Int)] = []
        var isHeldTwice = false
        var isChanged = false
        for step in 0..<2_000 {
            if generator.below(5) < 3 {
                let byte = UInt8(truncatingIfNeeded: step)
                let bytes = [UInt8](repeating: byte, count: 64 + Int(generator.below(1_137)))
                let slot = bytes.withUnsafeBytes { arena.keep($0, PacketArena.Provenance()) }
                isHeldTwice = isHeldTwice || held.contains { $0.slot == slot }
                held.append((slot, byte, 1))
            } else if !held.isEmpty {
                let place = Int(generator.below(UInt64(held.count)))
                if generator.below(4) == 0 {
                    arena.retain(held[place].slot)
                    held[place].references += 1
                } else {
                    arena.release(held[place].slot)
                    held[place].references -= 1
                    if held[place].references == 0 { held.remove(at: place) }
                }
            }
            if let any = held.last { isChanged = isChanged || arena.packet(any.slot).contains { $0 != any.byte } }
        }
        #expect(!isHeldTwice && !isChanged)
        #expect(arena.inUse == held.count)
    }

    @Test("an exponential without logarithms has the mean, the spread and the tail of one")
    func exponential() {
        var generator = SeededGenerator(seed: 7)
        let mean = Nanoseconds.milliseconds(10)
        let draws = (0..<100_000).map { _ in generator.exponential(mean: mean).rawValue }
        let average = draws.reduce(0, +) / 100_000
        #expect((9_850_000...10_150_000).contains(average))
        // e⁻¹ and e⁻³ of them are longer than the mean and than three of it.
        #expect((36_200...37_400).contains(draws.count { $0 > mean.rawValue }))
        #expect((4_750...5_210).contains(draws.count { $0 > 3 * mean.rawValue }))
        #expect(draws.allSatisfy { $0 >= 0 })
    }

    @Test("a clock's deadline is the first moment at which it shows that time")
    func clock() {
        var generator = SeededGenerator(seed: 3)
        var isRight = true
        for _ in 0..<5_000 {
            let clock = SimulatedClock(
                drift: Int64(generator.below(1_001)) - 500, origin: Int64(generator.below(1 << 50)), unixSeconds: 0)
            let moment = Instant(nanoseconds: Int64(generator.below(1 << 47)))
            let local = clock.local(moment) + .nanoseconds(Int64(generator.below(1_000_000)))
            let world = clock.world(local)
            isRight = isRight && clock.local(world) >= local
            isRight = isRight && clock.local(Instant(nanoseconds: world.nanoseconds - 1)) < local
        }
        #expect(isRight)
        #expect(SimulatedClock(drift: 3, origin: 0, unixSeconds: 0).world(.never) == .never)
    }
}
