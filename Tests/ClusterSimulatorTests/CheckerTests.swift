import Determinism
import Placement
import Testing
import WireCoding

@testable import ClusterSimulator
@testable import Membership

/// Three replicas as an observer sees them, and doctored ones: a checker that cannot fail is none.
private struct Doctored {
    var observer: Observer
    let records: [MemberRecord]
    var bounds = MembershipBounds()

    init() {
        bounds.members = 64
        observer = Observer(processes: 4, timing: .lan, bounds: bounds)
        records = (0..<4).map { place in
            MemberRecord(
                id: ReplicaID(high: UInt64(place + 1) << 32, low: 1),
                session: SessionID(rawValue: UInt64(place + 1) << 8),
                incarnation: Incarnation(rawValue: 100), address: Hosts.address(place))
        }
        observer.truths[3].cluster = 1
        for place in 0..<4 {
            observer.began(place, life: 1, own: records[place], isNewProcess: true)
            observer.durable(place, PersistedIdentity(id: records[place].id, incarnation: records[place].incarnation))
        }
        observer.reach(Instant(nanoseconds: 60_000_000_000))
    }

    func member(_ place: Int, _ status: MemberStatus = .alive, incarnation: UInt32 = 100, removed: Bool = false)
        -> Member
    {
        var record = records[place]
        record.status = status
        record.incarnation = Incarnation(rawValue: incarnation)
        return Member(record: record, since: .zero, isRemoved: removed)
    }

    func datagram(counter: UInt64, session: UInt64? = nil, count: Int = 100) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let clear = ClearHeader(
            keyID: 1, session: SessionID(rawValue: session ?? records[0].session.rawValue), counter: counter)
        bytes.withUnsafeMutableBytes { clear.encode(into: $0) }
        return bytes
    }

    mutating func send(_ bytes: [UInt8], depth: Int = 0, hellos: Int = 0) {
        bytes.withUnsafeBytes { observer.sent(0, $0, depth: depth, hellos: hellos) }
    }

    mutating func deliver(
        origin: Int = 1, intended: Int = 0, damaged: Bool = false, again: Bool = false, sealedAt: Int64 = 1,
        dropped: DropReason? = nil, answers: Int = 0, answerBytes: Int = 0
    ) {
        observer.delivered(
            Observer.Delivery(
                packet: 0, receiver: 0, life: 1, sealedAt: Instant(nanoseconds: sealedAt), origin: origin,
                intended: intended, isDamaged: damaged, wasApplied: again, bytes: 100),
            dropped: dropped, hasEffects: false, answers: answers, answerBytes: answerBytes)
    }

    mutating func observe(_ fact: MembershipFact, at local: Int64 = 50, lag: Nanoseconds = .zero) {
        observer.observed(0, fact, replicas: 3, local: Instant(nanoseconds: local * 1_000_000_000), lag: lag)
    }

    /// Was told of member 1 at 101 and holds it at 100.
    mutating func hear(_ message: Message, holding member: Member) {
        var table = MemberTable(bound: 8)
        table.insert(member)
        var bytes: [UInt8] = []
        message.encode(into: &bytes)
        let own = records[0]
        bytes.withUnsafeBytes {
            observer.heard(0, $0, own: own, table: table, local: Instant(nanoseconds: 50_000_000_000))
        }
    }

    mutating func handled(own: MemberRecord? = nil, members: Int = 3, at local: Int64 = 50) {
        observer.handled(
            0, own: own ?? records[0], members: members, removed: 0, local: Instant(nanoseconds: local * 1_000_000_000),
            lag: .zero)
    }
}

@Suite struct CheckerTests {
    fileprivate static let planted: [(Promise, String, @Sendable (inout Doctored) -> Void)] = [
        (
            .m1, "a record that was told is not held",
            { $0.hear(.member($0.member(1, incarnation: 101).record), holding: $0.member(1)) }
        ),
        (
            .m1, "a death that was told is not held",
            {
                let news = StateNews(
                    subject: $0.records[1].id.short, life: $0.records[1].session.life,
                    incarnation: Incarnation(rawValue: 100), status: .dead, accuser: $0.records[2].id.short)
                $0.hear(.state(news), holding: $0.member(1))
            }
        ),
        (.m2, "an incarnation that nobody announced", { $0.observer.changed(0, $0.member(1, incarnation: 101)) }),
        (
            .m2, "a packet before the incarnation is durable",
            {
                var own = $0.records[0]
                own.session = SessionID(rawValue: 0x7777)
                $0.observer.began(0, life: 1, own: own, isNewProcess: false)
                $0.send($0.datagram(counter: 1, session: 0x7777))
            }
        ),
        (
            .m2, "an incarnation that goes back",
            {
                $0.handled()
                var own = $0.records[0]
                own.incarnation = Incarnation(rawValue: 99)
                $0.handled(own: own)
            }
        ),
        (
            .m3, "a status that goes back",
            {
                $0.observer.changed(0, $0.member(1, .suspect))
                $0.observer.changed(0, $0.member(1, .alive))
            }
        ),
        (
            .m4, "too many accusers",
            { $0.observe(.matured($0.records[1].id.short, accusers: 4, waited: .seconds(20), isRefused: false)) }
        ),
        (
            .m5, "a suspicion without a stream",
            {
                $0.observer.changed(0, $0.member(1))
                $0.observe(.suspected($0.records[1].id.short, .probe))
            }
        ),
        (
            .m5, "a suspicion right after dialling",
            {
                $0.observer.changed(0, $0.member(1))
                $0.observer.dialled(0, $0.records[1].address, local: Instant(nanoseconds: 49_990_000_000))
                $0.observe(.suspected($0.records[1].id.short, .probe))
            }
        ),
        (.m6, "a death that nobody waited for", { $0.observer.changed(0, $0.member(1, .dead)) }),
        (
            .m6, "a death before its time",
            { $0.observe(.matured($0.records[1].id.short, accusers: 2, waited: .seconds(1), isRefused: false)) }
        ),
        (
            .m7, "an accusation that is not answered",
            {
                let news = StateNews(
                    subject: $0.records[0].id.short, life: $0.records[0].session.life,
                    incarnation: Incarnation(rawValue: 100), status: .suspect, accuser: $0.records[2].id.short)
                $0.hear(.state(news), holding: $0.member(1))
                $0.handled(at: 52)
            }
        ),
        (
            .m7, "answers without end",
            {
                for step in 0..<9 {
                    var own = $0.records[0]
                    own.incarnation = Incarnation(rawValue: 101 + UInt32(step))
                    $0.handled(own: own)
                }
            }
        ),
        (.m9, "a chain of answers", { $0.send($0.datagram(counter: 1), depth: 17) }),
        (
            .m11, "a verdict by who was late",
            { $0.observe(.probeFailed($0.records[1].id.short), lag: .milliseconds(101)) }
        ),
        (
            .m11, "a death by who was late",
            {
                $0.observer.truths[0].lags = [(Instant(nanoseconds: 49_000_000_000), .seconds(3))]
                $0.observe(.matured($0.records[1].id.short, accusers: 2, waited: .seconds(4), isRefused: false))
            }
        ),
        (.m12, "a table beyond its bound", { $0.handled(members: 65) }),
        (
            .m12, "a living one that is evicted",
            {
                $0.observer.changed(0, $0.member(1))
                $0.observer.forgot(0, $0.records[1].id, isFull: true, dropsAll: false)
            }
        ),
        (
            .m13, "equal participants with other rings",
            {
                let ring = ReplicaRing([.init(id: $0.records[0].id.short, isSettled: true)])
                $0.observer.published(0, ring)
                for key in $0.observer.rings.keys { $0.observer.rings[key] = ring.version &+ 1 }
                $0.observer.published(1, ring)
            }
        ),
        (
            .m15, "a removed life that comes back",
            {
                $0.observer.changed(0, $0.member(1, removed: true))
                $0.observer.changed(0, $0.member(1))
            }
        ),
        (.m16, "a member of another cluster", { $0.observer.changed(0, $0.member(3)) }),
        (
            .m17, "a forgotten one that is learned again as gone",
            {
                $0.observer.changed(0, $0.member(1, .left))
                $0.observer.forgot(0, $0.records[1].id, isFull: false, dropsAll: false)
                $0.observer.changed(0, $0.member(1, .left))
            }
        ),
        (
            .m18, "two members of one short id",
            {
                var twin = $0.records[2]
                twin.id = ReplicaID(high: $0.records[1].id.high, low: 2)
                twin.session = SessionID(rawValue: 0x9999)
                $0.observer.began(2, life: 2, own: twin, isNewProcess: true)
                $0.observer.changed(0, $0.member(1))
                $0.observer.changed(0, Member(record: twin, since: .zero))
            }
        ),
        (
            .m22, "a flood",
            { doctored in
                for counter in 1...80 { doctored.send(doctored.datagram(counter: UInt64(counter), count: 1_200)) }
            }
        ),
        (
            .w1, "a counter that comes again",
            {
                $0.send($0.datagram(counter: 5))
                $0.send($0.datagram(counter: 5))
            }
        ),
        (.w1, "a session of another", { $0.send($0.datagram(counter: 5, session: $0.records[1].session.rawValue)) }),
        (
            .w2, "a long datagram",
            { doctored in
                var bytes = doctored.datagram(counter: 1, count: 1_200)
                bytes.append(0)
                doctored.send(bytes)
            }
        ),
        (
            .w3, "a packet of before",
            {
                $0.observer.truths[0].began = Instant(nanoseconds: 10); $0.deliver()
            }
        ),
        (.w4, "a packet that was changed", { $0.deliver(damaged: true) }),
        (.w4, "a packet that comes again", { $0.deliver(again: true) }),
        (.w5, "more out than in", { $0.deliver(dropped: .unproven, answers: 1, answerBytes: 101) }),
        (.w5, "an answer to what is not authentic", { $0.deliver(dropped: .auth, answers: 1, answerBytes: 80) }),
        (.w6, "a packet for another", { $0.deliver(intended: 2) }),
        (.w6, "a packet of another cluster", { $0.deliver(origin: 3) }),
        (
            .w9, "hellos without end",
            { doctored in
                var bytes = doctored.datagram(counter: 1)
                let hello = ClearHeader(
                    keyID: 1, session: doctored.records[0].session, counter: 1, hello: .init(echo: 1, challenge: 1))
                bytes.withUnsafeMutableBytes { hello.encode(into: $0) }
                doctored.send(bytes, hellos: 6)
            }
        ),
    ]

    @Test("each checker finds what is planted, and nothing else does", arguments: CheckerTests.planted.indices)
    func finds(place: Int) {
        let (promise, what, plant) = Self.planted[place]
        var doctored = Doctored()
        #expect(doctored.observer.violations.isEmpty)
        plant(&doctored)
        #expect(doctored.observer.violations.map(\.promise).contains(promise), "\(what)")
        #expect(Set(doctored.observer.violations.map(\.promise)).isSubset(of: [promise, .w1]), "\(what)")
    }

    @Test("every promise has a plant: what needs a whole world has it below")
    func complete() {
        let whole: Set<Promise> = [.m8, .m23, .quiet, .workload]
        #expect(Set(Self.planted.map(\.0)).union(whole) == Set(Promise.allCases))
    }

    @Test("what goes as it should is no violation")
    func innocent() {
        var doctored = Doctored()
        doctored.observer.changed(0, doctored.member(1))
        doctored.observer.changed(0, doctored.member(1, .suspect))
        let short = doctored.records[1].id.short
        doctored.observe(.matured(short, accusers: 3, waited: .seconds(2), isRefused: false))
        doctored.observer.changed(0, doctored.member(1, .dead))
        doctored.deliver()
        doctored.deliver(origin: 3, dropped: .auth)
        doctored.deliver(again: true, dropped: .replay)
        doctored.send(doctored.datagram(counter: 1))
        doctored.send(doctored.datagram(counter: 2))
        #expect(doctored.observer.violations.map(\.line) == [])
        #expect(doctored.observer.measures.falseDeaths == 1)
    }

    private func idleWorld() -> World {
        var world = World(SimulationOptions(seed: 3, replicas: 3, scenario: .idle, duration: .seconds(4)))
        world.begin()
        return world
    }

    @Test("a flock that stays parted after the faults is found (M8)")
    func parted() {
        var world = idleWorld()
        for cutAt in [1_500_000_000, 4_000_000_001] as [Int64] {
            world.run(until: Instant(nanoseconds: cutAt))
            world.network.cuts.part([0, 0, 1], isOneWay: false, by: 0)
        }
        world.run(until: Instant(nanoseconds: 30_000_000_000))
        #expect(world.observer.violations.first?.promise == .m8)
    }

    @Test("a flock that is not quiet, and a run in which nothing happens, are found")
    func loudAndIdle() {
        var world = idleWorld()
        world.run(until: Instant(nanoseconds: 30_000_000_000))
        #expect(world.phase == .quiet && world.observer.violations.isEmpty)
        world.observer.measures.bytes[1] += 30 * 1_000
        world.observer.measures.ticks[2] += 30 * 200
        world.run(until: .never)
        #expect(world.observer.violations.map(\.promise) == [.quiet, .quiet])
        var empty = idleWorld()
        empty.finish()
        #expect(empty.observer.violations.map(\.promise) == [.workload])
    }
}
