import Determinism
import Testing
import WireCoding

@testable import Membership

/// Asking, helping to ask, and what a silence or a refusal means.
struct ProbeTests {
    private static let one = MemberRecord.numbered(1)
    private static let two = MemberRecord.numbered(2)
    private static let three = MemberRecord.numbered(3)

    /// When pings left for that peer, in microseconds since `began`.
    private static func pings(
        of lone: LoneMachine, to peer: MemberRecord, since began: Instant, isOnBehalf: Bool = false
    ) -> [Int64] {
        lone.sent.flatMap { packet in
            packet.messages.compactMap { message in
                guard case .ping(let ping) = message, ping.isOnBehalf == isOnBehalf, packet.to.short == peer.id.short
                else {
                    return nil
                }
                return packet.at.span(since: began).rawValue / 1_000
            }
        }
    }

    @Test(
        "three pings in the thirds of the timeout, then helpers and a stream together, and the verdict at the end of T")
    func course() {
        var lone = LoneMachine(peers: 4)
        lone.answering = [Self.two, Self.three, .numbered(4)]
        guard lone.passUntilAsked(Self.one) != nil else { return #expect(Bool(false)) }
        let began = lone.sent.first { $0.to.short == Self.one.id.short }?.at ?? lone.now
        lone.pass(.milliseconds(429))
        #expect(Self.pings(of: lone, to: Self.one, since: began) == [0, 66_666, 133_333])
        let helped = lone.sent.filter { $0.messages.contains { if case .indirectPing = $0 { true } else { false } } }
        #expect(helped.count == 3 && helped.allSatisfy { $0.at.span(since: began) == .milliseconds(200) })
        #expect(lone.dialled.map(\.to) == [Self.one.address])
        #expect(isTrue(lone.dialled.first.map { $0.at.span(since: began) == .milliseconds(200) } == true))
        #expect(isTrue(lone.status(of: Self.one) == .alive))
        lone.pass(.milliseconds(2))
        #expect(isTrue(lone.status(of: Self.one) == .suspect))
        // The accused hears of it from whoever asks next.
        #expect(lone.passUntilAsked(Self.one) != nil)
        let isAccused = lone.sent.contains { packet in
            packet.to.short == Self.one.id.short
                && packet.messages.contains(StateNews.of(Self.one, .suspect, by: lone.machine.own))
        }
        #expect(isAccused)
    }

    @Test("who answers fast is given up sooner, and an answer of a late loop teaches nothing")
    func timeouts() {
        var lone = LoneMachine(peers: 2)
        lone.answering = [Self.one, Self.two]
        lone.pass(.seconds(5))
        lone.answering = [Self.two]
        guard lone.passUntilAsked(Self.one) != nil else { return #expect(Bool(false)) }
        let began = lone.sent.first { $0.to.short == Self.one.id.short }?.at ?? lone.now
        lone.pass(.milliseconds(300))
        #expect(Self.pings(of: lone, to: Self.one, since: began) == [0, 16_666, 33_333])
        // Another, for whom nobody is suspect yet: suspects are asked besides.
        lone = LoneMachine(peers: 2)
        lone.answering = [Self.one, Self.two]
        lone.pass(.seconds(5))
        lone.answering = [Self.two]
        let usual = lone.machine.table.slot(of: Self.one.id.short)?.roundTrip
        for (lag, isLearned) in [(21, false), (20, true)] as [(UInt16, Bool)] {
            guard let ping = lone.passUntilAsked(Self.one) else { return #expect(Bool(false)) }
            lone.pass(.milliseconds(10))
            lone.hear(.ack(Ack(probe: ping.probe, attempt: 0, lagMilliseconds: lag)), from: Self.one)
            #expect(isTrue((lone.machine.table.slot(of: Self.one.id.short)?.roundTrip != usual) == isLearned))
        }
    }

    @Test("a target that changes its life or number meanwhile is not judged")
    func changedTarget() {
        for change in [Self.one.with { $0.incarnation = Incarnation(rawValue: 1_001) }, .numbered(1, life: 2)] {
            var lone = LoneMachine(peers: 2)
            lone.answering = [Self.two]
            _ = lone.passUntilAsked(Self.one)
            lone.hear(.member(change.with { $0.incarnation = Incarnation(rawValue: 1_001) }), from: Self.two)
            lone.forget()
            lone.pass(.milliseconds(429))
            #expect(!lone.facts.contains(.probeFailed(Self.one.id.short)))
            #expect(isTrue(lone.status(of: Self.one) == .alive))
        }
    }

    // MARK: Helping

    private static func isWord(_ message: Message) -> Bool {
        switch message {
        case .ack, .nack: true
        default: false
        }
    }

    @Test("a helper asks three times within its time, and says so when nobody answers")
    func silentTarget() {
        var lone = LoneMachine(peers: 3)
        lone.hear(
            .indirectPing(IndirectPing(probe: 9, target: Self.two.id.short, budgetMilliseconds: 160)), from: Self.one)
        lone.pass(.milliseconds(161))
        #expect(Self.pings(of: lone, to: Self.two, since: .zero, isOnBehalf: true) == [0, 50_000, 100_000])
        let words = lone.sent.filter { $0.to.short == Self.one.id.short && $0.messages.contains(where: Self.isWord) }
        #expect(words.map(\.messages) == [[.nack(Nack(probe: 9, target: Self.two.id.short, reason: .silent))]])
        #expect(words.first?.at == .zero + .milliseconds(160))
    }

    @Test("a helper passes an answer on, once, under the asker's number")
    func answeredHelp() {
        var lone = LoneMachine(peers: 3)
        lone.answering = [Self.two]
        lone.hear(
            .indirectPing(IndirectPing(probe: 9, target: Self.two.id.short, budgetMilliseconds: 160)), from: Self.one)
        lone.pass(.milliseconds(200))
        let words = lone.sent.filter { $0.to.short == Self.one.id.short && $0.messages.contains(where: Self.isWord) }
        #expect(words.map(\.messages) == [[.ack(Ack(probe: 9, attempt: 0, isOnBehalf: true))]])
    }

    @Test("what a helper cannot do it says at once, and sixty-four it can at a time")
    func helpBounds() {
        var lone = LoneMachine(peers: 3)
        func ask(_ target: ReplicaShortID, budget: UInt16 = 160) -> [Message] {
            lone.forget()
            lone.hear(.indirectPing(IndirectPing(probe: 9, target: target, budgetMilliseconds: budget)), from: Self.one)
            return lone.messages.filter(Self.isWord)
        }
        func nack(_ target: ReplicaShortID, _ reason: Nack.Reason) -> [Message] {
            [.nack(Nack(probe: 9, target: target, reason: reason))]
        }
        let stranger = ReplicaShortID(rawValue: 4_711)
        #expect(ask(stranger) == nack(stranger, .unknown))
        #expect(ask(lone.machine.own.id.short) == nack(lone.machine.own.id.short, .unknown))
        #expect(ask(Self.two.id.short, budget: 0) == nack(Self.two.id.short, .silent))
        for _ in 0..<64 { #expect(ask(Self.two.id.short).isEmpty) }
        #expect(ask(Self.two.id.short) == nack(Self.two.id.short, .unknown))
    }

    // MARK: Evidence

    /// Seed 7009 of fifty replicas: one had lost its disk, and all others asked it each second for the one that it had been.
    @Test("a dead one is asked for each second, and each minute once another answers in its place")
    func replaced() {
        var lone = LoneMachine(peers: 3)
        let (dead, heir) = (MemberRecord.numbered(1), MemberRecord.numbered(2))
        lone.answering = [heir, .numbered(3)]
        lone.hear(StateNews.of(dead, .dead, by: .numbered(3)), from: .numbered(3))
        func asks(within span: Nanoseconds) -> Int {
            lone.forget()
            lone.pass(span)
            return lone.sent.count { $0.to.short == dead.id.short }
        }
        #expect((9...11).contains(asks(within: .seconds(10))))
        lone.hear(
            .misdelivered(Misdelivered(sought: dead.id.short, mine: heir.id.short, session: heir.session)), from: heir)
        #expect(asks(within: .seconds(59)) == 0)
        #expect((9...12).contains(asks(within: .seconds(11))), "it is asked again, and here nobody answers")
    }

    @Test("misdelivered counts from the sought one's address by a speaker who lives there, and from nobody else")
    func misdelivered() {
        let heir = Self.two.with { $0.address = Self.one.address }
        let news = Misdelivered(sought: Self.one.id.short, mine: heir.id.short, session: heir.session)
        var base = LoneMachine(peers: 1)
        base.introduce(heir)
        base.introduce(Self.three)
        base.answering = [heir, Self.three]
        _ = base.passUntilAsked(Self.one)
        let doubtful: [(MemberRecord, PeerAddress)] = [
            (heir, Self.three.address), (Self.three, Self.one.address), (.numbered(9), Self.one.address),
            (heir.with { $0.session = SessionID(rawValue: 5) }, Self.one.address),
        ]
        for (speaker, address) in doubtful {
            var lone = base
            lone.hear(.misdelivered(news), from: speaker, at: address)
            #expect(isTrue(lone.status(of: Self.one) == .alive))
        }
        base.hear(.misdelivered(news), from: heir)
        #expect(isTrue(base.status(of: Self.one) == .suspect))
        // The shortest wait, since somebody else lives there.
        let shortest = Suspicion.Terms(timing: .lan, replicas: 4, isLossy: false).shortest
        base.pass(shortest + .nanoseconds(-1))
        #expect(isTrue(base.status(of: Self.one) == .suspect))
        base.pass(.nanoseconds(1))
        #expect(isTrue(base.status(of: Self.one) == .dead))
    }

    @Test("a refusal is a suspicion at once, a second one a death 1.5 T after the first; of two replicas one is enough")
    func refusals() {
        for peers in [1, 3] {
            var lone = LoneMachine(peers: peers)
            lone.answering = [Self.two, Self.three]
            _ = lone.passUntilAsked(Self.one)
            lone.pass(.milliseconds(205))
            lone.answer(Self.one.address, with: .refused)
            let refusedAt = lone.now
            #expect(isTrue(lone.status(of: Self.one) == .suspect))
            lone.pass(.milliseconds(6))
            if peers == 3 {
                let accusation = StateNews.of(Self.one, .suspect, by: lone.machine.own, isRefused: true)
                #expect(Set(lone.sent.filter { $0.messages.contains(accusation) }.map(\.to.short)).count == 3)
                lone.hear(StateNews.of(Self.one, .suspect, by: Self.two, isRefused: true), from: Self.two)
            }
            lone.pass(.milliseconds(645) + refusedAt.span(since: lone.now) + .nanoseconds(-1))
            #expect(isTrue(lone.status(of: Self.one) == .suspect))
            lone.pass(.nanoseconds(1))
            #expect(isTrue(lone.status(of: Self.one) == .dead))
        }
    }

    @Test("who hears of a refusal dials once itself; in a large flock three or so do")
    func hearers() {
        var lone = LoneMachine(peers: 4)
        for accuser in [Self.two, Self.three] {
            lone.hear(StateNews.of(Self.one, .suspect, by: accuser, isRefused: true), from: accuser)
        }
        #expect(lone.dialled.map(\.to) == [Self.one.address])
        lone.answer(Self.one.address, with: .refused)
        #expect(isTrue(lone.machine.suspicions.first?.accusers.contains(lone.machine.own.id.short) == true))
        // Where somebody listens, nothing is said.
        var other = LoneMachine(peers: 4)
        other.hear(StateNews.of(Self.one, .suspect, by: Self.two, isRefused: true), from: Self.two)
        other.answer(Self.one.address)
        #expect(isTrue(other.machine.suspicions.first?.accusers == [Self.two.id.short]))
        let large = LoneMachine(peers: 99)
        var dials = 0
        for seed in 0..<300 {
            var lone = large
            lone.machine.generator = SeededGenerator(seed: UInt64(seed))
            lone.hear(StateNews.of(Self.one, .suspect, by: Self.two, isRefused: true), from: Self.two)
            dials += lone.dialled.count
        }
        // 3 of 100, of 300 machines.
        #expect((3...18).contains(dials))
    }

    @Test("the dead are asked each second, later each fifth, then each minute")
    func reachOut() {
        var timing = MembershipTiming()
        timing.period = .seconds(10)
        var lone = LoneMachine(peers: 2, timing: timing)
        lone.answering = [Self.two]
        lone.hear(StateNews.of(Self.one, .dead, by: Self.two), from: Self.two)
        lone.forget()
        func asked(within seconds: Int64) -> Int {
            lone.forget()
            lone.pass(.seconds(seconds))
            return Self.pings(of: lone, to: Self.one, since: .zero).count
        }
        #expect((598...600).contains(asked(within: 600)))
        #expect((590...600).contains(asked(within: 3_000)))
        #expect((28...30).contains(asked(within: 1_800)))
        // Who has left is not asked.
        lone.hear(.member(Self.one.with { $0.status = .left }), from: Self.two)
        #expect(asked(within: 120) == 0)
    }

    @Test("M12: in a full table the gone make room for who comes, and who is there stays")
    func fullTable() {
        var bounds = MembershipBounds()
        bounds.members = 4
        var lone = LoneMachine(peers: 4, bounds: bounds)
        let newcomer = MemberRecord.numbered(9)
        lone.hear(.member(newcomer), from: Self.one)
        #expect(isTrue(lone.member(newcomer) == nil && lone.machine.table.presentCount == 4))
        lone.hear(.member(Self.two.with { $0.status = .left }), from: Self.one)
        lone.pass(.seconds(1))
        lone.hear(.member(Self.three.with { $0.status = .left }), from: Self.one)
        lone.forget()
        lone.hear(.member(newcomer), from: Self.one)
        #expect(isTrue(lone.status(of: newcomer) == .alive && lone.member(Self.two) == nil))
        let forgotten = lone.effects.compactMap { if case .forgot(let id) = $0.1 { id } else { nil } }
        #expect(forgotten == [Self.two.id])
        // Who went before everybody else is not worth a place.
        let stream = StreamID(rawValue: StreamID.acceptedBit | 1)
        lone.tell(.streamAccepted(stream, .peer, from: Self.one.address))
        lone.tell(.streamFrame(stream, .summary([])))
        lone.tell(.streamFrame(stream, .records([.agedMember(age: 500, .numbered(10, status: .dead))])))
        #expect(isTrue(lone.member(.numbered(10)) == nil && lone.status(of: Self.three) == .left))
    }
}
