package import Determinism
package import WireCoding

/// Whom to probe next: everybody once in a random order, then again in another.
///
/// Round robin bounds the time until one observer reaches everyone, (2N − 1) · T (SWIM §4.3); drawing at random each time
/// does not. Who joins is put at a random place of what is left of the round.
package struct ProbeRound: Sendable {
    private var order: [ReplicaShortID] = []
    private var next = 0

    package init() {}

    var count: Int { order.count }

    /// The next that `table` holds present. Nil when there is none.
    package mutating func next(of table: MemberTable, drawing generator: inout SeededGenerator) -> ReplicaShortID? {
        guard table.presentCount > 0 else { return nil }
        // Twice: the rest of this round, and a new one.
        for _ in 0..<2 {
            while next < order.count {
                let candidate = order[next]
                next += 1
                if let slot = table.slot(of: candidate), !slot.member.status.isGone { return candidate }
            }
            begin(with: table, drawing: &generator)
        }
        return nil
    }

    /// In a table of `bound` members. Who flaps while a round lasts stands in it again each time; a round that has become
    /// much longer than the flock is given up for a new one (M12).
    package mutating func insert(
        _ joiner: ReplicaShortID, upTo bound: Int, drawing generator: inout SeededGenerator
    ) {
        guard order.count < 2 * bound else {
            order.removeAll(keepingCapacity: true)
            next = 0
            return
        }
        guard !order[next...].contains(joiner) else { return }
        let left = order.count - next
        order.insert(joiner, at: next + Int(generator.below(UInt64(left + 1))))
    }

    private mutating func begin(with table: MemberTable, drawing generator: inout SeededGenerator) {
        order.removeAll(keepingCapacity: true)
        for slot in table.slots where !slot.member.status.isGone { order.append(slot.member.short) }
        Shuffle.all(&order, drawing: &generator)
        next = 0
    }
}

enum Shuffle {
    /// Fisher and Yates; the standard library may change how it draws.
    static func all<Element>(_ elements: inout [Element], drawing generator: inout SeededGenerator) {
        first(elements.count, of: &elements, drawing: &generator)
    }

    /// Brings a random choice to the front.
    static func first<Element>(
        _ count: Int, of elements: inout [Element], drawing generator: inout SeededGenerator
    ) {
        for place in 0..<min(count, max(0, elements.count - 1)) {
            elements.swapAt(place, place + Int(generator.below(UInt64(elements.count - place))))
        }
    }
}
