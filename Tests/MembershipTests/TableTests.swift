import Determinism
import Testing
import WireCoding

@testable import Membership

extension MemberRecord {
    /// The replica with that number in a test: of a life that can be told from others.
    static func numbered(
        _ index: Int, life: UInt64 = 1, incarnation: UInt32 = 1_000, status: MemberStatus = .alive
    ) -> MemberRecord {
        MemberRecord(
            id: ReplicaID(high: UInt64(index + 1) << 32, low: UInt64(index)),
            session: SessionID(rawValue: UInt64(index + 1) * 1_000 + life),
            incarnation: Incarnation(rawValue: incarnation),
            status: status, flags: [.ready, .settled], address: TestFlock.address(index),
            name: ShortText(clipping: "r\(index)"))
    }
}

struct TableTests {
    /// A table that is a plain dictionary.
    private struct Model {
        var members: [UInt32: Member] = [:]

        var sorted: [Member] { members.values.sorted { $0.short < $1.short } }
        var digest: UInt64 {
            members.values.reduce(0) { $1.status.isGone ? $0 : $0 &+ DigestTerm.of($1.record) }
        }
    }

    @Test("a table of members is a sorted dictionary with sums", arguments: 0..<8)
    func table(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = MemberTable(bound: 12)
        var model = Model()
        for step in 0..<300 {
            let record = MemberRecord.numbered(
                Int(random.below(30)), life: random.below(3), incarnation: UInt32(random.below(5)),
                status: MemberStatus.allCases[Int(random.below(4))])
            var member = Member(record: record, since: .zero + .seconds(Int64(random.below(1_000))))
            member.isRemoved = random.below(8) == 0
            if let place = table.place(of: member.short) {
                if random.below(3) == 0 {
                    table.remove(at: place)
                    model.members[member.short.rawValue] = nil
                } else {
                    table.change(place) { $0.member = member }
                    model.members[member.short.rawValue] = member
                }
            } else {
                if table.isFull {
                    let oldest = model.sorted.filter { $0.status.isGone }.min { $0.since < $1.since }
                    #expect(table.longestGone.map { table[$0].member } == oldest, "M12")
                    guard let place = table.longestGone else { continue }
                    model.members[table[place].member.short.rawValue] = nil
                    table.remove(at: place)
                }
                table.insert(member)
                model.members[member.short.rawValue] = member
            }
            let isSame = table.slots.map(\.member) == model.sorted
            #expect(isSame, "step \(step)")
            #expect(table.digest == model.digest)
            #expect(table.presentCount == model.members.values.reduce(0) { $0 + ($1.status.isGone ? 0 : 1) })
            #expect(table.deadCount == model.members.values.reduce(0) { $0 + ($1.status == .dead ? 1 : 0) })
            #expect(table.count <= 12)
        }
    }

    @Test("each sees the same digest, in whatever order it learned")
    func digestsIgnoreOrder() {
        var there = MemberTable(bound: 100)
        var back = MemberTable(bound: 100)
        for index in 0..<50 {
            there.insert(Member(record: .numbered(index), since: .zero))
            back.insert(Member(record: .numbered(49 - index, status: index % 2 == 0 ? .suspect : .alive), since: .zero))
        }
        #expect(there.digest == back.digest)
        let digest = there.digest
        there.insert(Member(record: .numbered(60, status: .dead), since: .zero))
        #expect(there.digest == digest, "the gone do not count")
    }

    @Test("operators' tombstones: each once, the oldest leaves, all end by age")
    func tombstones() {
        func news(_ index: UInt64, age: UInt32 = 0) -> RemovedNews {
            RemovedNews(
                tombstone: index, id: ReplicaID(high: index << 32, low: 0), session: SessionID(rawValue: index),
                by: ReplicaShortID(rawValue: 1), ageSeconds: age, isPruned: false)
        }
        var removed = RemovedSessions(bound: 4, retention: .seconds(1_000))
        let now = Instant.zero + .seconds(5_000)
        #expect(isTrue(!removed.insert(news(9, age: 1_000), at: now) && !removed.insert(news(9, age: .max), at: now)))
        for (index, age) in [(5, 50), (3, 30), (8, 80), (1, 10)] {
            #expect(isTrue(removed.insert(news(UInt64(index), age: UInt32(age)), at: now)))
            #expect(isTrue(!removed.insert(news(UInt64(index)), at: now)), "known")
        }
        #expect(removed.entries.map(\.session.rawValue) == [1, 3, 5, 8])
        #expect(removed.news(at: now + .seconds(5)).map(\.ageSeconds) == [15, 35, 55, 85])
        #expect(isTrue(removed.insert(news(6), at: now)))
        #expect(removed.entries.map(\.session.rawValue) == [1, 3, 5, 6])
        removed.purge(at: now + .seconds(951))
        #expect(removed.entries.map(\.session.rawValue) == [1, 3, 6])
        #expect(removed.entry(for: SessionID(rawValue: 3)) != nil && removed.entry(for: SessionID(rawValue: 5)) == nil)
    }

    @Test("strangers are met once in a while, and only so many at a time")
    func contacts() {
        var contacts = Contacts()
        let stranger = ReplicaShortID(rawValue: 7)
        #expect(isTrue(contacts.mayContact(stranger, at: .zero)))
        #expect(isTrue(!contacts.mayContact(stranger, at: .zero + .milliseconds(1_999))))
        #expect(isTrue(contacts.mayContact(stranger, at: .zero + .milliseconds(2_000))))
        var met = 0
        for index in 0..<200 {
            met += contacts.mayContact(ReplicaShortID(rawValue: 100 + UInt32(index)), at: .zero + .seconds(10)) ? 1 : 0
        }
        #expect(met == Contacts.countMax)
    }
}
