import Balancing
import Determinism
import Synchronization
import Testing

@testable import ReplicaCore

struct AdmissionDeskTests {
    private let model = ModelIndex(rawValue: 0)
    private let later = Instant.zero + .seconds(30)

    /// Who was woken, in order.
    private final class Woken: Sendable {
        private let names = Mutex<[String]>([])
        var all: [String] { names.withLock { $0 } }
        func wake(_ name: String) -> AdmissionDesk.Wake { { self.names.withLock { $0.append(name) } } }
    }

    @Test("whoever came first is woken first, once, and is then forgotten")
    func order() throws {
        let desk = AdmissionDesk(bound: 4)
        let woken = Woken()
        for name in ["a", "b"] {
            _ = try #require(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake(name)))
        }
        #expect(desk.waiting(model) == 2 && desk.waitingTotal == 2)
        desk.wakeNext(model)
        desk.wakeNext(model)
        desk.wakeNext(model)
        #expect(woken.all == ["a", "b"])
        #expect(desk.waiting(model) == 0 && desk.waitingTotal == 0)
    }

    @Test("a line takes as many as its bound and refuses one more; other models have lines of their own")
    func bound() {
        let desk = AdmissionDesk(bound: 2)
        let woken = Woken()
        func enqueue(_ model: ModelIndex) -> TicketID? {
            desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake(""))
        }
        #expect(enqueue(model) != nil)
        #expect(enqueue(model) != nil)
        #expect(enqueue(model) == nil)
        #expect(enqueue(ModelIndex(rawValue: 1)) != nil)
        #expect(desk.waitingTotal == 3)
    }

    @Test("who left is not woken, and leaving twice counts once")
    func cancel() throws {
        let desk = AdmissionDesk(bound: 4)
        let woken = Woken()
        let first = try #require(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake("a")))
        _ = try #require(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake("b")))
        desk.cancel(model, first)
        desk.cancel(model, first)
        #expect(desk.waitingTotal == 1)
        desk.wakeNext(model)
        #expect(woken.all == ["b"])
    }

    @Test("who was woken in vain goes back to the front")
    func returning() throws {
        let desk = AdmissionDesk(bound: 4)
        let woken = Woken()
        for name in ["a", "b"] {
            _ = try #require(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake(name)))
        }
        desk.wakeNext(model)
        let again = try #require(
            desk.enqueue(model: model, tenant: 1, deadline: later, isReturning: true, wake: woken.wake("a again")))
        desk.wakeNext(model)
        #expect(woken.all == ["a", "a again"])
        desk.cancel(model, again)
        #expect(desk.waiting(model) == 1)
    }

    @Test("a new bound holds for lines that are empty")
    func setBound() {
        let desk = AdmissionDesk(bound: 1)
        let woken = Woken()
        desk.setBound(2)
        #expect(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake("")) != nil)
        #expect(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake("")) != nil)
        #expect(desk.enqueue(model: model, tenant: 1, deadline: later, wake: woken.wake("")) == nil)
    }

    @Test("what those who wait would have loaded is told for all together, as long as they wait")
    func wants() throws {
        let desk = AdmissionDesk(bound: 8)
        let woken = Woken()
        func loading(_ since: Int, _ wait: Double, _ workers: Int...) -> AdmissionDesk.Loading {
            AdmissionDesk.Loading(
                since: Instant.zero + .seconds(since), expectedWait: wait,
                workers: workers.map { WorkerIndex(rawValue: $0) })
        }
        func enqueue(_ loading: AdmissionDesk.Loading?) throws -> TicketID {
            try #require(
                desk.enqueue(model: model, tenant: 1, deadline: later, loading: loading, wake: woken.wake("")))
        }
        #expect(desk.wants().wants.isEmpty && desk.wants().waiting.isEmpty)
        let first = try enqueue(nil)
        #expect(desk.wants().wants.isEmpty && desk.wants().waiting == [model: 1])
        let second = try enqueue(loading(9, 4, 1))
        _ = try enqueue(loading(7, 2, 2))
        func told() -> LoadPlanner.Want? { desk.wants().wants.first }
        func want(_ since: Int, _ wait: Double, _ workers: Set<Int>) -> LoadPlanner.Want {
            LoadPlanner.Want(
                model: model, since: Instant.zero + .seconds(since), expectedWait: wait,
                workers: Set(workers.map { WorkerIndex(rawValue: $0) }))
        }
        #expect(told() == want(7, 4, [1, 2]) && desk.wants().waiting == [model: 3])
        desk.update(model, first, loading(1, 8, 3))
        #expect(told() == want(1, 8, [1, 2, 3]))
        desk.cancel(model, second)
        #expect(told() == want(1, 8, [2, 3]))
        desk.wakeNext(model)
        #expect(told() == want(7, 2, [2]))
        // Who was woken waits no more, whatever it says.
        desk.update(model, first, loading(1, 8, 3))
        desk.wakeNext(model)
        #expect(desk.wants().wants.isEmpty)
    }
}
