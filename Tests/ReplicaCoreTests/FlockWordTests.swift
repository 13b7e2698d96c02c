import Balancing
import Determinism
import Membership
import RateLimiting
import Testing
import WireCoding

@testable import ReplicaCore

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
