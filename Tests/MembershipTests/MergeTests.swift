import Determinism
import Testing
import WireCoding

@testable import Membership

struct MergeTests {
    private struct View: Equatable {
        var incarnation: Incarnation
        var session: SessionID
        var status: MemberStatus
        var shown: MemberStatus
    }

    private static let speaker = MemberRecord.numbered(1)

    private static func view(of record: MemberRecord, in machine: MembershipMachine) -> View? {
        machine.table.slot(of: record.id.short).map {
            View(
                incarnation: $0.member.record.incarnation, session: $0.member.record.session,
                status: $0.member.record.status, shown: $0.member.status)
        }
    }

    @Test("M1: three pieces of news in any order end in one view: the greatest, less what was removed")
    func triples() {
        var base = LoneMachine(peers: 3)
        var records: [MemberRecord] = []
        for life in [1, 2] as [UInt64] {
            for incarnation in [10, 11, 12] as [UInt32] {
                for status in MemberStatus.allCases {
                    records.append(.numbered(9, life: life, incarnation: incarnation, status: status))
                }
            }
        }
        let removals = [1, 2].map { RemovedNews.of(.numbered(9, life: $0), by: Self.speaker) }
        let news = records.map(Message.member) + removals.map(Message.removed)
        let packets = news.map { base.packet([$0], from: Self.speaker) }
        let start = base.machine
        func told(_ machine: MembershipMachine, _ packet: Int) -> (MembershipMachine, isQuiet: Bool) {
            var machine = machine
            var sink = TestFlock.Sink()
            var effects: [MembershipEffect] = []
            machine.handle(.packet(packets[packet]), at: base.now, sending: &sink, into: &effects)
            let isQuiet = !effects.contains { if case .changed = $0 { true } else { false } }
            return (machine, isQuiet)
        }
        func reference(_ told: [Int]) -> View? {
            let held = told.filter { $0 < records.count }.map { records[$0] }.max {
                ($0.incarnation, $0.session, $0.status) < ($1.incarnation, $1.session, $1.status)
            }
            return held.map { held in
                let isRemoved = told.contains {
                    $0 >= records.count && removals[$0 - records.count].session == held.session
                }
                return View(
                    incarnation: held.incarnation, session: held.session, status: held.status,
                    shown: isRemoved ? .left : held.status)
            }
        }
        var wrong: [[Int]] = []
        var loud: [[Int]] = []
        for first in news.indices {
            let (one, _) = told(start, first)
            for second in news.indices {
                let (two, isQuiet) = told(one, second)
                if second == first, !isQuiet { loud.append([first, second]) }
                for third in news.indices {
                    let (three, isQuiet) = told(two, third)
                    if third == second || third == first, !isQuiet { loud.append([first, second, third]) }
                    if Self.view(of: records[0], in: three) != reference([first, second, third]) {
                        wrong.append([first, second, third])
                    }
                }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(3).map { $0.map { news[$0] } })")
        #expect(loud.isEmpty, "told again, something changed: \(loud.prefix(3).map { $0.map { news[$0] } })")
    }

    @Test("M1, M3: all orders of three rumours without records end in one view, and no step goes back")
    func rumours() {
        var base = LoneMachine(peers: 3)
        let subject = MemberRecord.numbered(2)
        var later = subject
        later.incarnation = Incarnation(rawValue: 1_001)
        var latest = subject
        latest.incarnation = Incarnation(rawValue: 1_002)
        let accusers = [MemberRecord.numbered(1), .numbered(3)]
        func leave(_ record: MemberRecord) -> Message {
            .leave(LeaveNews(subject: record.id.short, incarnation: record.incarnation, session: record.session))
        }
        let news: [(Message, UInt32, MemberStatus)] = [
            (StateNews.of(subject, .suspect, by: accusers[0]), 1_000, .suspect),
            (StateNews.of(subject, .dead, by: accusers[1]), 1_000, .dead), (leave(subject), 1_000, .left),
            (StateNews.of(later, .suspect, by: accusers[1]), 1_001, .suspect),
            (StateNews.of(later, .dead, by: accusers[0]), 1_001, .dead), (leave(later), 1_001, .left),
            (.member(later), 1_001, .alive), (.member(latest), 1_002, .alive),
        ]
        let packets = news.map { base.packet([$0.0], from: Self.speaker) }
        let start = base.machine
        var wrong: [[Int]] = []
        for order in 0..<(8 * 8 * 8) {
            let order = [order / 64, order / 8 % 8, order % 8]
            var machine = start
            var sink = TestFlock.Sink()
            var effects: [MembershipEffect] = []
            var held: (UInt32, MemberStatus) = (1_000, .alive)
            for place in order {
                machine.handle(.packet(packets[place]), at: base.now, sending: &sink, into: &effects)
                if held < (news[place].1, news[place].2) { held = (news[place].1, news[place].2) }
                let view = Self.view(of: subject, in: machine)
                if view?.incarnation.rawValue != held.0 || view?.status != held.1 { wrong.append(order) }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(3).map { $0.map { news[$0].0 } })")
    }

    @Test("news in one packet or in several, the view is the same", arguments: 0..<50)
    func groupings(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var apart = LoneMachine(peers: 3)
        var together = apart
        let news = (0..<12).map { _ in
            Message.member(
                .numbered(
                    7 + Int(random.below(3)), life: random.below(2), incarnation: UInt32(random.below(3)),
                    status: MemberStatus.allCases[Int(random.below(4))]))
        }
        var order = news
        Shuffle.all(&order, drawing: &random)
        for message in news { apart.hear(message, from: Self.speaker) }
        for start in stride(from: 0, to: 12, by: 4) {
            together.tell(.packet(together.packet(Array(order[start..<start + 4]), from: Self.speaker)))
        }
        for index in 7..<10 {
            #expect(
                Self.view(of: .numbered(index), in: apart.machine)
                    == Self.view(of: .numbered(index), in: together.machine))
        }
        #expect(isTrue(apart.machine.digest == together.machine.digest))
    }

    @Test(
        "news of oneself is never merged: it is answered at once, louder, to everybody",
        arguments: MemberStatus.allCases)
    func ownNews(status: MemberStatus) {
        for (kind, ahead) in [(0, 0), (0, 5), (0, -1), (1, 0), (1, 5), (1, -1), (2, 0), (2, 5), (2, -1)] {
            var lone = LoneMachine(peers: 3)
            var told = lone.machine.own
            told.status = status
            told.incarnation = Incarnation(rawValue: UInt32(Int(told.incarnation.rawValue) + ahead))
            let before = lone.machine.own
            switch kind {
            case 0: lone.hear(.member(told), from: Self.speaker)
            case 1: lone.hear(StateNews.of(told, status, by: Self.speaker), from: Self.speaker)
            default:
                guard status == .left else { continue }
                lone.hear(
                    .leave(
                        LeaveNews(subject: told.id.short, incarnation: told.incarnation, session: told.session)),
                    from: Self.speaker)
            }
            let own = lone.machine.own
            #expect(own.status == .alive && own.session == before.session && own.id == before.id)
            #expect(isTrue(lone.machine.table.count == 3))
            // An alive record of later than now can only be a memory of one's own; nothing quieter is answered.
            let isAnswered = ahead >= 0 && (status > .alive || (kind == 0 && ahead > 0))
            #expect(
                own.incarnation.rawValue == (isAnswered ? told.incarnation.rawValue + 1 : before.incarnation.rawValue))
            guard isAnswered else { continue }
            let hearers = lone.sent.filter { $0.messages.contains(.member(own)) && $0.wantsReceipt }
            #expect(Set(hearers.map(\.to.short)).count == 3)
        }
    }
}
