/// What a link does to packets, without a socket.
import Testing

@testable import ChaosRig

@Suite("a link's lottery")
struct PacketLotteryTests {
    private func faults(_ change: (inout DatagramFaults) -> Void) -> DatagramFaults {
        var faults = DatagramFaults()
        change(&faults)
        return faults
    }

    private func fates(_ faults: DatagramFaults, _ count: Int, seed: UInt64 = 7, everyNanoseconds: Int64 = 1_000_000)
        -> [PacketLottery.Fate]
    {
        var lottery = PacketLottery(seed: seed, from: "r1", to: "r2")
        return (0..<count).map { lottery.draw(faults, bytes: 100, nowNanoseconds: Int64($0) * everyNanoseconds) }
    }

    private func share(_ fates: [PacketLottery.Fate], _ holds: (PacketLottery.Fate) -> Bool) -> Double {
        Double(fates.count(where: holds)) / Double(fates.count)
    }

    @Test("draws the same for the same seed, and something else for another seed or another link")
    func seeded() {
        let some = faults {
            $0.loss = 0.3
            $0.jitterMilliseconds = 5
        }
        #expect(fates(some, 100) == fates(some, 100))
        #expect(fates(some, 100) != fates(some, 100, seed: 8))
        var one = PacketLottery(seed: 7, from: "r1", to: "r2")
        var other = PacketLottery(seed: 7, from: "r2", to: "r1")
        let here = (0..<100).map { _ in one.draw(some, bytes: 1, nowNanoseconds: 0) }
        let there = (0..<100).map { _ in other.draw(some, bytes: 1, nowNanoseconds: 0) }
        #expect(here != there)
    }

    @Test("one fault more does not change the draws of the others")
    func steady() {
        let lossy = fates(faults { $0.loss = 0.3 }, 1_000)
        let lossyAndLate = fates(
            faults {
                $0.loss = 0.3
                $0.delayMilliseconds = 3
                $0.duplicate = 0.5
                $0.corrupt = 0.5
            }, 1_000)
        let isLost: (PacketLottery.Fate) -> Bool = { $0 == .dropped(.loss) }
        #expect(lossy.map(isLost) == lossyAndLate.map(isLost))
    }

    @Test("loses, doubles and damages about as often as it was told")
    func shares() {
        #expect(abs(share(fates(faults { $0.loss = 0.2 }, 20_000)) { $0 == .dropped(.loss) } - 0.2) < 0.02)
        let doubled = share(fates(faults { $0.duplicate = 0.1 }, 20_000)) {
            if case .passed(_, .some) = $0 { true } else { false }
        }
        #expect(abs(doubled - 0.1) < 0.02)
        let damaged = share(fates(faults { $0.corrupt = 0.3 }, 20_000)) {
            if case .passed(let copy, _) = $0 { copy.damage != .none } else { false }
        }
        #expect(abs(damaged - 0.3) < 0.02)
        #expect(share(fates(faults { $0.isBlocked = true }, 100)) { $0 == .dropped(.blocked) } == 1)
        #expect(share(fates(.none, 100)) { $0 == .passed(.init(delayNanoseconds: 0, damage: .none), again: nil) } == 1)
    }

    @Test("loses in bursts whose length is what the chance to end says")
    func bursts() {
        var burst = DatagramFaults.Burst()
        burst.begins = 0.02
        burst.ends = 0.25
        let lost = fates(faults { $0.burst = burst }, 50_000).map { $0 == .dropped(.burst) }
        let starts = lost.indices.count { lost[$0] && ($0 == 0 || !lost[$0 - 1]) }
        let mean = Double(lost.count { $0 }) / Double(starts)
        #expect(abs(mean - 4) < 0.5)
    }

    @Test("delays by what was said and an exponential tail of the mean that was said")
    func delays() {
        let late = fates(
            faults {
                $0.delayMilliseconds = 10
                $0.jitterMilliseconds = 5
            }, 20_000)
        let milliseconds = late.compactMap { fate in
            if case .passed(let copy, _) = fate { Double(copy.delayNanoseconds) / 1e6 } else { nil }
        }
        #expect(milliseconds.min()! >= 10)
        #expect(abs(milliseconds.reduce(0, +) / 20_000 - 15) < 0.3)
        #expect(milliseconds.max()! > 30)
    }

    @Test("a slow link queues for a quarter of a second and drops what comes on top")
    func rate() {
        // 100 bytes each at 1,000 bytes a second: a tenth of a second each.
        let slow = fates(faults { $0.rate = 1_000 }, 10, everyNanoseconds: 0)
        let delays = slow.compactMap { fate in
            if case .passed(let copy, _) = fate { copy.delayNanoseconds } else { nil }
        }
        #expect(delays == [100_000_000, 200_000_000, 300_000_000])
        #expect(slow.count { $0 == .dropped(.queue) } == 7)
        // At the link's own pace nothing waits for another.
        let paced = fates(faults { $0.rate = 1_000 }, 10, everyNanoseconds: 100_000_000)
        #expect(paced.allSatisfy { $0 == .passed(.init(delayNanoseconds: 100_000_000, damage: .none), again: nil) })
    }
}
