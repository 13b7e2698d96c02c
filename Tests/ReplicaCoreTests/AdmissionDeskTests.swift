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
}
