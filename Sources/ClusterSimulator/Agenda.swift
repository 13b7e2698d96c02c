import Determinism

/// What will happen, soonest first: a binary heap of (time, sequence, event).
///
/// The sequence breaks ties, so equal times have one order, that of their being added: a heap alone would order them by
/// its own history.
struct Agenda: Sendable {
    private struct Entry {
        var time: Int64
        var sequence: UInt64
        var event: WorldEvent

        @inline(__always)
        func isBefore(_ other: Entry) -> Bool {
            time < other.time || (time == other.time && sequence < other.sequence)
        }
    }

    private var heap: [Entry] = []
    private var sequence: UInt64 = 0

    init(capacity: Int = 1_024) { heap.reserveCapacity(capacity) }

    var count: Int { heap.count }
    var nextTime: Instant? { heap.first.map { Instant(nanoseconds: $0.time) } }

    mutating func add(_ event: WorldEvent, at time: Instant) {
        sequence += 1
        let entry = Entry(time: time.nanoseconds, sequence: sequence, event: event)
        heap.append(entry)
        heap.withUnsafeMutableBufferPointer { heap in
            var place = heap.count - 1
            while place > 0 {
                let parent = (place - 1) / 2
                guard entry.isBefore(heap[parent]) else { break }
                heap[place] = heap[parent]
                place = parent
            }
            heap[place] = entry
        }
    }

    mutating func popFirst() -> (time: Instant, event: WorldEvent)? {
        guard let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return (Instant(nanoseconds: last.time), last.event) }
        let first = heap.withUnsafeMutableBufferPointer { heap in
            let first = heap[0]
            var place = 0
            while true {
                var child = 2 * place + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
                guard heap[child].isBefore(last) else { break }
                heap[place] = heap[child]
                place = child
            }
            heap[place] = last
            return first
        }
        return (Instant(nanoseconds: first.time), first.event)
    }
}
