import Determinism
import Testing
import WireCoding

@testable import Membership

/// Lives, names and numbers.
struct IdentityTests {
    private static let one = MemberRecord.numbered(1)

    @Test("M2: no word leaves before the start value is durable")
    func durable() {
        var machine = LoneMachine(persisted: Incarnation(rawValue: 5_000_000)).machine
        #expect(machine.own.incarnation.rawValue > 5_000_000)
        machine = MembershipMachine(
            own: .numbered(0), persisted: nil, unixSecondsAtZero: LoneMachine.unixSecondsAtZero, hasSeeds: true,
            seed: 1,
            at: .zero)
        var sink = TestFlock.Sink()
        var effects: [MembershipEffect] = []
        var voice = LoneMachine()
        let ping = voice.packet([.ping(Ping(probe: 1, attempt: 0))], from: Self.one)
        let inputs: [MembershipInput] = [
            .tick, .packet(ping),
            .streamAccepted(StreamID(rawValue: StreamID.acceptedBit), .join, from: Self.one.address),
            .persisted(Incarnation(rawValue: 1)), .changed(.flags(set: .diskFull, clear: [])), .clockBroke,
            .packet(ping),
        ]
        for input in inputs { machine.handle(input, at: .zero + .seconds(1), sending: &sink, into: &effects) }
        let asked = effects.filter { if case .closeStream = $0 { false } else { true } }
        #expect(sink.sent.isEmpty && asked.count == 1)
        guard case .persist(let identity) = asked.first else { return #expect(Bool(false)) }
        #expect(identity.incarnation == machine.own.incarnation && machine.nextDeadline == .never)
        machine.handle(.persisted(identity.incarnation), at: .zero + .seconds(1), sending: &sink, into: &effects)
        #expect(machine.nextDeadline < .never)
    }

    @Test("two components that meet with one short id end with two (M18)", arguments: 0..<4)
    func shortIDs(seed: UInt64) {
        let ids = (0..<4).map { ReplicaID(high: UInt64([9, 10, 9, 11][$0]) << 32, low: UInt64($0)) }
        var flock = TestFlock(seed: seed)
        flock.hasSeeds = false
        for id in ids { flock.start(id: id) }
        flock.run(for: .milliseconds(1))
        flock.introduce([0, 3])
        flock.introduce([2, 1])
        flock.run(for: .seconds(2))
        flock.tell(1, .command(.join([TestFlock.address(3)])))
        #expect(isTrue(flock.run(until: .seconds(6)) { $0.agrees }))
        #expect(isTrue(Set(flock.machines.map(\.own.id.short)).count == 4))
        #expect(
            isTrue(flock.machines[0].own.id == ids[0] && flock.machines[2].own.id != ids[2]), "the larger gives way")
    }

    @Test("only a twin of a later life takes the name")
    func twins() {
        var lone = LoneMachine(peers: 2)
        let own = lone.machine.own
        for (session, ahead) in [(own.session.rawValue - 1, 0), (7, -1), (.max, -1)] as [(UInt64, Int)] {
            lone.hear(
                .member(
                    own.with {
                        $0.session = SessionID(rawValue: session)
                        $0.incarnation = Incarnation(rawValue: UInt32(Int(own.incarnation.rawValue) + ahead))
                    }), from: Self.one)
            #expect(isTrue(lone.machine.own == own))
        }
        lone.hear(.member(own.with { $0.session = SessionID(rawValue: own.session.rawValue + 1) }), from: Self.one)
        #expect(isTrue(lone.facts.contains(.renewed(.twin)) && lone.machine.own.id != own.id))
        let isAnnounced = lone.effects.contains {
            if case .becomes(let id, let session) = $0.1 {
                id == lone.machine.own.id && session != own.session
            } else {
                false
            }
        }
        #expect(isAnnounced)
    }

    @Test("accused at the ceiling nothing is louder: a new name, and no rumour of the old one's")
    func ceiling() {
        for persisted in [UInt32.max, UInt32.max - 1] {
            let lone = LoneMachine(persisted: Incarnation(rawValue: persisted))
            #expect(isTrue(lone.facts.contains(.renewed(.ceiling)) && lone.machine.own.flags.contains(.ready)))
            #expect(lone.machine.own.incarnation.rawValue < 2_000_000)
        }
    }

    @Test("M7: however often it is accused, it answers each, four times within any second")
    func raises() {
        var lone = LoneMachine(peers: 3)
        lone.answering = (1...3).map { .numbered($0) }
        lone.pass(.seconds(5))
        lone.forget()
        var raisedAt: [Instant] = []
        var told = lone.machine.own.incarnation
        var random = SeededGenerator(seed: 3)
        for _ in 0..<600 {
            lone.pass(.milliseconds(Int64(random.below(20))))
            let before = lone.machine.own
            told = max(told, before.incarnation)
            lone.hear(StateNews.of(before.with { $0.incarnation = told }, .dead, by: .numbered(2)), from: Self.one)
        }
        lone.pass(.milliseconds(1_001))
        #expect(lone.machine.own.incarnation > told, "the last accusation is answered too")
        for effect in lone.effects { if case .persist = effect.1 { raisedAt.append(effect.at) } }
        #expect(raisedAt.count >= 20)
        #expect(zip(raisedAt, raisedAt.dropFirst(4)).allSatisfy { $1.span(since: $0) >= .seconds(1) })
    }

    @Test("a long sleep begins a new life; a short one does not; a very long one forgets everybody")
    func sleeps() {
        for (seconds, isNew, forgets) in [(59, false, false), (61, true, false), (22_000, true, true)] {
            var lone = LoneMachine(peers: 3)
            lone.pass(.seconds(1))
            lone.forget()
            let before = lone.machine.own
            lone.stall(for: .seconds(Int64(seconds)))
            let own = lone.machine.own
            #expect(own.id == before.id && (own.session != before.session) == isNew)
            #expect(!isNew || own.incarnation > before.incarnation)
            #expect(isTrue(lone.machine.table.count == (forgets ? 0 : 3)))
            let forgotten = lone.effects.filter { if case .forgot = $0.1 { true } else { false } }
            #expect(forgotten.count == (forgets ? 3 : 0))
            let deaths = lone.changes(to: .dead) + lone.changes(to: .suspect)
            #expect(deaths.isEmpty, "the late judge nobody")
        }
    }

    @Test("a resumed memory image joins again as another life", arguments: 0..<3)
    func clockBroke(seed: UInt64) {
        var flock = TestFlock.settled(4, seed: seed)
        flock.run(for: .seconds(2))
        let before = flock.machines[1].own
        flock.tell(1, .clockBroke)
        #expect(isTrue(flock.run(until: .seconds(6)) { $0.agrees && $0.machines[1].own.flags.contains(.ready) }))
        let own = flock.machines[1].own
        #expect(own.id == before.id && own.session != before.session && own.incarnation > before.incarnation)
    }

    @Test("M15: whom an operator removed comes back by another session alone")
    func removal() {
        var lone = LoneMachine(peers: 2)
        lone.tell(.command(.forceLeave(Self.one.id, prune: true)))
        #expect(isTrue(lone.member(Self.one).map { $0.status == .left && $0.isPruned && $0.isRemoved } == true))
        #expect(isTrue(lone.machine.replicas == 2))
        // Its own louder words do not help it.
        let louder = Self.one.with { $0.incarnation = Incarnation(rawValue: 9_000) }
        lone.hear(.member(louder), from: .numbered(2))
        lone.hear(
            StateNews.of(Self.one.with { $0.incarnation = Incarnation(rawValue: 9_500) }, .suspect, by: louder),
            from: .numbered(2))
        #expect(isTrue(lone.status(of: Self.one) == .left))
        // It learns of it from the first peer that it speaks to.
        lone.forget()
        lone.hear(.ping(Ping(probe: 1, attempt: 0)), from: louder)
        let isTold = lone.messages.contains {
            if case .removed(let news) = $0 { news.session == Self.one.session } else { false }
        }
        #expect(isTold)
        let back = MemberRecord.numbered(1, life: 2, incarnation: 9_501)
        lone.hear(.member(back), from: .numbered(2))
        #expect(isTrue(lone.member(back).map { $0.status == .alive && !$0.isPruned && !$0.isRemoved } == true))
        // A tombstone that names another's session removes nobody.
        lone.hear(
            .removed(.of(MemberRecord.numbered(7).with { $0.session = back.session }, by: .numbered(2))),
            from: .numbered(2))
        #expect(isTrue(lone.status(of: back) == .alive))
    }

    @Test("a removal reaches everybody, and who was removed alive joins again")
    func removalSpreads() {
        var flock = TestFlock.settled(5)
        flock.run(for: .seconds(1))
        let old = flock.machines[3].own
        flock.cut = [[0, 3], [3, 0], [1, 3], [3, 1], [2, 3], [3, 2], [4, 3], [3, 4]]
        flock.tell(0, .command(.forceLeave(old.id, prune: true)))
        let isKnown = flock.run(until: .milliseconds(300)) { flock in
            [0, 1, 2, 4].allSatisfy { flock.machines[$0].table.slot(of: old.id.short)?.member.isPruned == true }
        }
        #expect(isKnown)
        flock.cut = []
        #expect(isTrue(flock.run(until: .seconds(6)) { $0.agrees && $0.machines[3].own.session != old.session }))
        #expect(isTrue(flock.facts[3].contains { $0.1 == .rejoined }))
    }

    @Test("who is leaving leaves, whatever it is told")
    func leavingIsFinal() {
        var lone = LoneMachine(peers: 2)
        let own = lone.machine.own
        lone.tell(.command(.leave))
        lone.hear(.member(own.with { $0.session = SessionID(rawValue: .max) }), from: Self.one)
        lone.hear(StateNews.of(own.with { $0.incarnation = .ceiling }, .dead, by: Self.one), from: Self.one)
        lone.hear(.removed(.of(own, by: Self.one)), from: Self.one)
        lone.tell(.clockBroke)
        lone.pass(.milliseconds(1_001))
        let hasLeft = lone.effects.contains { if case .left = $0.1 { true } else { false } }
        #expect(hasLeft && isTrue(lone.machine.own.id == own.id))
    }
}
