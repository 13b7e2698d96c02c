import Balancing
import Determinism
import Membership
import Placement
import RateLimiting
import Testing
import WireCoding

@testable import ReplicaCore

/// A failed expectation would print the whole world.
private func isTrue(_ value: Bool) -> Bool { value }

private let workers = (0..<3).map { number in
    RingedWorker(
        short: WorkerShortID(of: "mac-\(number)"), ringKey: UInt64(number) << 32 | 7, weight: 1, models: [42])
}

/// Replicas that have met and all have the same three workers.
private func flock(_ count: Int, seed: UInt64) -> ReplicaWorld {
    var world = ReplicaWorld(seed: seed)
    for index in 0..<count {
        world.start()
        world.tell(index, .workers(workers))
    }
    world.run(for: .seconds(10))
    return world
}

extension ReplicaWorld {
    fileprivate func order(of worker: Int, at index: Int) -> WorkerOrderNews.Order? {
        let view = places[index].view
        return view.position(of: workers[worker].short).map { view.workers[$0].order }
    }

    fileprivate func isBlocked(at index: Int) -> Bool {
        places[index].view.blocked.isBlocked(high: 0, low: 0xffff_0102_0304, at: now)
    }

    fileprivate func othersRunning(on worker: Int, at index: Int) -> Bool {
        let view = places[index].view
        return view.position(of: workers[worker].short).map { view.workers[$0].others != .none } ?? false
    }
}

private let block = AddressBlockNews(
    prefixLength: 128, isCleared: false, reason: 0, high: 0, low: 0xffff_0102_0304, stamp: 0,
    origin: ReplicaShortID(rawValue: 0), durationSeconds: 60, ageSeconds: 0)

@Test("replicas that know each other and the same workers hold the same rings")
func sameRings() {
    let world = flock(4, seed: 21)
    let views = world.places[0].view.views
    #expect(world.places[0].view.ring.participants.count == 4)
    #expect(isTrue(world.places.allSatisfy { $0.view.views == views && $0.facts.isEmpty }))
    let monitors = world.places.reduce(into: [Int](repeating: 0, count: 3)) { counts, place in
        for (position, worker) in place.view.workers.enumerated() where worker.isMonitoredHere { counts[position] += 1 }
    }
    #expect(monitors == [2, 2, 2])
}

@Test("an order and a block reach all at once, and whoever joins later")
func ordersAndBlocks() {
    var world = flock(4, seed: 22)
    world.tell(1, .order(workers[0].short, .drain))
    world.tell(2, .block(block))
    #expect(
        isTrue(
            world.run(until: .milliseconds(50)) { world in
                (0..<4).allSatisfy { world.order(of: 0, at: $0) == .drain && world.isBlocked(at: $0) }
            }))
    world.start()
    world.tell(4, .workers(workers))
    #expect(
        isTrue(world.run(until: .seconds(1)) { $0.order(of: 0, at: 4) == .drain && $0.isBlocked(at: 4) }))
    world.run(for: .seconds(61))
    #expect(isTrue((0..<5).allSatisfy { !world.isBlocked(at: $0) }))
}

@Test("what was lost on its way is fetched once views have differed")
func viewsHeal() {
    var world = flock(2, seed: 23)
    let syncs = world.streamsOpened
    world.cut = [[0, 1]]
    world.tell(0, .order(workers[1].short, .remove))
    // All three repetitions are lost; the peer stays alive by streams.
    world.run(for: .milliseconds(900))
    #expect(world.order(of: 1, at: 1) == .resume)
    world.cut = []
    #expect(isTrue(world.run(until: .seconds(8)) { $0.order(of: 1, at: 1) == .remove }))
    #expect(world.streamsOpened > syncs)
    #expect(world.status(of: 0, at: 1) == .alive)
}

@Test("what one replica has on a worker the others see, until it dies")
func loads() {
    var world = flock(3, seed: 24)
    let load = WorkerLoadNews(worker: workers[2].short, running: 2, queued: 1, promptTokens: 900, outputTokens: 50)
    world.tell(0, .loads([load]))
    #expect(
        isTrue(
            world.run(until: .milliseconds(200)) { $0.othersRunning(on: 2, at: 1) && $0.othersRunning(on: 2, at: 2) }))
    #expect(isTrue(!world.othersRunning(on: 2, at: 0)))
    // It is repeated as long as it lasts.
    for _ in 0..<8 {
        world.run(for: .seconds(1))
        #expect(isTrue(world.othersRunning(on: 2, at: 1)))
    }
    world.stop(0)
    #expect(
        isTrue(world.run(until: .seconds(5)) { !$0.othersRunning(on: 2, at: 1) && !$0.othersRunning(on: 2, at: 2) }))
}

@Test("a bad word makes another replica look for itself, and its word is known to all")
func badWord() {
    var world = flock(3, seed: 25)
    let monitor = world.places.firstIndex { $0.view.workers[0].isMonitoredHere } ?? 0
    let short = world.places[0].view.workers[0].short
    world.tell(monitor, .observed(short, .down(.refused)))
    #expect(
        isTrue(
            world.run(until: .milliseconds(300)) { world in
                world.places.indices.allSatisfy { $0 == monitor || world.places[$0].probes == [short] }
            }))
    let words = world.places.map { $0.view.words.filter { $0.worker == short && $0.state == .down }.count }
    #expect(words == [1, 1, 1])
}
