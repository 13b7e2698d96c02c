import Determinism
import Testing
import WireCoding

@testable import Membership

/// What went wrong in other people's flocks, each as a test of ours.
struct OthersBugsTests {
    private static let one = MemberRecord.numbered(1)
    private static let two = MemberRecord.numbered(2)

    /// memberlist #311: after a mass restart nodes stayed dead for ever.
    @Test("a flock that restarts as a whole finds itself again", arguments: 0..<6)
    func massRestart(seed: UInt64) {
        var flock = TestFlock.settled(5, seed: seed)
        flock.run(for: .seconds(2))
        let olds = flock.machines.map(\.own)
        for index in 0..<5 { flock.stop(index, silently: index % 2 == 0) }
        flock.run(for: .seconds(1))
        for index in 0..<5 {
            flock.run(for: .milliseconds(Int64(flock.generator.below(400))))
            // Some have lost their file: the clock alone must do.
            flock.start(id: olds[index].id, persisted: index % 2 == 0 ? olds[index].incarnation : nil, as: index)
        }
        #expect(isTrue(flock.run(until: .seconds(8)) { $0.agrees }))
        #expect(isTrue(zip(flock.machines, olds).allSatisfy { $0.own.id == $1.id && $0.own.session != $1.session }))
    }

    /// memberlist #311, the other half: who is held dead is told so, and is back in one round trip.
    @Test("a dead one that speaks hears what is thought of it")
    func deadSpeaker() {
        var lone = LoneMachine(peers: 2)
        lone.hear(.member(Self.one.with { $0.status = .dead }), from: Self.two)
        lone.forget()
        lone.hear(.ping(Ping(probe: 5, attempt: 0)), from: Self.one)
        #expect(lone.messages.contains(.member(Self.one.with { $0.status = .dead })))
        lone.hear(.member(Self.one.with { $0.incarnation = Incarnation(rawValue: 1_001) }), from: Self.one)
        #expect(isTrue(lone.status(of: Self.one) == .alive && lone.facts.contains(.falseDeath(Self.one.id.short))))
        // Of somebody unknown it is kept: forgotten, a stale «alive» would be believed.
        lone.hear(.member(.numbered(7, status: .dead)), from: Self.two)
        lone.hear(.member(.numbered(7)), from: Self.two)
        #expect(isTrue(lone.status(of: .numbered(7)) == .dead))
    }

    /// habitat #5581: the incarnation lived in memory alone, and a restart drowned in refutations.
    @Test("a restart speaks louder than its last life, even with a clock that has lost its battery")
    func persistedStart() {
        let clock = UInt32(LoneMachine.unixSecondsAtZero)
        #expect(LoneMachine(persisted: Incarnation(rawValue: clock * 3)).machine.own.incarnation.rawValue > clock * 3)
        #expect(LoneMachine(persisted: Incarnation(rawValue: 3)).machine.own.incarnation.rawValue >= clock)
        #expect(LoneMachine(persisted: nil).machine.own.incarnation.rawValue >= clock)
    }

    /// CASSANDRA-10969, scylla #5164: nodes up for a year were refused as "from the future".
    @Test("an incarnation of ten years ahead is said, and accepted")
    func future() {
        var lone = LoneMachine(peers: 1)
        let ahead = MemberRecord.numbered(8, incarnation: UInt32(LoneMachine.unixSecondsAtZero) + 10 * 31_557_600)
        lone.hear(.member(ahead), from: Self.one)
        #expect(isTrue(lone.status(of: ahead) == .alive))
        #expect(isTrue(lone.facts.contains(.fromTheFuture(ahead.id.short, ahead.incarnation))))
        let soon = MemberRecord.numbered(9, incarnation: UInt32(LoneMachine.unixSecondsAtZero) + 80_000)
        lone.forget()
        lone.hear(.member(soon), from: Self.one)
        #expect(!lone.facts.contains(.fromTheFuture(soon.id.short, soon.incarnation)))
    }

    /// scylla #3331: an operator's removal bumped a foreign generation, and the real node was refused.
    @Test("M2: a removal raises no incarnation, and the removed comes back by itself")
    func removalInventsNothing() {
        var lone = LoneMachine(peers: 2)
        lone.tell(.command(.forceLeave(Self.one.id, prune: false)))
        #expect(isTrue(lone.member(Self.one).map { $0.record == Self.one && $0.status == .left } == true))
        let back = MemberRecord.numbered(1, life: 2, incarnation: 1_001)
        lone.hear(.member(back), from: Self.two)
        #expect(isTrue(lone.status(of: back) == .alive))
    }

    /// serf #216, #283: with UDP blocked and TCP open, members flapped each 30 s.
    @Test("where UDP is blocked and TCP open nobody flaps")
    func blockedUDP() {
        var flock = TestFlock.settled(3, seed: 5)
        flock.isUDPCut = [[0, 1], [1, 0]]
        flock.run(for: .seconds(90))
        #expect(isTrue(flock.agrees))
        #expect(isTrue(flock.changes.allSatisfy { $0.allSatisfy { !$0.1.status.isGone } }))
        #expect(isTrue(flock.facts[0].allSatisfy { if case .suspected = $0.1 { false } else { true } }))
    }

    /// weaviate #3045: "conflicting address", a replaced pod was refused until the old one had died.
    @Test("another replica at a known address, with a known name, is let in at once, and the old one dies soon")
    func replacedPod() {
        var flock = TestFlock.settled(4, seed: 6)
        flock.run(for: .seconds(2))
        let old = flock.machines[3].own
        flock.stop(3, silently: false)
        flock.start(as: 3)
        let isIn = flock.run(until: .milliseconds(500)) { flock in
            (0..<3).allSatisfy { flock.status(of: 3, at: $0) == .alive }
        }
        #expect(isIn && isTrue(flock.machines[3].own.id != old.id))
        let isOldDead = flock.run(until: .seconds(4)) { flock in
            (0..<3).allSatisfy { flock.machines[$0].table.slot(of: old.id.short)?.member.status == .dead }
        }
        #expect(isOldDead)
    }

    /// consul #9927, #18078: the queue grew faster than it was pruned, and force-leaves stormed.
    @Test("however often news repeats, the queue holds each subject once, and so many at most")
    func queueBound() {
        var bounds = MembershipBounds()
        bounds.rumours = 64
        var lone = LoneMachine(peers: 3, bounds: bounds)
        for step in 0..<2_000 {
            let subject = MemberRecord.numbered(10 + step % 20, life: UInt64(step % 20))
            lone.hear(.removed(.of(subject, by: Self.two)), from: Self.one)
        }
        #expect(isTrue(lone.machine.rumours.count <= 20 && lone.machine.removed.entries.count == 20))
        for step in 0..<2_000 { lone.hear(.removed(.of(.numbered(100 + step), by: Self.two)), from: Self.one) }
        #expect(isTrue(lone.machine.rumours.count <= 64))
        #expect(isTrue(lone.facts.contains(.rumourDropped(lane: 1))))
    }

    /// consul #8435: a graceful leave timed out in large clusters.
    @Test("leaving takes a second at most, whoever answers", arguments: [1, 5, 63, 200])
    func leaving(peers: Int) {
        var lone = LoneMachine(peers: peers)
        lone.pass(.seconds(1))
        let began = lone.now
        lone.tell(.command(.leave))
        lone.pass(.seconds(2))
        let left = lone.effects.first { if case .left = $0.1 { true } else { false } }
        #expect(isTrue(left.map { $0.at.span(since: began) <= .seconds(1) } == true))
        let told = Set(
            lone.sent.filter { $0.messages.contains { if case .leave = $0 { true } else { false } } }.map(\.to.short))
        #expect(told.count == (peers <= 63 ? peers : 15) || peers > 63 && told.count >= 15)
    }

    /// memberlist #254: members that had left were kept for ever; cortex #25, loki #13262: the purged were learned again.
    @Test("M17: the gone are forgotten after their time, and not taught again by who is late")
    func retention() {
        var timing = MembershipTiming()
        (timing.retention, timing.period, timing.reachOutEvery) = (.seconds(3_600), .seconds(10), .seconds(10))
        var lone = LoneMachine(peers: 1, timing: timing)
        lone.answering = [Self.one]
        let gone = [MemberRecord.numbered(5, status: .left), .numbered(6, status: .dead)]
        for record in gone { lone.hear(.member(record), from: Self.one) }
        lone.hear(.removed(.of(.numbered(7), by: Self.one)), from: Self.one)
        lone.pass(.seconds(3_590))
        #expect(isTrue(lone.machine.table.count == 3 && lone.machine.removed.entries.count == 1))
        lone.pass(.seconds(75))
        #expect(isTrue(lone.machine.table.count == 1 && lone.machine.removed.entries.isEmpty))
        let forgotten = lone.effects.filter { if case .forgot = $0.1 { true } else { false } }
        #expect(forgotten.count == 2)
        // A peer that was away still holds them.
        lone.forget()
        let stream = StreamID(rawValue: StreamID.acceptedBit | 1)
        lone.tell(.streamAccepted(stream, .peer, from: Self.one.address))
        lone.tell(.streamFrame(stream, .summary([])))
        lone.tell(.streamFrame(stream, .records(gone.map { .agedMember(age: 1_800, $0) })))
        #expect(isTrue(lone.machine.table.count == 1))
        // What is younger is kept, with its age, and is not passed on without one.
        lone.forget()
        lone.tell(.streamFrame(stream, .records(gone.map { .agedMember(age: 1_700, $0) })))
        #expect(isTrue(lone.machine.table.count == 3))
        lone.pass(.seconds(30))
        let isPassedOn = lone.sent.contains { packet in
            gone.contains { packet.to.short != $0.id.short && packet.messages.contains(.member($0)) }
        }
        #expect(!isPassedOn)
        lone.pass(.seconds(3_600 - 1_700 + 31))
        #expect(isTrue(lone.machine.table.count == 1))
    }

    /// memberlist #350: drawing k helpers at random missed the only candidate of three.
    @Test("all who can help are asked while they are few", arguments: 2...4, 0..<8)
    func helpers(peers: Int, seed: UInt64) {
        var lone = LoneMachine(peers: peers, seed: seed)
        lone.answering = (2...peers).map { .numbered($0) }
        guard lone.passUntilAsked(Self.one) != nil else { return #expect(Bool(false)) }
        lone.forget()
        lone.pass(.milliseconds(230))
        let asked = lone.sent.filter { $0.messages.contains { if case .indirectPing = $0 { true } else { false } } }
        #expect(Set(asked.map(\.to.short)) == Set((2...peers).map { MemberRecord.numbered($0).id.short }))
    }

    /// foca 0.12: two members told each other "you are down" without end, and one pinged its own former identity.
    @Test("two that hold each other dead are both alive after one exchange")
    func downAndDown() {
        var flock = TestFlock.settled(2, seed: 3)
        for (observer, subject) in [(0, 1), (1, 0)] {
            let record = flock.machines[subject].own
            flock.cut = [[0, 1], [1, 0]]
            flock.tell(
                observer,
                .packet(
                    ReceivedPacket(
                        from: record.address, session: record.session, counter: 1, wantsReceipt: false,
                        header: PacketHeader(
                            destination: flock.machines[observer].own.id.short, source: record.id.short,
                            incarnation: record.incarnation, membershipDigest: 0),
                        messages: [StateNews.of(record, .dead, by: record)])))
        }
        #expect(isTrue(flock.status(of: 0, at: 1) == .dead && flock.status(of: 1, at: 0) == .dead))
        flock.cut = []
        #expect(isTrue(flock.run(until: .seconds(2)) { $0.agrees }))
        let raised = flock.machines.map(\.own.incarnation.rawValue)
        flock.bytesSent = 0
        flock.run(for: .seconds(10))
        #expect(isTrue(flock.machines.map(\.own.incarnation.rawValue) == raised))
        #expect(flock.bytesSent / 2 / 10 <= 600)
        // A packet that bears the own short id changes nothing.
        var lone = LoneMachine(peers: 1)
        lone.forget()
        lone.hear(.ping(Ping(probe: 1, attempt: 0)), from: lone.machine.own)
        #expect(lone.sent.isEmpty && lone.effects.isEmpty)
    }

    /// foca 0.7, 0.9: the dead were forgotten after seconds, and floods of updates followed.
    @Test("the dead are remembered for a day")
    func memory() {
        #expect(
            MembershipTiming.lan.retention == .seconds(86_400) && MembershipTiming.wan.retention == .seconds(86_400))
    }
}
