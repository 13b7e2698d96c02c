import Determinism
import Membership
import Testing
import WireCoding

@testable import ReplicaCore

/// A failed expectation would print the whole world.
private func isTrue(_ value: Bool) -> Bool { value }

private func flock(_ count: Int, seed: UInt64 = 1) -> ReplicaWorld {
    var world = ReplicaWorld(seed: seed)
    for _ in 0..<count { world.start() }
    return world
}

@Test("replicas that start together meet, and nobody is ever suspected", arguments: [2, 3, 5])
func replicasMeet(count: Int) {
    var world = flock(count, seed: UInt64(count))
    #expect(isTrue(world.run(until: .seconds(2)) { $0.agree(0..<count) }))
    world.run(for: .seconds(15))
    #expect(isTrue(world.agree(0..<count)))
    // What was dropped are the first words between strangers.
    let reasons = world.places.reduce(into: Set<DropReason>()) { $0.formUnion($1.dropped.keys) }
    #expect(reasons.isSubset(of: [.unproven]))
    let unproven = world.places.reduce(0) { $0 + ($1.dropped[.unproven] ?? 0) }
    #expect(unproven <= 2 * count * (count - 1))
    #expect(
        isTrue(
            world.places.allSatisfy { place in
                place.machine.sink.gate.sessions.count == count - 1
            }))
}

@Test("who falls silent is dead within its time, and alive again soon after it has come back")
func silentOne() {
    var world = flock(3, seed: 7)
    world.run(for: .seconds(5))
    let own = world.places[2].machine.membership.own
    world.stop(2)
    #expect(
        isTrue(world.run(until: .seconds(4)) { $0.status(of: 2, at: 0) == .dead && $0.status(of: 2, at: 1) == .dead }))
    world.start(as: 2, id: own.id, persisted: own.incarnation)
    #expect(isTrue(world.run(until: .seconds(2)) { $0.agree(0..<3) }))
}

@Test("who leaves is known to have left, by receipts")
func leaver() {
    var world = flock(3, seed: 8)
    world.run(for: .seconds(5))
    world.tell(2, .membership(.command(.leave)))
    #expect(
        isTrue(
            world.run(until: .milliseconds(100)) {
                $0.status(of: 2, at: 0) == .left && $0.status(of: 2, at: 1) == .left
            }))
    #expect(isTrue(world.run(until: .milliseconds(500)) { $0.places[2].hasLeft }))
}

@Test("clusters of different secrets never exchange a record, whatever addresses they know (M16)")
func wrongSecret() {
    var world = ReplicaWorld(seed: 9)
    for index in 0..<4 { world.start(secret: index < 2 ? 1 : 2) }
    world.run(for: .seconds(20))
    #expect(isTrue(world.agree(0..<2) && world.agree(2..<4)))
    for place in world.places { #expect(place.machine.membership.members.count == 1) }
}

@Test("whatever was recorded, thrown at anybody later, changes nothing (W3, W4)")
func recordedTraffic() {
    var world = flock(3, seed: 10)
    world.run(for: .seconds(5))
    let own = world.places[2].machine.membership.own
    world.stop(2)
    world.run(for: .seconds(5))
    world.start(as: 2, id: own.id, persisted: own.incarnation)
    world.run(for: .seconds(5))
    let tape = world.tape
    for index in 0..<3 {
        let before = world.places[index].machine.membership.members
        let digest = world.places[index].machine.membership.digest
        world.places[index].dropped = [:]
        for (source, bytes) in tape { world.hear(index, bytes, from: source) }
        #expect(isTrue(world.places[index].machine.membership.members == before))
        #expect(world.places[index].machine.membership.digest == digest)
        #expect(world.places[index].dropped.values.reduce(0, +) == tape.count)
    }
    world.run(for: .seconds(2))
    #expect(isTrue(world.agree(0..<3)))
}

@Test("before its incarnation is durable a replica says nothing, not even to hellos (M2)")
func nothingBeforeDurable() {
    var world = flock(2, seed: 11)
    world.run(for: .seconds(3))
    let start = ReplicaStart(
        own: world.places[1].machine.membership.own, unixSecondsAtZero: 1_800_000_000, hasSeeds: true,
        keyring: Keyring(first: ReplicaWorld.key(1)), seed: 1)
    var machine = ReplicaMachine(start, sealing: TestSealing(cookieSecret: 1), at: world.now)
    var outbox = DatagramOutbox()
    var effects: [ReplicaEffect] = []
    machine.handle(.membership(.tick), at: world.now, datagrams: &outbox, into: &effects)
    for (source, bytes) in world.tape {
        bytes.withUnsafeBytes {
            machine.receive($0, from: source, at: world.now, datagrams: &outbox, into: &effects)
        }
    }
    let asked = effects.count { if case .membership = $0 { true } else { false } }
    #expect(outbox.isEmpty && asked == 1)
}

@Test("a new key reaches all, seals everywhere two seconds later, and the old one goes after a day")
func rotation() {
    var world = flock(3, seed: 12)
    world.run(for: .seconds(5))
    world.tell(1, .keyring(.install(ReplicaWorld.key(9))))
    #expect(
        isTrue(world.run(until: .seconds(1)) { $0.places.allSatisfy { $0.machine.keyring.trafficKeys.count == 2 } }))
    #expect(isTrue(world.places.allSatisfy { $0.machine.keyring.primary?.id == 1 && $0.ring != nil }))
    #expect(isTrue(world.run(until: .seconds(4)) { $0.places.allSatisfy { $0.machine.keyring.primary?.id == 9 } }))
    world.run(for: .seconds(5))
    #expect(isTrue(world.agree(0..<3)))
    #expect(isTrue(world.places.allSatisfy { $0.dropped.keys.allSatisfy { $0 == .unproven } }))
    // A joiner that knows the first key alone.
    world.start()
    #expect(isTrue(world.run(until: .seconds(2)) { $0.agree(0..<4) && $0.places[3].machine.keyring.primary?.id == 9 }))
    world.tell(0, .keyring(.remove(1, isImmediate: false)))
    #expect(world.places[0].refusals == [.retiredRecently])
    world.tell(0, .keyring(.remove(1, isImmediate: true)))
    #expect(
        isTrue(
            world.run(until: .seconds(1)) { $0.places.allSatisfy { $0.machine.keyring.trafficKeys.map(\.id) == [9] } }))
    world.run(for: .seconds(3))
    #expect(isTrue(world.agree(0..<4)))
}

@Test("who missed a rotation and hears keys it does not know joins again")
func missedRotation() {
    var world = flock(3, seed: 13)
    world.run(for: .seconds(5))
    let own = world.places[2].machine.membership.own
    world.stop(2)
    world.run(for: .seconds(6))
    world.tell(0, .keyring(.install(ReplicaWorld.key(9))))
    world.run(for: .seconds(6))
    world.tell(0, .keyring(.remove(1, isImmediate: true)))
    world.run(for: .seconds(2))
    #expect(isTrue(world.places[1].machine.keyring.trafficKeys.map(\.id) == [9]))
    world.start(as: 2, id: own.id, persisted: own.incarnation)
    #expect(isTrue(world.run(until: .seconds(5)) { $0.agree(0..<3) && $0.places[2].machine.keyring.primary?.id == 9 }))
}
