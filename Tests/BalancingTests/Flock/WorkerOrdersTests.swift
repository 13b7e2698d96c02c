import Balancing
import Determinism
import Testing
import WireCoding

private func order(
    _ order: WorkerOrderNews.Order, _ worker: UInt32 = 1, stamp: UInt64, by origin: UInt32 = 1, age: UInt32 = 0
) -> WorkerOrderNews {
    WorkerOrderNews(worker: mac(worker), order: order, stamp: stamp, origin: replica(origin), ageSeconds: age)
}

@Suite("Orders about workers")
struct WorkerOrdersTests {
    @Test("for each worker the greatest (stamp, origin) holds, in every order and with repetitions", arguments: 0..<30)
    func model(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let all = (0..<40).map { _ in
            order(
                random.pick(WorkerOrderNews.Order.allCases), UInt32(random.below(4)), stamp: 1 + random.below(20),
                by: UInt32(random.below(3)))
        }
        var one = WorkerOrders()
        for piece in all { _ = one.merge(piece, at: at(seconds: 0)) }
        var shuffled = all + all.prefix(10)
        random.shuffle(&shuffled)
        var other = WorkerOrders()
        for piece in shuffled { _ = other.merge(piece, at: at(seconds: 0)) }
        #expect(one.hash == other.hash && one.entries == other.entries)
        for worker in 0..<4 as Range<UInt32> {
            let greatest = all.filter { $0.worker == mac(worker) }.max {
                ($0.stamp, $0.origin, $0.order.rawValue) < ($1.stamp, $1.origin, $1.order.rawValue)
            }
            #expect(one.order(for: mac(worker)) == greatest?.order ?? .resume)
        }
    }

    @Test("whoever gives an order beats what is held, also one from a clock that is years ahead")
    func give() {
        var orders = WorkerOrders()
        var clock = HybridClock()
        let far = UInt64(9_000_000_000_000) << 16
        _ = orders.merge(order(.remove, stamp: far, by: 9), at: at(seconds: 0))
        let news = orders.give(
            .resume, to: mac(1), by: replica(1), clock: &clock, wallMilliseconds: 5, at: at(seconds: 1))
        #expect(news.stamp == far + 1 && orders.order(for: mac(1)) == .resume)
        #expect(orders.merge(order(.remove, stamp: far, by: 9), at: at(seconds: 2)) == .known)
        #expect(orders.merge(order(.drain, stamp: .max), at: at(seconds: 2)) == .malformed)
    }

    @Test("a drain lasts until somebody ends it; only the end is forgotten, and its age travels")
    func retention() {
        let week = 7 * 86_400.0
        var orders = WorkerOrders()
        _ = orders.merge(order(.drain, 1, stamp: 1), at: at(seconds: 0))
        _ = orders.merge(order(.resume, 2, stamp: 1, age: 86_400), at: at(seconds: 0))
        #expect(orders.nextDeadline == at(seconds: week - 86_400))
        var next = WorkerOrders()
        for piece in orders.news(at: at(seconds: 100)) { _ = next.merge(piece, at: at(seconds: 100)) }
        #expect(next.nextDeadline == orders.nextDeadline && next.hash == orders.hash)
        let early = orders.expire(at: at(seconds: week - 86_401))
        let late = orders.expire(at: at(seconds: week - 86_400))
        #expect(!early && late && orders.entries.map(\.worker) == [mac(1)] && orders.nextDeadline == .never)
        #expect(orders.order(for: mac(1)) == .drain && orders.news(at: at(seconds: week))[0].ageSeconds == 604_800)
        #expect(orders.merge(order(.resume, 3, stamp: 1, age: 604_800), at: at(seconds: 0)) == .expired)
        #expect(orders.merge(order(.drain, 3, stamp: 1, age: .max), at: at(seconds: 0)) == .taken)
    }

    @Test("one more than the bound, and the oldest order leaves, on every replica the same")
    func bound() {
        let all = (1...6 as ClosedRange<UInt32>).map { order(.drain, $0, stamp: UInt64($0 * 5 % 7)) }
        var tables = [WorkerOrders(bound: 5), WorkerOrders(bound: 5)]
        for piece in all { _ = tables[0].merge(piece, at: at(seconds: 0)) }
        for piece in all.reversed() { _ = tables[1].merge(piece, at: at(seconds: 0)) }
        #expect(tables[0].hash == tables[1].hash && tables[0].entries.count == 5)
        #expect(tables[0].order(for: mac(3)) == .resume && tables[0].evictions == 1)
        #expect(tables[1].merge(all[2], at: at(seconds: 1)) == .full)
    }
}
