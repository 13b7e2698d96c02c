import Determinism
import Membership
import Placement
import Testing
import WireCoding

@testable import ReplicaCore

@Suite("Rings and monitors of a flock")
struct FlockRingTests {
    @Test("M13: equal members and workers give equal rings, in every order of arrival", arguments: 0..<20)
    func order(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let world = FlockWorld(replicas: 6, workers: macs(8), seed: seed)
        var flock = WorkerFlock(me: world.id(0), epoch: 1)
        var records = world.records
        var workers = macs(8)
        for position in records.indices.reversed() {
            records.swapAt(position, Int(random.below(UInt64(position + 1))))
        }
        for position in workers.indices.reversed() {
            workers.swapAt(position, Int(random.below(UInt64(position + 1))))
        }
        for record in records {
            flock.memberChanged(Member(record: record, since: .zero), at: .zero)
            if random.chance(0.5) { flock.advance(at: .zero) }
        }
        flock.configure(workers, at: .zero)
        flock.advance(at: .zero)
        flock.advance(at: .zero + .seconds(1))
        #expect(flock.views.replicaRing == world.views[0].views.replicaRing)
        #expect(flock.views.workerRing == world.views[0].views.workerRing && flock.views.workerRing != 0)
        #expect(flock.view.workers.map(\.isMonitoredHere) == world.views[0].workers.map(\.isMonitoredHere))
    }

    @Test("M14: suspicion alone changes no ring, and no monitor but the one who stands in")
    func suspicion() {
        var world = FlockWorld(replicas: 5, workers: macs(8))
        let before = world.views
        for number in 0..<5 {
            world.change(number) { $0.status = .suspect }
            world.pass(seconds: 5)
            #expect(world.views.map(\.ring) == before.map(\.ring))
            #expect(world.views.map(\.views.replicaRing) == before.map(\.views.replicaRing))
            for worker in 0..<8 {
                let old = (0..<5).filter { before[$0].workers[worker].isMonitoredHere }
                #expect(Set(world.monitors(of: worker)).isSuperset(of: old))
                #expect(world.monitors(of: worker).count == (old.contains(number) ? 3 : 2))
            }
            world.change(number) { $0.status = .alive }
        }
        #expect(world.views.map(\.ring) == before.map(\.ring))
    }

    @Test("a monitor that dies is replaced at once; the layout follows a quarter of a second later")
    func death() {
        var world = FlockWorld(replicas: 5, workers: macs(8))
        let ring = world.views[0].ring
        let lost = (0..<8).filter { world.monitors(of: $0).contains(4) }
        #expect(!lost.isEmpty)
        world.change(4, seenBy: [0, 1, 2, 3]) { $0.status = .dead }
        for worker in lost { #expect(world.monitors(of: worker).filter { $0 != 4 }.count == 2) }
        #expect(world.views[0].ring == ring)
        world.pass(seconds: 0.26)
        #expect(world.views[0].ring.participants.count == 4)
    }

    @Test("whoever drains or is not ready is in no ring; a lone replica monitors everything without a wait")
    func readiness() {
        var world = FlockWorld(replicas: 3, workers: macs(4))
        world.change(0) { $0.flags = [.ready, .draining] }
        world.change(1) { $0.flags = [] }
        world.pass(seconds: 1)
        #expect((0..<4).allSatisfy { world.monitors(of: $0) == [2] })
        var alone = WorkerFlock(me: world.id(2), epoch: 1)
        alone.configure(macs(4), at: .zero)
        alone.memberChanged(Member(record: world.records[2], since: .zero), at: .zero)
        alone.advance(at: .zero)
        #expect(alone.view.workers.allSatisfy { $0.isMonitoredHere })
    }

    @Test("who holds other rings for more than two seconds is told of once, and when it is over")
    func disagreement() {
        var world = FlockWorld(replicas: 2, workers: macs(2))
        let theirs = Views(replicaRing: 1, workerRing: world.views[0].views.workerRing)
        world.say(.views(theirs), by: 1)
        world.pass(seconds: 2)
        world.say(.views(theirs), by: 1)
        var facts: [[WorkerFlock.Fact]] = []
        world.tell(0) { flock, _ in facts.append(flock.takeFacts()) }
        for views in [theirs, theirs, world.views[0].views] {
            world.pass(seconds: 0.5)
            world.say(.views(views), by: 1)
            world.tell(0) { flock, _ in facts.append(flock.takeFacts()) }
        }
        let peer = world.id(1)
        #expect(facts == [[], [.ringDisagreement(peer, true)], [], [.ringDisagreement(peer, false)]])
    }
}
