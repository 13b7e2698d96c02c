import Determinism
import Testing
import WireCoding

@testable import Membership

/// Comparing everything with one peer.
struct SyncTests {
    private static let one = MemberRecord.numbered(1)
    private static let two = MemberRecord.numbered(2)
    private static let stream = StreamID(rawValue: StreamID.acceptedBit | 1)

    private static func summary(_ record: MemberRecord) -> MemberSummary {
        MemberSummary(
            short: record.id.short, incarnation: record.incarnation, status: record.status, life: record.session.life)
    }

    private static func records(in frames: [StreamFrame]) -> [(age: UInt32, record: MemberRecord)] {
        frames.flatMap { frame in
            guard case .records(let messages) = frame else { return [(age: UInt32, record: MemberRecord)]() }
            return messages.compactMap { if case .agedMember(let age, let record) = $0 { (age, record) } else { nil } }
        }
    }

    @Test("only what the other does not know, or knows less of, is sent")
    func differences() {
        var lone = LoneMachine(peers: 6)
        let left = MemberRecord.numbered(6, status: .left)
        lone.hear(.member(left), from: Self.one)
        lone.pass(.seconds(7))
        lone.forget()
        let theirs = [
            Self.summary(lone.machine.own), Self.summary(Self.one),
            Self.summary(Self.two.with { $0.incarnation = Incarnation(rawValue: 999) }),
            Self.summary(.numbered(3, incarnation: 1_001)), Self.summary(.numbered(4, life: 2)),
            Self.summary(left.with { $0.status = .dead }),
        ]
        lone.tell(.streamAccepted(Self.stream, .peer, from: Self.one.address))
        lone.tell(.streamFrame(Self.stream, .summary(theirs)))
        let sent = Self.records(in: lone.frames)
        // Older there, another life, unknown, and more than dead.
        #expect(sent.map(\.record.id.low) == [2, 4, 5, 6])
        #expect(sent.first { $0.record == left }?.age == 7)
        guard case .summary(let ours) = lone.frames.first else { return #expect(Bool(false)) }
        #expect(ours.count == 7 && lone.frames.last == .done)
        // What other rooms know stands before the end.
        let order = lone.effects.compactMap { effect -> String? in
            switch effect.1 {
            case .sendOtherRecords: "others"
            case .sendFrame(_, .done): "done"
            default: nil
            }
        }
        #expect(order == ["others", "done"])
        lone.tell(.streamFrame(Self.stream, .done))
        #expect(isTrue(lone.machine.accepted.isEmpty))
    }

    @Test("M17: who has been gone for half its time is taught to nobody")
    func oldRecords() {
        var timing = MembershipTiming()
        (timing.retention, timing.period) = (.seconds(3_600), .seconds(10))
        var lone = LoneMachine(peers: 1, timing: timing)
        lone.answering = [Self.one]
        lone.hear(.member(.numbered(5, status: .left)), from: Self.one)
        for (seconds, isTaught) in [(1_790, true), (20, false)] as [(Int64, Bool)] {
            lone.pass(.seconds(seconds))
            lone.forget()
            lone.tell(.streamAccepted(Self.stream, .peer, from: Self.one.address))
            lone.tell(.streamFrame(Self.stream, .summary([])))
            #expect(isTrue(Self.records(in: lone.frames).contains { $0.record.id.low == 5 } == isTaught))
            lone.tell(.streamClosed(Self.stream))
        }
    }

    @Test("a digest that differs for a second begins a sync, at most every two with one peer, two at a time")
    func digests() {
        var lone = LoneMachine(peers: 4)
        lone.forget()
        // Nobody else says a word, since an answer that agrees would end the difference.
        func differ(_ peer: Int) {
            lone.hear(
                .nack(Nack(probe: 0, target: Self.one.id.short, reason: .silent)), from: .numbered(peer), digest: 1)
        }
        let began = lone.now
        for _ in 0..<100 {
            differ(1)
            lone.pass(.milliseconds(25))
        }
        let first = lone.dialled.filter { $0.to == Self.one.address }
        #expect(first.count == 1)
        #expect(isTrue(first.first.map { $0.at.span(since: began) == .seconds(1) } == true))
        // Whoever agrees meanwhile starts anew.
        lone = LoneMachine(peers: 4)
        for peer in 1...4 { differ(peer) }
        lone.pass(.milliseconds(500))
        lone.hear(.nack(Nack(probe: 0, target: Self.one.id.short, reason: .silent)), from: Self.one)
        lone.pass(.milliseconds(499))
        for peer in 1...4 { differ(peer) }
        #expect(isTrue(lone.machine.syncs.isEmpty))
        lone.pass(.milliseconds(1))
        for peer in 1...4 { differ(peer) }
        #expect(isTrue(lone.machine.syncs.map(\.peer) == [Self.two.id.short, MemberRecord.numbered(3).id.short]))
    }

    @Test("who dials says its summary first, sends what the other lacks, and ends with the other's last word")
    func dialling() {
        var lone = LoneMachine(peers: 2)
        lone.answering = [Self.one, Self.two]
        var peer: MemberRecord?
        // The one that comes anyway, once in fifteen seconds.
        for _ in 0..<200 where peer == nil {
            lone.pass(.milliseconds(100))
            peer = [Self.one, Self.two].first { candidate in lone.dialled.contains { $0.to == candidate.address } }
        }
        guard let peer, let stream = lone.answer(peer.address) else { return #expect(Bool(false)) }
        #expect((11...19).contains(lone.now.nanoseconds / 1_000_000_000))
        guard case .summary(let ours) = lone.frames.last else { return #expect(Bool(false)) }
        #expect(ours.count == 3)
        lone.forget()
        lone.tell(.streamFrame(stream, .summary([Self.summary(peer)])))
        #expect(Self.records(in: lone.frames).count == 2 && lone.frames.last == .done)
        lone.tell(.streamFrame(stream, .records([.agedMember(age: 3, .numbered(9))])))
        #expect(isTrue(lone.status(of: .numbered(9)) == .alive))
        lone.tell(.streamFrame(stream, .done))
        #expect(isTrue(lone.facts.contains(.synced(peer.id.short, .timer)) && lone.machine.syncs.isEmpty))
        // News first learned from a stream is told to everybody, once.
        lone.pass(.milliseconds(10))
        let told = lone.sent.filter { $0.messages.contains(.member(.numbered(9))) }
        #expect(Set(told.map(\.to.short)).count == 3)
    }

    @Test("a stranger that holds the flock's key is compared with at once")
    func strangers() {
        var lone = LoneMachine(peers: 1)
        let stranger = MemberRecord.numbered(9)
        lone.hear(.ping(Ping(probe: 3, attempt: 1)), from: stranger)
        #expect(lone.dialled.map(\.to) == [stranger.address])
        #expect(lone.messages == [.ack(Ack(probe: 3, attempt: 1))], "and answered")
        guard let stream = lone.answer(stranger.address) else { return #expect(Bool(false)) }
        // Somebody else's word in its place ends it.
        lone.tell(.streamFrame(stream, .joinRefused(.busy)))
        #expect(isTrue(lone.machine.syncs.isEmpty))
    }
}
