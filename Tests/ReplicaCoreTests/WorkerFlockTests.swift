import Balancing
import Determinism
import Membership
import Placement
import RateLimiting
import Testing
import WireCoding

@testable import ReplicaCore

private func mac(_ number: Int) -> WorkerShortID { WorkerShortID(rawValue: UInt32(number + 1)) }

private func gauge(_ worker: Int, running: UInt16) -> WorkerLoadNews {
    WorkerLoadNews(worker: mac(worker), running: running, queued: 1, promptTokens: 10, outputTokens: 20)
}

private func block(_ host: UInt64, cleared: Bool = false, seconds: UInt32 = 600) -> AddressBlockNews {
    AddressBlockNews(
        prefixLength: 128, isCleared: cleared, reason: 1, high: 0, low: 0xffff_0a00_0000 + host, stamp: 0,
        origin: ReplicaShortID(rawValue: 0), durationSeconds: seconds, ageSeconds: 0)
}

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

@Suite("Words on workers in a flock")
struct FlockWordTests {
    @Test("M19: of all patterns of one and two foreign words no single observer excludes, and none more than half")
    func patterns() {
        for pattern in 0..<256 {
            // For each of four workers: nobody, one, the other, or both say that it is down.
            var world = FlockWorld(replicas: 3, workers: macs(4))
            for worker in 0..<4 {
                for observer in 1...2 where (pattern >> (2 * worker + observer - 1)) & 1 == 1 {
                    world.tell(observer) { $0.observed(mac(worker), .down(.refused), at: $1) }
                }
            }
            let sayings = (0..<4).map { (pattern >> (2 * $0)) & 3 }
            let isPanic = sayings.count { $0 == 3 } > 2
            #expect(world.views[0].panics(of: 7) == isPanic)
            for worker in 0..<4 {
                let quarters = world.verdict(0, on: worker).quarters(isPanic: world.views[0].panics(of: 7))
                let expected = isPanic ? 4 : [4, 1, 1, 0][sayings[worker]]
                if quarters != expected { Issue.record("pattern \(pattern) worker \(worker): \(quarters)") }
            }
        }
    }

    @Test("M19: own evidence stays in a panic, and a worker of another model is not in it")
    func panic() {
        var workers = macs(3)
        workers[2].models = [8, 8, 7]
        var world = FlockWorld(replicas: 3, workers: workers)
        for worker in 0..<2 {
            for observer in 1...2 { world.tell(observer) { $0.observed(mac(worker), .down(.unreachable), at: $1) } }
        }
        #expect(world.views[0].panics == [7])
        world.tell(0) { $0.observed(mac(0), .down(.refused), at: $1) }
        // Its own word is no gossip: of three, one is left that only others call down.
        #expect(world.views[0].panics == [] && world.verdict(0, on: 0) == .condemned)
        var facts: [WorkerFlock.Fact] = []
        world.tell(0) { flock, _ in facts = flock.takeFacts() }
        #expect(facts == [.panic(model: 7, true), .panic(model: 7, false)])
    }

    @Test("one foreign bad word asks for one probe here, within its time, and an answer ends the doubt")
    func probes() {
        var world = FlockWorld(replicas: 8, workers: macs(1))
        let monitors = world.monitors(of: 0)
        let asker = world.flocks.indices.first { !monitors.contains($0) }!
        world.tell(monitors[0]) { $0.observed(mac(0), .down(.refused), at: $1) }
        #expect(world.verdict(asker, on: 0) == .doubted)
        world.pass(seconds: 0.15)
        #expect(world.takeProbes(asker) == [mac(0)])
        // The same word again, or another while the probe runs, asks for none.
        world.tell(monitors[0]) { $0.observed(mac(0), .loading, at: $1) }
        world.tell(monitors[0]) { $0.observed(mac(0), .down(.refused), at: $1) }
        #expect(world.takeProbes(asker).isEmpty)
        world.tell(asker) { $0.observed(mac(0), .healthy, at: $1) }
        #expect(world.verdict(asker, on: 0) == .trusted)
        world.pass(seconds: 1)
        _ = world.takeProbes(monitors[1])
        world.tell(monitors[1]) { $0.observed(mac(0), .down(.refused), at: $1) }
        world.pass(seconds: 0.25)
        #expect(world.takeProbes(asker) == [mac(0)] && world.takeProbes(monitors[1]).isEmpty)
    }

    @Test("fifty replicas that hear one bad word do not ask in the same moment")
    func herd() {
        var world = FlockWorld(replicas: 50, workers: macs(1))
        let accuser = world.monitors(of: 0)[0]
        world.tell(accuser) { $0.observed(mac(0), .down(.refused), at: $1) }
        var asked: [Int] = []
        for _ in 0..<25 {
            let before = world.probes.count { !$0.isEmpty }
            world.pass(seconds: 0.01)
            asked.append(world.probes.count { !$0.isEmpty } - before)
        }
        #expect(world.probes.count { !$0.isEmpty } == 49 && asked.max()! <= 12)
    }

    @Test("a worker that comes back is used again everywhere when both monitors say so")
    func recovery() {
        var world = FlockWorld(replicas: 5, workers: macs(1))
        for replica in 0..<5 { world.tell(replica) { $0.observed(mac(0), .down(.refused), at: $1) } }
        #expect((0..<5).allSatisfy { world.verdict($0, on: 0) == .condemned })
        world.pass(seconds: 20)
        let monitors = world.monitors(of: 0)
        world.tell(monitors[0]) { $0.observed(mac(0), .healthy, at: $1) }
        #expect((0..<5).count { world.verdict($0, on: 0) == .condemned } == 4)
        world.pass(seconds: 1)
        for replica in 0..<5 { _ = world.takeProbes(replica) }
        world.tell(monitors[1]) { $0.observed(mac(0), .healthy, at: $1) }
        for replica in 0..<5 {
            #expect(world.verdict(replica, on: 0) == (monitors.contains(replica) ? .trusted : .vouched))
        }
        // Whoever is vouched for looks itself.
        world.pass(seconds: 0.2)
        #expect((0..<5).allSatisfy { monitors.contains($0) || world.probes[$0] == [mac(0)] })
    }

    @Test("a dead replica's words die with it, and those of its former process with that")
    func gone() {
        var world = FlockWorld(replicas: 4, workers: macs(2))
        for observer in 1...2 { world.tell(observer) { $0.observed(mac(0), .down(.refused), at: $1) } }
        #expect(world.verdict(0, on: 0) == .outvoted)
        world.change(1, seenBy: [0, 2, 3]) { $0.status = .dead }
        #expect(world.verdict(0, on: 0) == .doubted)
        world.change(2, seenBy: [0, 1, 3]) { $0.session = SessionID(rawValue: 5) }
        #expect(world.verdict(0, on: 0) == .trusted && world.views[0].words.isEmpty)
        // What others still pass on of the dead is not taken up again.
        world.say(
            .workerHealth(WorkerHealthNews(worker: mac(0), observer: world.id(1), epoch: 9_000, state: .down)), by: 3)
        #expect(world.views[0].words.isEmpty)
    }

    @Test("words of an earlier life are taken back, and all tables agree again")
    func restart() {
        var world = FlockWorld(replicas: 3, workers: macs(1))
        world.say(
            .workerHealth(WorkerHealthNews(worker: mac(0), observer: world.id(0), epoch: 5_000, state: .down)), by: 1)
        world.tell(0) { $0.observed(mac(0), .healthy, at: $1) }
        world.sync(0, 2)
        #expect(Set(world.views.map(\.views.workerHealth)).count == 1)
        #expect(world.views[2].words.map(\.state) == [.healthy])
    }

    @Test(
        "whoever was cut off is brought up to date by one sync, and until then says that it wants one",
        arguments: 0..<20)
    func healing(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var world = FlockWorld(replicas: 4, workers: macs(5), seed: seed)
        world.passes = { from, to in (from < 2) == (to < 2) }
        let conditions: [WorkerCondition] = [.loading, .healthy, .degraded(.slow), .draining, .down(.refused)]
        for _ in 0..<40 {
            let (replica, worker) = (Int(random.below(4)), Int(random.below(5)))
            switch random.below(4) {
            case 0: world.tell(replica) { $0.block(block(random.below(6), cleared: random.chance(0.3)), at: $1) }
            case 1:
                let order = WorkerOrderNews.Order.allCases[Int(random.below(2))]
                world.tell(replica) { $0.order(mac(worker), order, at: $1) }
            default:
                let condition = conditions[Int(random.below(5))]
                world.tell(replica) { $0.observed(mac(worker), condition, at: $1) }
            }
            world.pass(seconds: Double(random.below(100)) / 100)
        }
        #expect(world.flocks[0].wantsSync(with: world.flocks[2].views))
        world.passes = { _, _ in true }
        for replica in 1...3 { world.sync(0, replica) }
        for replica in 1...3 { world.sync(0, replica) }
        #expect(Set(world.views.map(\.views)).count == 1)
        #expect(!world.flocks[0].wantsSync(with: world.flocks[2].views))
        #expect(Set(world.views.map(\.words)).count == 1)
        #expect(Set(world.views.map { $0.workers.map(\.order) }).count == 1)
        for host in 0..<6 as Range<UInt64> {
            let blocked = world.views.map { $0.blocked.isBlocked(high: 0, low: 0xffff_0a00_0000 + host, at: world.now) }
            #expect(Set(blocked).count == 1)
        }
    }

    @Test("replicas with other workers never want a sync for words on workers, only for blocks and orders")
    func configurations() {
        var world = FlockWorld(replicas: 2, workers: macs(3))
        world.tell(1) { $0.configure(macs(4), at: $1) }
        world.tell(1) { $0.observed(mac(3), .down(.refused), at: $1) }
        #expect(world.views[0].views.workerHealth != world.views[1].views.workerHealth)
        #expect(!world.flocks[0].wantsSync(with: world.flocks[1].views))
        world.passes = { _, _ in false }
        world.tell(1) { $0.block(block(1), at: $1) }
        #expect(world.flocks[0].wantsSync(with: world.flocks[1].views))
        // The other one is reloaded as well: now the words matter.
        world.sync(0, 1)
        world.tell(0) { $0.configure(macs(4), at: $1) }
        #expect(world.flocks[0].wantsSync(with: world.flocks[1].views))
        world.sync(0, 1)
        #expect(!world.flocks[0].wantsSync(with: world.flocks[1].views) && world.views[0].words.count == 1)
    }
}

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
