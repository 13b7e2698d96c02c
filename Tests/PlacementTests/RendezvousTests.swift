import Determinism
import Testing

@testable import Placement

@Suite struct RendezvousTests {
    private func owner(of key: UInt64, among members: [(key: UInt64, weight: Double)]) -> UInt64? {
        members.min {
            Rendezvous.draw(member: $0.key, weight: $0.weight, key: key)
                < Rendezvous.draw(member: $1.key, weight: $1.weight, key: key)
        }?.key
    }

    private let ten = (0..<10).map { (key: StableHash64.hash("mac-\($0)"), weight: 1.0) }

    @Test("keys spread evenly over equal members")
    func spread() {
        var counts: [UInt64: Int] = [:]
        for key in 0..<20_000 { counts[owner(of: UInt64(key), among: ten)!, default: 0] += 1 }
        #expect(counts.count == 10)
        // 2 000 expected; five standard deviations of a binomial are 212.
        #expect(counts.values.allSatisfy { (1_788...2_212).contains($0) })
    }

    @Test("a member of three times the weight owns three times the keys")
    func weights() {
        let members = [(key: StableHash64.hash("small"), weight: 1.0), (key: StableHash64.hash("large"), weight: 3.0)]
        let large = (0..<20_000).count { owner(of: UInt64($0), among: members) == members[1].key }
        // 15 000 expected; five standard deviations are 306.
        #expect((14_694...15_306).contains(large))
    }

    @Test("when a member leaves, only its keys move")
    func leaving() {
        let gone = ten[4].key
        let rest = ten.filter { $0.key != gone }
        var moved = 0
        for key in 0..<5_000 {
            let before = owner(of: UInt64(key), among: ten)
            let after = owner(of: UInt64(key), among: rest)
            if before == gone { moved += 1 } else { #expect(before == after) }
        }
        // A tenth of the keys had an owner that left.
        #expect((394...606).contains(moved))
    }

    @Test("a changed weight moves keys only to the member that grew")
    func growing() {
        var grown = ten
        grown[2].weight = 2
        for key in 0..<2_000 {
            let after = owner(of: UInt64(key), among: grown)
            #expect(after == owner(of: UInt64(key), among: ten) || after == ten[2].key)
        }
    }

    @Test("a weight of nothing owns nothing, and is the last resort all the same")
    func nothing() {
        let members = [(key: UInt64(1), weight: 0.0), (key: UInt64(2), weight: 1.0)]
        #expect((0..<1_000).allSatisfy { owner(of: UInt64($0), among: members) == 2 })
        #expect(owner(of: 7, among: [members[0]]) == 1)
    }

    @Test(
        "the logarithm is right to ten digits",
        arguments: [
            (1.0, 0.0), (0.5, -0.693_147_180_559_945_3), (2.718_281_828_459_045, 1.0), (0.1, -2.302_585_092_994_045_7),
            (1.414_213_562_373_095, 0.346_573_590_279_972_6), (1.414_213_562_373_096, 0.346_573_590_279_973_3),
            (0x1p-54, -37.429_947_750_237_05),
        ])
    func logarithm(_ value: Double, _ expected: Double) {
        #expect(abs(Rendezvous.naturalLogarithm(value) - expected) < 1e-10)
    }

    @Test("bits are fixed: replicas of different builds must agree")
    func fixedBits() {
        #expect(Rendezvous.draw(member: 1, weight: 1, key: 2).bitPattern == 4_593_910_066_710_551_876)
    }
}
