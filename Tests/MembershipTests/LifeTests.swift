import Determinism
import Testing
import WireCoding

@testable import Membership

struct LifeTests {
    @Test(arguments: [2, 3, 5, 8, 13])
    func replicasThatStartTogetherFindEachOther(count: Int) {
        var flock = TestFlock(seed: UInt64(count))
        for _ in 0..<count { flock.start() }
        #expect(isTrue(flock.run(until: .milliseconds(1_500)) { $0.agrees }))
        flock.run(for: .seconds(20))
        #expect(isTrue(flock.agrees))
        #expect(isTrue(flock.facts.allSatisfy { !$0.contains { if case .suspected = $0.1 { true } else { false } } }))
        #expect(isTrue(flock.machines.allSatisfy { $0.own.flags.isSuperset(of: [.ready, .settled]) }))
    }

    @Test func aJoinerIsKnownByAllWithinHalfASecond() {
        var flock = TestFlock.settled(5, seed: 4)
        flock.run(for: .seconds(1))
        flock.start()
        #expect(isTrue(flock.run(until: .milliseconds(500)) { $0.agrees }))
    }

    @Test(arguments: 0..<20)
    func whoDiesSilentlyIsFoundInTime(seed: Int) {
        var flock = TestFlock.settled(3, seed: UInt64(seed))
        flock.run(for: .seconds(1))
        flock.stop(2, silently: true)
        #expect(
            isTrue(
                flock.run(until: .seconds(4)) { $0.status(of: 2, at: 0) == .dead && $0.status(of: 2, at: 1) == .dead }))
    }

    @Test func whoseConnectionsAreRefusedIsFoundSooner() {
        var flock = TestFlock.settled(5, seed: 9)
        flock.run(for: .seconds(1))
        flock.stop(4, silently: false)
        let isFound = flock.run(until: .milliseconds(2_000)) { flock in
            (0..<4).allSatisfy { flock.status(of: 4, at: $0) == .dead }
        }
        #expect(isFound)
        #expect(isTrue((0..<4).contains { flock.has(.refusedByTwo, at: $0) }))
    }

    @Test func leavingIsHeardByAllAndEndsSoon() throws {
        var flock = TestFlock.settled(8, seed: 3)
        flock.run(for: .seconds(1))
        let began = flock.now
        flock.tell(7, .command(.leave))
        let isKnown = flock.run(until: .milliseconds(100)) { flock in
            (0..<7).allSatisfy { flock.status(of: 7, at: $0) == .left }
        }
        #expect(isKnown)
        flock.run(for: .seconds(1))
        let left = try #require(flock.hasLeft[7])
        #expect(left.span(since: began) < .milliseconds(200))
    }

    @Test func aRestartReplacesTheOldLifeAtOnce() {
        var flock = TestFlock.settled(5, seed: 5)
        flock.run(for: .seconds(1))
        let old = flock.machines[2].own
        flock.stop(2, silently: false)
        flock.run(for: .milliseconds(200))
        flock.start(id: old.id, persisted: old.incarnation, as: 2)
        #expect(isTrue(flock.run(until: .seconds(1)) { $0.agrees }))
        #expect(isTrue(flock.machines[2].own.incarnation > old.incarnation))
    }

    @Test func aCutThatHealsEndsInEqualViews() {
        var flock = TestFlock.settled(6, seed: 6)
        flock.run(for: .seconds(1))
        for a in 0..<3 { for b in 3..<6 { flock.cut.formUnion([[a, b], [b, a]]) } }
        flock.run(for: .seconds(60))
        #expect(isTrue(flock.status(of: 5, at: 0) == .dead))
        flock.cut = []
        #expect(isTrue(flock.run(until: .seconds(5)) { $0.agrees }))
    }

    @Test func aLateReplicaJudgesNobodyAndComesBack() {
        var flock = TestFlock.settled(5, seed: 7)
        flock.run(for: .seconds(1))
        // A stopped process: what arrives meanwhile waits, here it is lost.
        flock.isUp[1] = false
        flock.isSilent[1] = true
        flock.run(for: .seconds(10))
        #expect(isTrue((0..<5).allSatisfy { $0 == 1 || flock.status(of: 1, at: $0) == .dead }))
        flock.isUp[1] = true
        flock.isSilent[1] = false
        flock.changes[1] = []
        flock.tell(1, .tick)
        #expect(isTrue(flock.run(until: .seconds(2)) { $0.agrees }))
        #expect(
            isTrue(
                flock.has(.lagCancelledProbe, at: 1)
                    || flock.facts[1].contains { if case .late = $0.1 { true } else { false } }))
        #expect(isTrue(!flock.changes[1].contains { $0.1.status.isGone }))
    }

    @Test func whoIsRemovedWhileItLivesJoinsAgainAsANewLife() {
        var flock = TestFlock.settled(4, seed: 8)
        flock.run(for: .seconds(1))
        let old = flock.machines[3].own
        flock.tell(0, .command(.forceLeave(old.id, prune: false)))
        #expect(isTrue(flock.run(until: .seconds(3)) { $0.agrees && $0.machines[3].own.session != old.session }))
        #expect(isTrue(flock.machines[3].own.id == old.id))
        #expect(isTrue(flock.has(.removedRejoined, at: 3)))
    }

    @Test func twoProcessesWithOneIdentityEndAsTwo() {
        var flock = TestFlock.settled(3, seed: 10)
        flock.run(for: .seconds(1))
        flock.start(id: flock.machines[1].own.id, persisted: flock.machines[1].own.incarnation)
        #expect(isTrue(flock.run(until: .seconds(5)) { $0.agrees }))
        #expect(isTrue(flock.has(.twinRenewed, at: 3) || flock.has(.twinRenewed, at: 1)))
        #expect(isTrue(Set(flock.machines.map(\.own.id)).count == 4))
    }

    @Test func lossOfAFifthKillsNobody() {
        var flock = TestFlock.settled(3, seed: 100)
        flock.run(for: .seconds(1))
        flock.lossPerMille = 200
        flock.run(for: .seconds(120))
        let deaths = flock.changes.reduce(0) { $0 + $1.reduce(0) { $0 + ($1.1.status == .dead ? 1 : 0) } }
        #expect(deaths == 0)
    }

    @Test func whereOnlyStreamsPassNobodyIsSuspected() {
        var flock = TestFlock.settled(2, seed: 11)
        flock.run(for: .seconds(1))
        flock.isUDPCut = [[0, 1], [1, 0]]
        flock.run(for: .seconds(60))
        #expect(isTrue(flock.agrees))
        #expect(isTrue(!flock.changes.contains { $0.contains { $0.1.status == .dead } }))
        #expect(isTrue(flock.has(.udpBlockedButAlive, at: 0)))
    }

    @Test(arguments: [true, false])
    func whoIsReachedOnADetourIsKnownThoughAHelperIsQuicker(streamsPass: Bool) {
        var flock = TestFlock.settled(3, seed: 13)
        flock.run(for: .seconds(1))
        if streamsPass { flock.isUDPCut = [[0, 1], [1, 0]] } else { flock.cut = [[0, 1], [1, 0]] }
        flock.run(for: .seconds(20))
        let other = flock.machines[1].own.id.short
        func slot() -> MemberTable.Slot? { flock.machines[0].table.slot(of: other) }
        #expect(isTrue(flock.agrees))
        #expect(slot()?.isUDPBlocked == streamsPass)
        #expect(slot()?.isReachedByOthersOnly == !streamsPass)
        flock.isUDPCut = []
        flock.cut = []
        flock.run(for: .seconds(10))
        #expect(slot()?.isUDPBlocked == false && slot()?.isReachedByOthersOnly == false)
    }

    @Test func idleReplicasSendLittle() {
        var flock = TestFlock.settled(8, seed: 12)
        flock.run(for: .seconds(10))
        flock.bytesSent = 0
        flock.run(for: .seconds(30))
        // Headers of IPv4 as the bar counts them: 20 bytes less than the budget's IPv6.
        #expect(isTrue(flock.bytesSent / 8 / 30 <= 580))
    }
}
