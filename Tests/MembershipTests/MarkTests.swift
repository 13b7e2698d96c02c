import Determinism
import Testing
import WireCoding

@testable import Membership

/// For each mark one story that reaches it for certain: a new mark without one does not compile.
struct MarkTests {
    private static let one = MemberRecord.numbered(1)
    private static let two = MemberRecord.numbered(2)
    private static let three = MemberRecord.numbered(3)

    @Test("each mark is reached by its story", arguments: Mark.allCases)
    func isReached(_ mark: Mark) {
        #expect(isTrue(Self.story(of: mark).has(mark)))
    }

    static func story(of mark: Mark) -> LoneMachine {
        var lone = LoneMachine(peers: 3)
        let own = lone.machine.own
        switch mark {
        case .refuteAfterDead: lone.hear(StateNews.of(own, .dead, by: two), from: one)
        case .buddySavedSuspect:
            lone.hear(.ping(Ping(probe: 1, attempt: 0)), StateNews.of(own, .suspect, by: two), from: one)
        case .refusedByTwo:
            lone.hear(StateNews.of(one, .suspect, by: two, isRefused: true), from: two)
            lone.hear(StateNews.of(one, .suspect, by: three, isRefused: true), from: three)
        case .misdeliveredKilled:
            lone = LoneMachine(peers: 1)
            var heir = two
            heir.address = one.address
            lone.introduce(heir)
            lone.answering = [heir]
            _ = lone.passUntilAsked(one)
            lone.hear(
                .misdelivered(Misdelivered(sought: one.id.short, mine: heir.id.short, session: heir.session)),
                from: heir)
        case .lagCancelledProbe:
            _ = lone.passUntilAsked(one)
            lone.stall(for: .milliseconds(150))
        case .climateDoubled: lone = Self.inHeavyLoss()
        case .climateBack:
            lone = Self.inHeavyLoss()
            lone.answersAttempt = 0
            lone.pass(.seconds(120))
        case .twinRenewed:
            var twin = own
            twin.session = SessionID(rawValue: 77)
            twin.incarnation = Incarnation(rawValue: own.incarnation.rawValue + 1)
            lone.hear(.member(twin), from: one)
        case .shortIDRenewed:
            let smaller = MemberRecord.numbered(50).with { $0.id = own.id }
            lone = LoneMachine(own: own.with { $0.id = ReplicaID(high: own.id.high, low: 1) }, peers: 1)
            lone.hear(.member(smaller), from: one)
        case .ceilingRenewed:
            lone.hear(StateNews.of(own.with { $0.incarnation = .ceiling }, .suspect, by: one), from: one)
        case .removedRejoined: lone.hear(.removed(.of(own, by: one)), from: one)
        case .syncTaughtRefutation:
            lone.hear(StateNews.of(two, .suspect, by: three), from: one)
            let stream = StreamID(rawValue: StreamID.acceptedBit | 1)
            lone.tell(.streamAccepted(stream, .peer, from: one.address))
            lone.tell(.streamFrame(stream, .summary([])))
            let refuted = two.with { $0.incarnation = Incarnation(rawValue: 1_001) }
            lone.tell(.streamFrame(stream, .records([.agedMember(age: 0, refuted)])))
        case .udpBlockedButAlive:
            lone = LoneMachine(peers: 1)
            for _ in 0..<MembershipMachine.detoursToBlock {
                guard let ping = lone.passUntilAsked(one) else { break }
                lone.pass(.milliseconds(205))
                if let stream = lone.answer(one.address) {
                    lone.tell(
                        .streamFrame(stream, .ack(Ack(probe: ping.probe, attempt: 0), destination: one.id.short)))
                }
            }
            lone.pass(.milliseconds(300))
        case .helperAnswered:
            lone.answering = [two, three]
            guard let ping = lone.passUntilAsked(one) else { break }
            lone.pass(.milliseconds(205))
            lone.hear(.ack(Ack(probe: ping.probe, attempt: 0, isOnBehalf: true)), from: two)
        case .sleptAndRejoined: lone.tell(.clockBroke)
        case .receiptResent:
            lone.hear(StateNews.of(own, .suspect, by: two), from: one)
            lone.pass(.milliseconds(60))
        }
        return lone
    }

    /// Two of three pings are lost.
    private static func inHeavyLoss() -> LoneMachine {
        var lone = LoneMachine(peers: 1)
        lone.answering = [one]
        lone.answersAttempt = 2
        lone.pass(.seconds(70))
        return lone
    }
}

extension LoneMachine {
    /// Passes time until the peer is asked for the first time; everybody else may answer.
    mutating func passUntilAsked(_ peer: MemberRecord) -> Ping? {
        let end = now + .seconds(30)
        while now < end {
            forget()
            pass(.milliseconds(1))
            for packet in sent where packet.to.short == peer.id.short {
                for case .ping(let ping) in packet.messages where ping.attempt == 0 && !ping.isOnBehalf { return ping }
            }
        }
        return nil
    }
}

extension MemberRecord {
    func with(_ change: (inout MemberRecord) -> Void) -> MemberRecord {
        var record = self
        change(&record)
        return record
    }
}
