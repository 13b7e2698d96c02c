import Determinism
import Testing

@testable import Balancing

@Suite struct AdmissionQueueTests {
    private func ticket(_ number: Int) -> TicketID { TicketID(rawValue: UInt64(number)) }

    private func add(_ queue: inout AdmissionQueue, _ number: Int, _ tenant: UInt64, deadline: Instant = .never) -> Bool
    {
        queue.enqueue(ticket(number), tenant: tenant, deadline: deadline)
    }

    private func drain(_ queue: inout AdmissionQueue) -> [Int] {
        var order: [Int] = []
        while let next = queue.popNext() { order.append(Int(next.rawValue)) }
        return order
    }

    @Test("takes what the bound allows, refuses one past it, takes again when one left")
    func bound() {
        var queue = AdmissionQueue(bound: 3)
        let taken = (1...4).map { add(&queue, $0, UInt64($0)) }
        #expect(taken == [true, true, true, false])
        #expect(queue.count == 3)
        let left = queue.cancel(ticket(2))
        let again = add(&queue, 5, 9)
        let tooMany = add(&queue, 6, 9)
        #expect(left && again && !tooMany)
        #expect(drain(&queue) == [1, 3, 5])
        #expect(queue.count == 0)
    }

    @Test("a ticket waits once")
    func twice() {
        var queue = AdmissionQueue(bound: 3)
        let taken = [add(&queue, 1, 1), add(&queue, 1, 2)]
        #expect(taken == [true, false])
        #expect(queue.count == 1)
    }

    @Test("first come first served inside a tenant, tenants take turns")
    func fair() {
        var queue = AdmissionQueue(bound: 100)
        for number in 1...5 { _ = add(&queue, number, 1) }
        _ = add(&queue, 11, 2)
        _ = add(&queue, 12, 2)
        _ = add(&queue, 21, 3)
        #expect(drain(&queue) == [1, 11, 21, 2, 12, 3, 4, 5])
    }

    @Test("one who sends a thousand does not delay another's single one by more than a turn")
    func flood() {
        var queue = AdmissionQueue(bound: 2_000)
        for number in 0..<1_000 { _ = add(&queue, number, 1) }
        _ = queue.popNext()
        _ = add(&queue, 5_000, 2)
        let next = [queue.popNext(), queue.popNext()]
        #expect(next.contains(ticket(5_000)))
    }

    @Test("a tenant that was served does not come first again by asking again")
    func back() {
        var queue = AdmissionQueue(bound: 10)
        _ = add(&queue, 1, 1)
        _ = add(&queue, 2, 2)
        _ = add(&queue, 3, 3)
        let first = queue.popNext()
        _ = add(&queue, 4, 1)
        #expect(first == ticket(1))
        #expect(drain(&queue) == [2, 3, 4])
    }

    @Test("cancelling works at every place of a line, once")
    func cancel() {
        for gone in 1...4 {
            var queue = AdmissionQueue(bound: 10)
            for number in 1...4 { _ = add(&queue, number, 7) }
            let results = [queue.cancel(ticket(gone)), queue.cancel(ticket(gone)), queue.cancel(ticket(99))]
            #expect(results == [true, false, false])
            #expect(drain(&queue) == (1...4).filter { $0 != gone })
        }
    }

    @Test("tickets whose deadline has come are passed over, and cost their tenant no turn")
    func deadlines() {
        var queue = AdmissionQueue(bound: 10)
        _ = add(&queue, 1, 1, deadline: .at(5))
        _ = add(&queue, 2, 1, deadline: .at(9))
        _ = add(&queue, 3, 2, deadline: .at(5))
        _ = add(&queue, 4, 2, deadline: .at(6))
        let order = [queue.popNext(at: .at(5)), queue.popNext(at: .at(5)), queue.popNext(at: .at(5))]
        #expect(order == [ticket(2), ticket(4), nil])
        #expect(queue.count == 0)
    }

    @Test("a deadline is kept to the moment before it", arguments: [(4.999_999_999, true), (5.0, false)])
    func moment(_ now: Double, _ isServed: Bool) {
        var queue = AdmissionQueue(bound: 1)
        _ = add(&queue, 1, 1, deadline: .at(5))
        let served = queue.popNext(at: .at(now))
        #expect((served != nil) == isServed)
    }

    @Test("random use agrees with a plain list of lists", arguments: 1...20 as ClosedRange<UInt64>)
    func model(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = AdmissionQueue(bound: 40)
        // Tenants in order of turn, each with its tickets in order.
        var expected: [(tenant: UInt64, tickets: [Int])] = []
        var nextNumber = 0
        for _ in 0..<3_000 {
            switch random.below(4) {
            case 0, 1:
                let tenant = random.below(6)
                let isFull = expected.reduce(0) { $0 + $1.tickets.count } == 40
                let isTaken = add(&queue, nextNumber, tenant)
                #expect(isTaken == !isFull)
                if isTaken {
                    if let place = expected.firstIndex(where: { $0.tenant == tenant }) {
                        expected[place].tickets.append(nextNumber)
                    } else {
                        expected.append((tenant, [nextNumber]))
                    }
                }
                nextNumber += 1
            case 2:
                let popped = queue.popNext()
                guard !expected.isEmpty else {
                    #expect(popped == nil)
                    break
                }
                var line = expected.removeFirst()
                #expect(popped == ticket(line.tickets.removeFirst()))
                if !line.tickets.isEmpty { expected.append(line) }
            default:
                let number = Int(random.below(UInt64(nextNumber + 1)))
                let wasThere = queue.cancel(ticket(number))
                let place = expected.firstIndex { $0.tickets.contains(number) }
                #expect(wasThere == (place != nil))
                if let place {
                    expected[place].tickets.removeAll { $0 == number }
                    if expected[place].tickets.isEmpty { expected.remove(at: place) }
                }
            }
            #expect(queue.count == expected.reduce(0) { $0 + $1.tickets.count })
        }
    }
}
