import Determinism
import Testing
import WireCoding

@testable import Membership

/// How news travels, and what it may cost.
struct SpreadTests {
    private static let one = MemberRecord.numbered(1)
    private static let two = MemberRecord.numbered(2)

    @Test("up to 64 everybody is told at once; above, news travels by three at a time; below 56 at once again")
    func modes() {
        var lone = LoneMachine(peers: 63)
        func hearersAtOnce() -> Int {
            lone.forget()
            lone.tell(.changed(.flags(set: .diskFull, clear: [])))
            lone.pass(.milliseconds(6))
            lone.tell(.changed(.flags(set: [], clear: .diskFull)))
            lone.pass(.milliseconds(1_001))
            let first = lone.sent.first { $0.messages.contains { if case .member = $0 { true } else { false } } }?.at
            return Set(lone.sent.filter { $0.at == first }.map(\.to.short)).count
        }
        lone.answering = (1...64).map { .numbered($0) }
        #expect(hearersAtOnce() >= 63)
        lone.introduce(.numbered(64))
        #expect(hearersAtOnce() <= 4)
        for index in 56...64 { lone.hear(StateNews.of(.numbered(index), .dead, by: Self.two), from: Self.one) }
        #expect(isTrue(lone.machine.replicas == 56 && !lone.machine.isDirect))
        lone.hear(StateNews.of(.numbered(55), .dead, by: Self.two), from: Self.one)
        #expect(isTrue(lone.machine.isDirect))
        #expect(hearersAtOnce() >= 54)
    }

    @Test("above direct mode a joiner is known by all within half a second")
    func epidemicJoin() {
        var flock = TestFlock.settled(70)
        flock.run(for: .milliseconds(200))
        #expect(isTrue(flock.machines.allSatisfy { !$0.isDirect }))
        let joiner = flock.start()
        var all = 0
        for step in 1...50 where all == 0 {
            flock.run(for: .milliseconds(10))
            if (0..<70).allSatisfy({ flock.status(of: joiner, at: $0) == .alive }) { all = step * 10 }
        }
        #expect(all > 0)
    }

    @Test("leaving a large flock: √N hear it with receipts, and that is enough")
    func largeLeave() {
        var lone = LoneMachine(peers: 79)
        lone.tell(.command(.leave))
        let isGoodbye = { (message: Message) in if case .leave = message { true } else { false } }
        let told = lone.sent.filter { $0.wantsReceipt && $0.messages.contains(where: isGoodbye) }
        #expect(Set(told.map(\.to.short)).count == 9)
        for packet in told {
            let hasLeft = lone.effects.contains { if case .left = $0.1 { true } else { false } }
            #expect(!hasLeft)
            lone.pass(.milliseconds(1))
            let peer = (1...79).map { MemberRecord.numbered($0) }.first { $0.id.short == packet.to.short }
            peer.map { lone.hear(.receipt([packet.counter]), from: $0) }
        }
        lone.tell(.tick)
        let left = lone.effects.first { if case .left = $0.1 { true } else { false } }
        #expect(isTrue(left.map { $0.at < .zero + .milliseconds(20) } == true))
    }

    @Test("M9: nothing answers an answer, and one packet is answered once")
    func noAnswerToAnswers() {
        var lone = LoneMachine(peers: 3)
        lone.answering = (1...3).map { .numbered($0) }
        lone.pass(.seconds(5))
        lone.forget()
        var random = SeededGenerator(seed: 8)
        for number in 0..<200 as Range<UInt32> {
            let probe = number % 3 == 0 ? lone.machine.probeNumber : UInt32(truncatingIfNeeded: random.next())
            lone.hear(
                .ack(Ack(probe: probe, attempt: UInt8(number % 3), isOnBehalf: number % 2 == 0)),
                .nack(Nack(probe: probe, target: Self.two.id.short, reason: .silent)), .receipt([UInt64(number)]),
                .misdelivered(
                    Misdelivered(sought: Self.two.id.short, mine: Self.one.id.short, session: Self.one.session)),
                from: Self.one)
        }
        #expect(lone.sent.isEmpty && lone.dialled.isEmpty)
        // Wanted receipts are one packet for many, and want none themselves.
        for _ in 0..<16 { lone.hear(.receipt([1]), from: Self.one, wantsReceipt: true) }
        lone.pass(.milliseconds(10))
        let receipts = lone.sent.filter { $0.messages.contains { if case .receipt = $0 { true } else { false } } }
        #expect(receipts.count == 1 && receipts.allSatisfy { !$0.wantsReceipt })
        lone.forget()
        lone.answering = []
        let pings = (0..<100).map { Message.ping(Ping(probe: $0, attempt: 0)) }
        lone.tell(.packet(lone.packet(pings, from: Self.one)))
        #expect(lone.sent.count == 1)
    }

    @Test("M9: strangers and the gone are answered so often and no more, whatever they send")
    func ratesOfAnswers() {
        var lone = LoneMachine(peers: 2)
        lone.answering = [Self.one]
        lone.hear(StateNews.of(Self.two, .dead, by: Self.one), from: Self.one)
        lone.forget()
        for _ in 0..<1_000 {
            lone.pass(.milliseconds(2))
            lone.hear(.nack(Nack(probe: 1, target: Self.one.id.short, reason: .silent)), from: Self.two)
            lone.hear(.nack(Nack(probe: 1, target: Self.one.id.short, reason: .silent)), from: .numbered(9))
        }
        let told = lone.sent.filter {
            $0.to.short == Self.two.id.short && $0.messages.first == .member(Self.two.with { $0.status = .dead })
        }
        #expect((4...5).contains(told.count))
        let syncs = lone.dialled.filter { $0.to == Self.two.address }
        #expect(syncs.count <= 2)
        let contacts = lone.dialled.filter { $0.to == MemberRecord.numbered(9).address }
        #expect((1...2).contains(contacts.count))
        #expect(!lone.sent.contains { $0.to.short == MemberRecord.numbered(9).id.short })
    }

    @Test("no packet says one thing twice", arguments: 0..<2)
    func once(seed: UInt64) {
        var flock = TestFlock.settled(8, seed: seed)
        var most = 0
        flock.watch = { messages in
            let news = messages.filter {
                if case .member = $0 { true } else if case .state = $0 { true } else { false }
            }
            return Set(news).count == news.count
        }
        flock.stop(7, silently: true)
        for _ in 0..<20 {
            flock.tell(
                most % 7, .changed(.flags(set: most % 2 == 0 ? .diskFull : [], clear: most % 2 == 0 ? [] : .diskFull)))
            flock.run(for: .milliseconds(150))
            most += 1
        }
        #expect(isTrue(flock.hasKeptWatch))
    }

    @Test("M22: in a storm bytes stay under the cap, each question is answered, and the news arrives later")
    func storm() {
        var bounds = MembershipBounds()
        (bounds.bytesPerSecond, bounds.burstBytes) = (20_000, 8_000)
        var lone = LoneMachine(peers: 20, bounds: bounds)
        lone.forget()
        var asked = 0
        for step in 0..<400 {
            lone.pass(.milliseconds(5))
            for index in 0..<3 {
                let block = AddressBlockNews(
                    prefixLength: 128, isCleared: false, reason: 0, high: 1, low: UInt64(step * 3 + index), stamp: 1,
                    origin: Self.one.id.short, durationSeconds: 60, ageSeconds: 0)
                var effects: [MembershipEffect] = []
                lone.machine.tell(
                    .addressBlock(block), key: RumourKey(kind: 18, subject: UInt64(step * 3 + index)), lane: 3,
                    at: lone.now, into: &effects)
            }
            if step % 4 == 0 {
                lone.hear(.ping(Ping(probe: UInt32(step), attempt: 0)), from: .numbered(1 + step / 4 % 20))
                asked += 1
            }
        }
        let acks = lone.messages.filter { if case .ack = $0 { true } else { false } }.count
        #expect(acks == asked)
        let bytes = lone.sent.map { (at: $0.at, count: $0.bytes + MembershipMachine.overhead) }
        var isKept = true
        for start in stride(from: 0, to: bytes.count, by: 5) {
            let end = bytes[start].at + Nanoseconds.seconds(1)
            let sum = bytes[start...].reduce(0) { $1.at < end ? $0 + $1.count : $0 }
            isKept = isKept && sum <= 20_000 + 8_000 * 5 / 4
        }
        #expect(isKept)
        #expect(isTrue(lone.facts.contains(.throttled)))
        let total = bytes.reduce(0) { $0 + $1.count }
        #expect(total > 30_000, "and what is there is used")
        // Nothing was counted as told that was not: each block went out at least once, or still waits.
        lone.pass(.seconds(2))
        #expect(isTrue(lone.machine.rumours.hasSendsLeft))
    }

    @Test(
        "M5, M6: before its ways had their time nobody is suspected; and nobody dies but after the wait",
        arguments: 0..<10)
    func verdicts(seed: UInt64) {
        var lone = LoneMachine(peers: 4, seed: seed)
        lone.answering = [Self.two, .numbered(3), .numbered(4)]
        guard lone.passUntilAsked(Self.one) != nil else { return #expect(Bool(false)) }
        let began = lone.now
        lone.pass(.seconds(14))
        let suspected = lone.effects.first { if case .observed(.suspected) = $0.1 { true } else { false } }
        let helped = lone.sent.filter { $0.messages.contains { if case .indirectPing = $0 { true } else { false } } }
        let dialled = lone.dialled.filter { $0.to == Self.one.address }
        #expect(isTrue(suspected.map { $0.at.span(since: began) >= .milliseconds(425) } == true))
        #expect(helped.count >= 3 && !dialled.isEmpty)
        let died = lone.effects.first {
            if case .changed(let member, _) = $0.1 { member.status == .dead } else { false }
        }
        if let died, let suspected {
            // Nobody confirmed it: the longest wait.
            let terms = Suspicion.Terms(timing: .lan, replicas: 5, isLossy: false)
            #expect(died.at.span(since: suspected.at) >= terms.longest)
        }
        #expect(isTrue(lone.changes(to: .dead).allSatisfy { $0.id == Self.one.id }))
    }

    @Test("M6: a sync makes suspicions, never deaths, and revives by a later incarnation alone")
    func syncs() {
        var lone = LoneMachine(peers: 3)
        let stream = StreamID(rawValue: StreamID.acceptedBit | 1)
        func sync(_ record: MemberRecord, age: UInt32 = 0) {
            lone.tell(.streamAccepted(stream, .peer, from: Self.two.address))
            lone.tell(.streamFrame(stream, .summary([])))
            lone.tell(.streamFrame(stream, .records([.agedMember(age: age, record)])))
            lone.tell(.streamFrame(stream, .done))
        }
        sync(Self.one.with { $0.status = .dead })
        #expect(isTrue(lone.status(of: Self.one) == .suspect))
        sync(Self.one.with { ($0.status, $0.incarnation) = (.dead, Incarnation(rawValue: 1_001)) })
        #expect(isTrue(lone.status(of: Self.one) == .suspect))
        sync(Self.one.with { $0.incarnation = Incarnation(rawValue: 1_001) })
        #expect(isTrue(lone.status(of: Self.one) == .suspect), "the same incarnation does not revive")
        sync(Self.one.with { $0.incarnation = Incarnation(rawValue: 1_002) })
        #expect(isTrue(lone.status(of: Self.one) == .alive))
        sync(Self.one.with { ($0.status, $0.incarnation) = (.left, Incarnation(rawValue: 1_002)) })
        #expect(isTrue(lone.status(of: Self.one) == .left), "its own word is no verdict of others")
        // The dead that was never known is kept as dead, as old as it is.
        sync(MemberRecord.numbered(9, status: .dead), age: 100)
        #expect(
            isTrue(
                lone.member(.numbered(9)).map { $0.status == .dead && lone.now.span(since: $0.since) == .seconds(100) }
                    == true))
    }

    /// On real sockets: one stood still before its word that it is ready had left, the others accused what they knew, and
    /// the word was lost on its way to one of them. To whoever had said more since, the accusation was old.
    @Test("whoever speaks at a later incarnation than the accused one is suspect no more, whatever it says")
    func acquittal() {
        for (incarnation, expected) in [(1_000, MemberStatus.suspect), (1_001, .alive)] as [(UInt32, MemberStatus)] {
            var lone = LoneMachine(peers: 3)
            lone.hear(StateNews.of(Self.one, .suspect, by: Self.two), from: Self.two)
            let speaker = Self.one.with { $0.incarnation = Incarnation(rawValue: incarnation) }
            lone.hear(from: speaker.with { $0.session = SessionID(rawValue: 77) })
            #expect(isTrue(lone.status(of: Self.one) == .suspect), "another life says nothing of this one")
            lone.hear(from: speaker)
            // The old accusation, from somebody who has not heard it speak.
            lone.hear(StateNews.of(Self.one, .suspect, by: .numbered(3)), from: .numbered(3))
            #expect(isTrue(lone.status(of: Self.one) == expected))
            #expect(lone.machine.suspicions.isEmpty == (expected == .alive))
        }
    }

    @Test("an incarnation without its record is asked for at the next sync, by leaving it out")
    func missingRecord() {
        var lone = LoneMachine(peers: 2)
        let stream = StreamID(rawValue: StreamID.acceptedBit | 1)
        let later = Self.one.with { ($0.incarnation, $0.httpPort) = (Incarnation(rawValue: 1_001), 99) }
        lone.hear(StateNews.of(Self.one, .suspect, by: Self.two), from: Self.two)
        lone.hear(from: later)
        lone.forget()
        lone.tell(.streamAccepted(stream, .peer, from: Self.two.address))
        lone.tell(.streamFrame(stream, .summary([])))
        guard case .summary(let known) = lone.frames.first else { return #expect(Bool(false)) }
        #expect(known.map(\.short) == [lone.machine.own.id.short, Self.two.id.short])
        lone.tell(.streamFrame(stream, .records([.agedMember(age: 0, later)])))
        #expect(
            isTrue(
                lone.member(later)?.record == later && lone.machine.table.slot(of: later.id.short)?.isPartial == false))
    }

    @Test("M11: who was late gives no verdict, and each suspicion waits that much longer")
    func lateness() {
        var lone = LoneMachine(peers: 4)
        lone.hear(StateNews.of(Self.two, .suspect, by: .numbered(3)), from: .numbered(3))
        let terms = lone.machine.terms
        let before = lone.machine.suspicions.first?.deadline(under: terms) ?? .never
        _ = lone.passUntilAsked(Self.one)
        lone.forget()
        lone.stall(for: .seconds(20))
        let after = lone.machine.suspicions.first?.deadline(under: terms) ?? .zero
        #expect(after.span(since: before) >= .seconds(20))
        let verdicts = lone.facts.filter {
            if case .probeFailed = $0 { true } else if case .matured = $0 { true } else { false }
        }
        #expect(verdicts.isEmpty && lone.changes(to: .dead).isEmpty)
    }

    @Test("awareness stretches the period, up to eight times")
    func awareness() {
        var lone = LoneMachine(peers: 1)
        lone.hear(StateNews.of(Self.one, .suspect, by: Self.one), from: Self.one)
        for expected in 1...9 {
            lone.hear(StateNews.of(lone.machine.own, .suspect, by: Self.one), from: Self.one)
            #expect(isTrue((min(expected, 7)...7).contains(lone.machine.awareness)))
            lone.pass(.milliseconds(300))
        }
        lone.answering = [Self.one]
        lone.hear(.member(Self.one.with { $0.incarnation = Incarnation(rawValue: 2_000) }), from: Self.one)
        lone.pass(.seconds(4))
        lone.forget()
        lone.pass(.seconds(60))
        #expect(isTrue(lone.machine.awareness == 0))
        let asked = lone.sent.filter { $0.messages.contains { if case .ping = $0 { true } else { false } } }.map(\.at)
        let spans = zip(asked, asked.dropFirst()).map { $1.span(since: $0).wholeMilliseconds }
        #expect(spans.first.map { $0 > 1_000 } == true && spans.suffix(20).allSatisfy { $0 == 430 })
    }
}
