import Determinism
import Testing
import WireCoding

@testable import Membership

/// Finding the flock, and letting others in.
struct JoinTests {
    private static let seed = TestFlock.address(40)
    private static let one = MemberRecord.numbered(1)

    // MARK: At the door

    private static func stream(_ number: UInt32) -> StreamID { StreamID(rawValue: StreamID.acceptedBit | number) }

    /// Knocks with that record; what the seed answers.
    private static func knock(
        at seed: inout LoneMachine, as joiner: MemberRecord, on number: UInt32 = 1
    ) -> [StreamFrame] {
        seed.forget()
        seed.tell(.streamAccepted(stream(number), .join, from: joiner.address))
        seed.tell(.streamFrame(stream(number), .joinRequest(joiner)))
        return seed.frames
    }

    @Test("who is let in learns of everybody and everybody of it")
    func letIn() {
        var seed = LoneMachine(peers: 3)
        let joiner = MemberRecord.numbered(9)
        let frames = Self.knock(at: &seed, as: joiner)
        guard case .records(let messages) = frames.first else { return #expect(Bool(false), "\(frames)") }
        let ids = messages.compactMap { if case .agedMember(_, let record) = $0 { record.id.low } else { nil } }
        #expect(ids.sorted() == [0, 1, 2, 3, 9])
        #expect(frames.last == .done)
        #expect(isTrue(seed.status(of: joiner) == .alive))
        seed.pass(.milliseconds(6))
        #expect(isTrue(Set(seed.sent.filter { $0.messages.contains(.member(joiner)) }.map(\.to.short)).count >= 3))
    }

    @Test("each refusal has a name and leaves no trace", arguments: JoinRefusal.allCases)
    func refusals(_ refusal: JoinRefusal) {
        var seed = LoneMachine(
            own: MemberRecord.numbered(0).with { ($0.protocolMin, $0.protocolMax) = (2, 3) }, peers: 3)
        let fit = MemberRecord.numbered(9).with { ($0.protocolMin, $0.protocolMax) = (3, 4) }
        var joiners: [MemberRecord] = []
        switch refusal {
        case .protocolTooOld: joiners = [fit.with { ($0.protocolMin, $0.protocolMax) = (1, 1) }]
        case .protocolTooNew: joiners = [fit.with { ($0.protocolMin, $0.protocolMax) = (4, 4) }]
        case .identityInUse: joiners = [fit.with { $0.id = seed.machine.own.id }]
        case .shortIDTaken:
            joiners = [0, 1, 3].map { index in
                fit.with { $0.id = ReplicaID(high: MemberRecord.numbered(index).id.high, low: 500) }
            }
            joiners += [0, .max].map { short in fit.with { $0.id = ReplicaID(high: short << 32, low: 500) } }
            joiners.append(fit.with { $0.session = SessionID(rawValue: 0) })
        case .busy:
            for number in 10..<26 as Range<UInt32> {
                seed.tell(.streamAccepted(Self.stream(number), .peer, from: TestFlock.address(Int(number))))
                seed.tell(.streamFrame(Self.stream(number), .summary([])))
            }
            joiners = [fit]
        }
        let count = seed.machine.table.count
        for joiner in joiners {
            #expect(Self.knock(at: &seed, as: joiner) == [.joinRefused(refusal)], "\(joiner.id)")
            let isClosed = seed.effects.contains { if case .closeStream(Self.stream(1)) = $0.1 { true } else { false } }
            #expect(isClosed && isTrue(seed.machine.table.count == count))
        }
    }

    @Test("W10: probes have streams of their own, and a source has eight")
    func streamBounds() {
        var seed = LoneMachine(peers: 1)
        var number: UInt32 = 0
        func open(from index: Int) -> StreamID {
            number += 1
            let stream = Self.stream(number)
            seed.tell(.streamAccepted(stream, .peer, from: TestFlock.address(index)))
            return stream
        }
        for index in 0..<16 { seed.tell(.streamFrame(open(from: index / 8), .summary([]))) }
        seed.forget()
        // A seventeenth sync finds no place, a probe does.
        seed.tell(.streamFrame(open(from: 5), .summary([])))
        #expect(seed.frames.isEmpty)
        let ping = StreamFrame.ping(Ping(probe: 7, attempt: 0), destination: seed.machine.own.id.short)
        seed.tell(.streamFrame(open(from: 6), ping))
        #expect(seed.frames == [.ack(Ack(probe: 7, attempt: 0), destination: seed.machine.own.id.short)])
        // For another replica there is no answer.
        seed.forget()
        seed.tell(.streamFrame(open(from: 7), .ping(Ping(probe: 7, attempt: 0), destination: Self.one.id.short)))
        #expect(seed.frames.isEmpty)
        seed.forget()
        for index in 0..<100 { _ = open(from: 20 + index) }
        #expect(isTrue(seed.machine.accepted.count <= 32))
        var other = LoneMachine(peers: 1)
        for number in 0..<20 as Range<UInt32> {
            other.tell(.streamAccepted(Self.stream(number), .join, from: TestFlock.address(3)))
        }
        #expect(isTrue(other.machine.accepted.count == 8))
        // On the loopback an address is no source: ten replicas of one machine come from it.
        for loopback in [PeerAddress(ipv4: 0x7f00_0001, port: 1), PeerAddress(high: 0, low: 1, port: 1)] {
            var local = LoneMachine(peers: 1)
            for number in 0..<40 as Range<UInt32> {
                let port = number < 10 ? 50_000 : 40_000 + UInt16(number)
                let from = PeerAddress(high: loopback.high, low: loopback.low, port: port)
                local.tell(.streamAccepted(Self.stream(number), .join, from: from))
            }
            #expect(isTrue(local.machine.accepted.count == 32))
            #expect(isTrue(local.machine.accepted.count { $0.from.port == 50_000 } == 8))
        }
    }

    @Test("a joiner whose identity answers elsewhere is a twin; one whose old address is silent has moved")
    func moved() {
        for isThere in [true, false] {
            var seed = LoneMachine(peers: 2)
            let moved = MemberRecord.numbered(1, life: 2, incarnation: 1_001).with {
                $0.address = TestFlock.address(60)
            }
            #expect(Self.knock(at: &seed, as: moved).isEmpty)
            #expect(seed.sent.contains { $0.to.address == Self.one.address && $0.to.session == Self.one.session })
            seed.pass(.milliseconds(100))
            if isThere { seed.hear(.ack(Ack(probe: 1, attempt: 0)), from: Self.one) }
            seed.pass(.milliseconds(101))
            #expect(isTrue(seed.frames.contains(.joinRefused(.identityInUse)) == isThere))
            #expect(isTrue(seed.member(Self.one)?.record.session == (isThere ? Self.one.session : moved.session)))
        }
    }

    // MARK: Before the door

    /// The joiner's seed says all it has to say.
    private static func letIn(_ joiner: inout LoneMachine, by seed: MemberRecord, others: [MemberRecord] = []) {
        guard let stream = joiner.answer(seed.address) else { return }
        joiner.tell(.streamFrame(stream, .records(([seed] + others).map { .agedMember(age: 0, $0) })))
        joiner.tell(.streamFrame(stream, .done))
    }

    @Test("who is let in is ready at once, and settled once it has stayed")
    func joining() {
        let seed = MemberRecord.numbered(40)
        var joiner = LoneMachine(seeds: [Self.seed])
        #expect(!joiner.machine.own.flags.contains(.ready))
        Self.letIn(&joiner, by: seed, others: [Self.one])
        #expect(isTrue(joiner.facts.contains(.joined(members: 3))))
        #expect(joiner.machine.own.flags == .ready)
        joiner.answering = [seed, Self.one]
        joiner.pass(.milliseconds(5_001))
        #expect(joiner.machine.own.flags == [.ready, .settled])
        // Found alone, it is settled at once.
        #expect(LoneMachine().machine.own.flags == [.ready, .settled])
    }

    @Test(
        "a refused joiner renews where that helps, and knocks again where it does not", arguments: JoinRefusal.allCases)
    func refused(_ refusal: JoinRefusal) {
        var joiner = LoneMachine(seeds: [Self.seed])
        let before = joiner.machine.own
        guard let stream = joiner.answer(Self.seed) else { return #expect(Bool(false)) }
        joiner.tell(.streamFrame(stream, .joinRefused(refusal)))
        #expect(isTrue(joiner.facts.contains(.joinRefused(Self.seed, refusal))))
        let isRenewed = refusal == .identityInUse || refusal == .shortIDTaken
        #expect(isTrue((joiner.machine.own.id != before.id) == isRenewed))
        #expect(isTrue((joiner.machine.own.session != before.session) == isRenewed))
        joiner.pass(.milliseconds(400))
        #expect(isTrue(joiner.dialled.count >= 2))
    }

    @Test("whose seeds are refused twice is alone at once; whose seeds are silent, after three seconds")
    func alone() {
        var refused = LoneMachine(seeds: [Self.seed])
        refused.refuses = true
        _ = refused.answer(Self.seed, with: .refused)
        #expect(!refused.facts.contains(.alone))
        refused.pass(.milliseconds(300))
        #expect(isTrue(refused.facts.contains(.alone) && refused.machine.own.flags == [.ready, .settled]))
        var silent = LoneMachine(seeds: [Self.seed])
        silent.pass(.milliseconds(2_999))
        #expect(!silent.facts.contains(.alone))
        silent.pass(.milliseconds(1))
        #expect(isTrue(silent.facts.contains(.alone) && silent.machine.own.flags == [.ready, .settled]))
    }

    @Test("alone it knocks each second for a minute, then every three")
    func knocking() {
        var lone = LoneMachine(seeds: [Self.seed])
        lone.refuses = true
        _ = lone.answer(Self.seed, with: .refused)
        lone.pass(.milliseconds(500))
        lone.forget()
        lone.pass(.seconds(400))
        let times = lone.dialled.map { $0.at.nanoseconds / 1_000_000 }
        for (earlier, later) in zip(times, times.dropFirst()) {
            let range: ClosedRange<Int64> = earlier < 60_000 ? 750...1_250 : 2_250...3_750
            #expect(range.contains(later - earlier), "at \(earlier) ms")
        }
        #expect(times.count > 48 + 26 && isTrue((times.last ?? 0) > 387_000))
    }

    @Test("seeds that are no members are tried for ever, members are not")
    func strangers() {
        var lone = LoneMachine(peers: 1, seeds: [Self.seed, Self.one.address, TestFlock.address(0)])
        lone.answering = [Self.one]
        lone.refuses = true
        lone.pass(.seconds(10))
        lone.forget()
        lone.pass(.seconds(600))
        let knocks = lone.dialled.filter { $0.to == Self.seed }
        #expect(knocks.count >= 48)
        #expect(zip(knocks, knocks.dropFirst()).allSatisfy { $1.at.span(since: $0.at) <= .milliseconds(12_500) })
        let own = lone.dialled.filter { $0.to == TestFlock.address(0) }
        #expect(own.isEmpty)
    }

    @Test("a seed that is itself under another name is recognised and left alone")
    func itself() {
        let front = TestFlock.address(77)
        var lone = LoneMachine(seeds: [front])
        for _ in 0..<3 {
            guard let stream = lone.answer(front) else { break }
            lone.tell(.streamFrame(stream, .records([.member(lone.machine.own)])))
            lone.tell(.streamFrame(stream, .done))
            lone.pass(.milliseconds(300))
        }
        #expect(lone.dialled.count == 1)
        #expect(isTrue(lone.facts.contains(.alone)))
        #expect(isTrue(lone.machine.table.count == 0))
        // And this is what it hears at its own door.
        let own = lone.machine.own
        #expect(Self.knock(at: &lone, as: own) == [.records([.member(own)]), .done])
    }

    @Test("three are knocked at together, a tenth of a second apart, sixty-four at most")
    func manySeeds() {
        var lone = LoneMachine(seeds: (100..<250).map(TestFlock.address))
        var together = 0
        for _ in 0..<60 {
            lone.pass(.milliseconds(50))
            together = max(together, lone.dials.count)
        }
        #expect(together == 3)
        let times = lone.dialled.map(\.at)
        #expect(zip(times, times.dropFirst()).prefix(2).allSatisfy { $1.span(since: $0) == .milliseconds(100) })
        lone.refuses = true
        lone.pass(.seconds(3))
        #expect(lone.dialled.count >= 64 && isTrue(lone.machine.knocking.queue.count <= 64))
        #expect(isTrue(Set(lone.dialled.prefix(64).map(\.to)).count == 64))
    }

    @Test("an order to join and the members of the last run are knocked at as well")
    func ordered() {
        let (known, ordered) = (TestFlock.address(90), TestFlock.address(91))
        var lone = LoneMachine(known: [known])
        #expect(lone.dialled.map(\.to) == [known])
        lone.refuses = true
        _ = lone.answer(known, with: .refused)
        lone.forget()
        lone.tell(.command(.join([ordered])))
        lone.pass(.seconds(2))
        #expect(isTrue(Set(lone.dialled.map(\.to)) == [known, ordered]))
    }
}
