import Balancing
import Determinism
import ExchangeFlow
import Testing

@Suite("UpstreamPoolMachine")
struct UpstreamPoolMachineTests {
    typealias Pool = UpstreamPoolMachine
    let worker = WorkerIndex(rawValue: 3)

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    private func lease(
        _ pool: inout Pool, _ worker: WorkerIndex, at seconds: Double
    ) -> (Pool.Lease, [Pool.ConnectionID]) {
        var closing: [Pool.ConnectionID] = []
        let lease = pool.lease(worker, at: at(seconds), closing: &closing)
        return (lease, closing)
    }

    @Test("the connection returned last is taken first")
    func lastInFirstOut() {
        var pool = Pool()
        let first = pool.opened(worker, at: .zero)
        let second = pool.opened(worker, at: .zero)
        for connection in [first, second] {
            let answer = pool.returned(connection, .clean, at: .zero)
            #expect(answer == .keep)
        }
        #expect(lease(&pool, worker, at: 1).0 == .reuse(second))
        #expect(lease(&pool, worker, at: 1).0 == .reuse(first))
        #expect(lease(&pool, worker, at: 1).0 == .dial)
        #expect(pool.leasedCount == 2)
    }

    @Test("a worker's connections serve that worker only")
    func keyedByWorker() {
        var pool = Pool()
        let connection = pool.opened(worker, at: .zero)
        _ = pool.returned(connection, .clean, at: .zero)
        #expect(lease(&pool, WorkerIndex(rawValue: 4), at: 0).0 == .dial)
        #expect(lease(&pool, worker, at: 0).0 == .reuse(connection))
    }

    @Test("any one doubt about the framing closes the connection (L11)", arguments: 0..<16)
    func doubt(bits: Int) {
        var pool = Pool()
        let connection = pool.opened(worker, at: .zero)
        let evidence = Pool.Evidence(
            endedByFraming: bits & 1 == 0, requestFullyWritten: bits & 2 == 0, bothKeepAlive: bits & 4 == 0,
            nothingAfterEnd: bits & 8 == 0)
        let answer = pool.returned(connection, evidence, at: .zero)
        #expect(answer == (bits == 0 ? .keep : .close(.doubt)))
        #expect(pool.idleCount == (bits == 0 ? 1 : 0))
        #expect(pool.leasedCount == 0)
    }

    @Test("a byte or an EOF while idle closes, and the name is not valid again (L11)")
    func spokeWhileIdle() {
        var pool = Pool()
        let connection = pool.opened(worker, at: .zero)
        _ = pool.returned(connection, .clean, at: .zero)
        let first = pool.spokeOrEnded(connection)
        let again = pool.spokeOrEnded(connection)
        #expect(first && !again)
        #expect(lease(&pool, worker, at: 0).0 == .dial)
        let reopened = pool.opened(worker, at: .zero)
        #expect(reopened != connection)
        let late = pool.returned(connection, .clean, at: .zero)
        #expect(late == .close(.doubt))
        #expect(pool.leasedCount == 1)
    }

    @Test("a leased connection that ends is forgotten once, whoever reports it first")
    func endedWhileLeased() {
        var pool = Pool()
        let connection = pool.opened(worker, at: .zero)
        let known = pool.spokeOrEnded(connection)
        let returned = pool.returned(connection, .clean, at: .zero)
        #expect(known)
        #expect(returned == .close(.doubt))
        #expect(pool.leasedCount == 0 && pool.idleCount == 0)
    }

    @Test("the bound of idle connections holds at it and one past it (L8)")
    func idleBound() {
        var pool = Pool()
        let opened = (0...64).map { _ in pool.opened(worker, at: .zero) }
        for connection in opened.prefix(64) {
            let answer = pool.returned(connection, .clean, at: .zero)
            #expect(answer == .keep)
        }
        #expect(pool.idleCount(of: worker) == 64)
        let past = pool.returned(opened[64], .clean, at: .zero)
        #expect(past == .close(.poolFull))
        #expect(pool.idleCount(of: worker) == 64)
    }

    @Test("idle time ends at its bound, and the lease lists what it found too old")
    func idleTime() {
        var pool = Pool()
        pool.admit(worker, rules: .init(idle: .seconds(4)))
        let connection = pool.opened(worker, at: .zero)
        _ = pool.returned(connection, .clean, at: at(10))
        #expect(pool.nextDeadline == at(14))
        var spared = pool
        #expect(lease(&spared, worker, at: 13.9).0 == .reuse(connection))
        let (late, closing) = lease(&pool, worker, at: 14)
        #expect(late == .dial)
        #expect(closing == [connection])
        #expect(pool.idleCount == 0 && pool.nextDeadline == .never)
    }

    @Test("age and the number of requests end a connection on its return")
    func ageAndRequests() {
        var pool = Pool()
        pool.admit(worker, rules: .init(idle: .seconds(4), age: .seconds(20), requestsMax: 3))
        let old = pool.opened(worker, at: .zero)
        let tooOld = pool.returned(old, .clean, at: at(20))
        #expect(tooOld == .close(.tooOld))

        let busy = pool.opened(worker, at: at(30))
        for _ in 1..<3 {
            let kept = pool.returned(busy, .clean, at: at(30))
            #expect(kept == .keep)
            #expect(lease(&pool, worker, at: 30).0 == .reuse(busy))
        }
        let third = pool.returned(busy, .clean, at: at(30))
        #expect(third == .close(.tooManyRequests))
    }

    @Test("a worker that does not pool gets a connection per request")
    func notPooled() {
        var pool = Pool()
        pool.admit(worker, rules: .init(poolsConnections: false))
        let connection = pool.opened(worker, at: .zero)
        let answer = pool.returned(connection, .clean, at: .zero)
        #expect(answer == .close(.notPooled))
    }

    @Test("a removed worker's idle connections close at once, its leased ones on return")
    func removal() {
        var pool = Pool()
        let leased = pool.opened(worker, at: .zero)
        let idle = pool.opened(worker, at: .zero)
        let other = pool.opened(WorkerIndex(rawValue: 0), at: .zero)
        _ = pool.returned(idle, .clean, at: .zero)
        _ = pool.returned(other, .clean, at: .zero)
        var closing: [Pool.ConnectionID] = []
        pool.remove(worker, closing: &closing)
        #expect(closing == [idle])
        let answer = pool.returned(leased, .clean, at: .zero)
        #expect(answer == .close(.workerRemoved))
        #expect(pool.idleCount == 1)
        closing = []
        pool.closeIdle(closing: &closing)
        #expect(closing == [other] && pool.idleCount == 0)
    }

    @Test("expiry lists exactly the stale ones and keeps the order of the rest")
    func expiry() {
        var pool = Pool()
        pool.admit(worker, rules: .init(idle: .seconds(4)))
        let ids = (0..<4).map { _ in pool.opened(worker, at: .zero) }
        for (step, id) in ids.enumerated() { _ = pool.returned(id, .clean, at: at(Double(step))) }
        var closing: [Pool.ConnectionID] = []
        pool.expire(at: at(5), closing: &closing)
        #expect(closing == [ids[0], ids[1]])
        #expect(lease(&pool, worker, at: 5).0 == .reuse(ids[3]))
        #expect(lease(&pool, worker, at: 5).0 == .reuse(ids[2]))
    }
}
