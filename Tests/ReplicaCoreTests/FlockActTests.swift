import Balancing
import Determinism
import Membership
import RateLimiting
import Testing
import WireCoding

@testable import ReplicaCore

@Suite("Loads, orders and blocks in a flock")
struct FlockActTests {
    @Test("what one replica has on a worker, the others see within a tenth of a second, and not itself")
    func loads() {
        var world = FlockWorld(replicas: 3, workers: macs(2))
        world.tell(0) { $0.loads([gauge(0, running: 3)], at: $1) }
        world.tell(1) { $0.loads([gauge(0, running: 2)], at: $1) }
        world.pass(seconds: 0.1)
        #expect(world.views.map { $0.workers[0].others.running } == [2, 3, 5])
        world.tell(0) { $0.loads([gauge(0, running: 7)], at: $1) }
        world.pass(seconds: 0.15)
        #expect(world.views.map { $0.workers[0].others.running } == [2, 7, 9])
        world.pass(seconds: 60)
        #expect(
            world.views[2].workers[0].others == FlockLoad(running: 9, queued: 2, promptTokens: 20, outputTokens: 40))
        world.tell(0) { $0.loads([], at: $1) }
        world.pass(seconds: 0.15)
        #expect(world.views[2].workers[0].others.running == 2)
    }

    @Test(
        "M20: a dead, left or silent replica contributes nothing to a worker's load",
        arguments: [MemberStatus.dead, .left, .alive])
    func goneLoads(_ status: MemberStatus) {
        var world = FlockWorld(replicas: 3, workers: macs(1))
        world.tell(0) { $0.loads([gauge(0, running: 4)], at: $1) }
        world.pass(seconds: 3)
        #expect(world.views[1].workers[0].others.running == 4)
        world.passes = { from, _ in from != 0 }
        if status == .alive {
            // It says nothing any more: its gauge falls and is gone five seconds after its last word.
            world.pass(seconds: 2.6)
            #expect((1...3).contains(world.views[1].workers[0].others.running))
            world.pass(seconds: 2.7)
        } else {
            world.change(0, seenBy: [1, 2]) { $0.status = status }
        }
        #expect(world.views[1].workers[0].others == .none && world.views[2].workers[0].others == .none)
        // A packet that was on its way brings nothing back.
        world.passes = { _, _ in true }
        if status != .alive {
            world.say(.workerLoad([gauge(0, running: 4)]), by: 0)
            #expect(world.views[1].workers[0].others == .none)
        }
    }

    @Test("loads of a member's former process count for nothing")
    func formerProcess() {
        var world = FlockWorld(replicas: 2, workers: macs(1))
        world.tell(0) { $0.loads([gauge(0, running: 4)], at: $1) }
        world.change(0) { $0.session = SessionID(rawValue: 9) }
        world.pass(seconds: 0)
        #expect(world.views[1].workers[0].others == .none)
        let news = Message.workerLoad([gauge(0, running: 6)])
        let peer = world.id(0)
        world.tell(1) {
            $0.merge(news, from: peer, session: SessionID(rawValue: 8), counter: 900, at: $1)
        }
        #expect(world.views[1].workers[0].others == .none)
    }

    @Test("an order given anywhere holds everywhere, the later one wins, and removal leaves the ring")
    func orders() {
        var world = FlockWorld(replicas: 3, workers: macs(3))
        let ring = world.views[0].views.workerRing
        world.tell(0) { $0.order(mac(1), .drain, at: $1) }
        #expect(world.views.allSatisfy { $0.workers[1].order == .drain && $0.views.workerRing == ring })
        world.tell(2) { $0.order(mac(1), .remove, at: $1) }
        #expect(world.views.allSatisfy { $0.workers[1].order == .remove && $0.views.workerRing != ring })
        // A clock that goes wrong makes no order that cannot be ended.
        world.tell(1) {
            $0.setWall(milliseconds: 9_000_000_000_000, at: $1)
            $0.order(mac(1), .drain, at: $1)
        }
        world.tell(0) { $0.order(mac(1), .resume, at: $1) }
        #expect(world.views.allSatisfy { $0.workers[1].order == .resume && $0.views.workerRing == ring })
        var facts: [WorkerFlock.Fact] = []
        world.tell(0) { flock, _ in facts = flock.takeFacts() }
        #expect(facts == [.clockAhead(world.id(1), milliseconds: 7_200_000_000_000 - 2_000)])
    }

    @Test("M21: a block ends at every holder in its time; an unblock on any replica wins")
    func blocks() {
        var world = FlockWorld(replicas: 3, workers: [])
        func blocked(_ host: UInt64, _ world: FlockWorld) -> [Bool] {
            world.views.map { $0.blocked.isBlocked(high: 0, low: 0xffff_0a00_0000 + host, at: world.now) }
        }
        world.tell(0) { $0.block(block(1, seconds: 60), at: $1) }
        world.passes = { _, to in to != 2 }
        world.tell(0) { $0.block(block(2, seconds: 60), at: $1) }
        world.pass(seconds: 30)
        world.sync(1, 2)
        world.pass(seconds: 29)
        #expect(blocked(1, world) == [true, true, true] && blocked(2, world) == [true, true, true])
        world.pass(seconds: 1.6)
        #expect(blocked(1, world) == [false, false, false] && blocked(2, world) == [false, false, false])
        #expect(world.views.allSatisfy { $0.blocks.isEmpty && $0.views.addressBlocks == 0 })
        world.passes = { _, _ in true }
        world.tell(1) { $0.block(block(3), at: $1) }
        world.tell(2) { $0.block(block(3, cleared: true), at: $1) }
        #expect(blocked(3, world) == [false, false, false])
        var wasTaken = true
        world.tell(0) { flock, now in
            var odd = block(4)
            odd.prefixLength = 90
            wasTaken = flock.block(odd, at: now)
        }
        #expect(!wasTaken)
    }

    @Test("a flock in which nothing happens has no deadline and publishes nothing")
    func idle() {
        var world = FlockWorld(replicas: 5, workers: macs(8))
        world.pass(seconds: 20)
        #expect(world.flocks.allSatisfy { $0.nextDeadline == .never })
        var published = 0
        for number in 0..<5 {
            world.tell(number) { flock, now in
                flock.advance(at: now)
                published += flock.takeView() == nil ? 0 : 1
            }
        }
        #expect(published == 0)
    }
}
