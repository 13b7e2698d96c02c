import Determinism
import Placement
import Testing
import WireCoding

@Suite("Rings of replicas")
struct ReplicaRingTests {
    private static func participants(_ count: Int, _ random: inout SeededGenerator) -> [ReplicaRing.Participant] {
        (0..<count).map { _ in
            ReplicaRing.Participant(
                id: ReplicaShortID(rawValue: UInt32(truncatingIfNeeded: random.next())), isSettled: random.chance(0.5))
        }
    }

    private static func shuffle<Element>(_ list: inout [Element], _ random: inout SeededGenerator) {
        for position in list.indices.reversed() {
            list.swapAt(position, Int(random.below(UInt64(position + 1))))
        }
    }

    @Test("M13: equal participants give equal rings in every order of arrival, told once or twice", arguments: 0..<40)
    func order(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let members = Self.participants(1 + Int(random.below(30)), &random)
        let ring = ReplicaRing(members)
        var other = members + members.prefix(Int(random.below(5)))
        Self.shuffle(&other, &random)
        #expect(ReplicaRing(other) == ring)
    }

    @Test("ranks are those of the whole sorted list, whoever is left out", arguments: 0..<40)
    func model(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let members = Self.participants(1 + Int(random.below(30)), &random)
        let ring = ReplicaRing(members)
        let gone = Set(members.map(\.id).filter { _ in random.chance(0.3) })
        for key in 0..<20 as Range<UInt64> {
            let sorted = members.filter { !gone.contains($0.id) }.sorted {
                (ReplicaRing.draw(of: $0.id, key: key), $0.id) < (ReplicaRing.draw(of: $1.id, key: key), $1.id)
            }
            for count in 0..<5 {
                #expect(
                    ring.ranked(key: key, count: count) { !gone.contains($0) } == sorted.prefix(count).map(\.id))
            }
            let expected = (sorted.first(where: \.isSettled) ?? sorted.first)?.id
            #expect(ring.authority(key: key) { !gone.contains($0) } == expected)
        }
    }

    @Test("a replica that goes gives away only what was its own, and the ranks below it move up")
    func leaving() {
        var random = SeededGenerator(seed: 3)
        let members = Self.participants(9, &random)
        let ring = ReplicaRing(members)
        let without = ReplicaRing(members.dropFirst())
        for key in 0..<500 as Range<UInt64> {
            let before = ring.ranked(key: key, count: 3).filter { $0 != members[0].id }
            #expect(without.ranked(key: key, count: 3).starts(with: before))
        }
    }

    @Test("the version tells a replica more, a replica less and one that has settled apart")
    func version() {
        var random = SeededGenerator(seed: 4)
        let members = Self.participants(5, &random)
        var settled = members
        settled[2] = ReplicaRing.Participant(id: members[2].id, isSettled: !members[2].isSettled)
        let versions = [members, settled, members.dropLast(), members + Self.participants(1, &random), []].map {
            ReplicaRing($0).version
        }
        #expect(Set(versions).count == versions.count)
    }

    @Test("bits are fixed: replicas of different builds must agree")
    func fixedBits() {
        let ring = ReplicaRing((1...5).map { .init(id: ReplicaShortID(rawValue: $0), isSettled: $0 % 2 == 0) })
        #expect(ring.ranked(key: 7, count: 5).map(\.rawValue) == [1, 3, 2, 4, 5])
        #expect(ring.version == 12_457_954_883_989_056_620)
    }
}

@Suite("A layout waits for quiet")
struct RingDebounceTests {
    private func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

    @Test("published a quarter of a second after the last change, once")
    func quiet() {
        var debounce = RingDebounce()
        var taken = [debounce.takeDue(at: at(0))]
        #expect(debounce.deadline == .never)
        debounce.changed(at: at(0))
        debounce.changed(at: at(100))
        taken.append(debounce.takeDue(at: at(349)))
        #expect(debounce.deadline == at(350))
        for moment in [350, 350, 5_000] as [Int64] { taken.append(debounce.takeDue(at: at(moment))) }
        #expect(taken == [false, false, true, false, false] && debounce.deadline == .never)
    }

    @Test("a second after the first change at the latest, whatever still comes")
    func latest() {
        var debounce = RingDebounce()
        var published: [Int64] = []
        for moment in stride(from: Int64(0), through: 2_500, by: 100) {
            if debounce.takeDue(at: at(moment)) { published.append(moment) }
            debounce.changed(at: at(moment))
        }
        #expect(published == [1_000, 2_000])
    }
}
