import Determinism
import Testing

@Suite("Hybrid stamps")
struct HybridClockTests {
    private func packed(_ milliseconds: UInt64) -> UInt64 { milliseconds << 16 }

    @Test("a stamp is greater than all given and seen before, whatever the wall clock does", arguments: 0..<20)
    func rising(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var clock = HybridClock()
        var greatest: UInt64 = 0
        for _ in 0..<500 {
            let wall = 1_000_000 + random.below(5_000)
            if random.chance(0.3) {
                let told = packed(wall + random.below(60_001))
                #expect(clock.observe(told, wallMilliseconds: wall) == .followed)
                greatest = max(greatest, told)
            }
            let stamp = clock.stamp(wallMilliseconds: wall)
            #expect(stamp > greatest && stamp >= packed(wall))
            greatest = stamp
        }
    }

    @Test("near the wall clock: of a clock that stands still only the count rises")
    func counting() {
        var clock = HybridClock()
        let stamps = (0..<4).map { _ in clock.stamp(wallMilliseconds: 77) }
        #expect(stamps == (0..<4).map { packed(77) + $0 })
        #expect(clock.stamp(wallMilliseconds: 78) == packed(78))
    }

    @Test("a minute ahead is followed, one step more is said and not followed")
    func lead() {
        var clock = HybridClock()
        let farthest = packed(1_000 + HybridClock.leadMillisecondsMax)
        #expect(clock.observe(farthest, wallMilliseconds: 1_000) == .followed)
        #expect(clock.observe(farthest + 1, wallMilliseconds: 1_000) == .tooFarAhead(milliseconds: 60_000))
        #expect(clock.observe(packed(90_000_000), wallMilliseconds: 1_000) == .tooFarAhead(milliseconds: 89_999_000))
        #expect(clock.observe(.max, wallMilliseconds: .max) == .tooFarAhead(milliseconds: 65_536))
        #expect(clock.latest <= HybridClock.stampMax)
    }

    @Test("what is years ahead can still be beaten, and the clock is itself again at once")
    func above() {
        var clock = HybridClock()
        let wrong = packed(1 << 40)
        #expect(clock.stamp(above: wrong, wallMilliseconds: 5) == wrong + 1)
        #expect(clock.stamp(wallMilliseconds: 70_000) < packed(70_001))
        #expect(clock.stamp(above: .max, wallMilliseconds: .max) == HybridClock.stampMax + 1)
    }

    @Test("no clock at all, and one beyond its bits, are no trap")
    func ends() {
        var clock = HybridClock()
        #expect(clock.stamp(wallMilliseconds: 0) == 1)
        let last = (0..<3).map { _ in clock.stamp(wallMilliseconds: .max) }
        #expect(last[0] < last[1] && last[1] < last[2])
    }
}
