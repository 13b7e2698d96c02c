import Determinism
import Testing
import WireCoding

@Suite struct KeyringMergeTests {
    @Test("merging is commutative and idempotent, over all pairs of rings with two keys")
    func pairs() {
        let rings = Self.small
        for left in rings {
            #expect(Self.merged(left, left).entries == left.entries)
            for right in rings {
                let merged = Self.merged(left, right)
                if merged.entries != Self.merged(right, left).entries {
                    Issue.record("\(left.entries) and \(right.entries)")
                }
                if Self.merged(merged, right).entries != merged.entries { Issue.record("\(merged.entries)") }
            }
        }
        #expect(rings.count == 10 * 10)
    }

    @Test("merging is associative, over seeded triples that fit one ring", arguments: [1, 2, 3] as [UInt64])
    func triples(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var found: Set<Int> = []
        for _ in 0..<300 {
            let (a, b, c) = (Self.drawn(&random), Self.drawn(&random), Self.drawn(&random))
            let left = Self.merged(Self.merged(a, b), c)
            let right = Self.merged(a, Self.merged(b, c))
            #expect(left.entries == right.entries)
            #expect(left.hash == right.hash)
            #expect(left.slots.map(\.standing) == right.slots.map(\.standing))
            found.insert(left.trafficKeys.count)
        }
        #expect(found.isSuperset(of: [1, 2, 3]))
    }

    @Test(
        "whatever six operators do apart, their rings are one ring once they have met",
        arguments: 1...6 as ClosedRange<UInt64>)
    func flock(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var rings = Array(repeating: Keyring(first: .test(1)), count: 6)
        var now: UInt64 = 1_000
        for _ in 0..<200 {
            now += random.below(Keyring.retiredMilliseconds / 4)
            let who = random.index(rings.count)
            let before = rings[who]
            Self.act(&rings[who], from: rings[random.index(rings.count)], now: now, &random)
            Self.check(rings[who], after: before)
        }
        // Each hears each, until nobody learns anything.
        var rounds = 0
        var isLearning = true
        while isLearning && rounds < 10 {
            rounds += 1
            isLearning = false
            for who in rings.indices {
                for whom in rings.indices where whom != who {
                    if rings[who].merge(rings[whom], wallMilliseconds: now) { isLearning = true }
                }
            }
        }
        #expect(rounds < 10)
        #expect(Set(rings.map(\.hash)).count == 1)
        #expect(Set(rings.map(\.keyIDs)).count == 1)
        #expect(rings[0].primary != nil || rings[0].trafficKeys.isEmpty == false)
    }

    private static func act(_ ring: inout Keyring, from other: Keyring, now: UInt64, _ random: inout SeededGenerator) {
        let known = ring.entries.map(\.id)
        let id = known.isEmpty ? 1 : random.one(of: known)
        switch random.index(8) {
        case 0:
            let new = UInt16(2 + random.index(3_000))
            try? ring.install(.test(new), stamp: now << 16, maker: random.short(), wallMilliseconds: now)
        case 1: try? ring.use(id, isHeldByAll: true, wallMilliseconds: now)
        case 2: try? ring.retire(id, wallMilliseconds: now)
        case 3: try? ring.remove(id, isImmediate: random.coin(), wallMilliseconds: now)
        case 4: _ = ring.sweep(wallMilliseconds: now)
        default: ring.merge(other, wallMilliseconds: now)
        }
    }

    private static func check(_ ring: Keyring, after before: Keyring) {
        let entries = ring.entries
        #expect(ring.trafficKeys.count <= Keyring.keysMax)
        #expect(entries.count <= Keyring.keysMax + Keyring.goneMax)
        #expect(ring.slots.count { $0.standing == .primary } <= 1)
        #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.id < $1.id })
        #expect(entries.allSatisfy { ($0.secret == nil) == ($0.state == .gone) })
        let falling = before.entries.filter { old in
            entries.contains { $0.id == old.id && $0.stamp == old.stamp && $0.state < old.state }
        }
        #expect(falling.isEmpty)
    }

    /// Each of two ids: absent, or one of three makings in one of three or four states.
    private static let small: [Keyring] = {
        func entries(_ id: UInt16) -> [[Keyring]] {
            let states: [Keyring.State] = [.staged, .primary, .gone]
            return [[]]
                + [UInt64(1), 2].flatMap { stamp in
                    states.map { [.single(id, stamp: stamp, state: $0)] }
                }
                + states.map { [.single(id, stamp: 2, state: $0, salt: 1)] }
        }
        return entries(3).flatMap { first in
            entries(4).map { second in (first + second).reduce(Keyring()) { merged($0, $1) } }
        }
    }()

    /// Of three ids, so that three of them fit one ring.
    private static func drawn(_ random: inout SeededGenerator) -> Keyring {
        var drawn = Keyring()
        for id in 3..<(3 + Keyring.keysMax) where random.coin() {
            let one = Keyring.single(
                UInt16(id), stamp: random.below(3), state: random.one(of: Keyring.State.allCases),
                salt: UInt8(random.index(2)))
            drawn = merged(drawn, one)
        }
        return drawn
    }

    private static func merged(_ left: Keyring, _ right: Keyring) -> Keyring {
        var ring = left
        ring.merge(right, wallMilliseconds: 0)
        return ring
    }
}
