/// An immutable value that one writer replaces and every event loop reads.
///
/// A loop keeps its own copy and compares one atomic at the start of an exchange, never in the middle of one: so an
/// exchange sees one view from its beginning to its end, and reading costs no lock while nothing changes.
import Synchronization

package final class Published<Value: Sendable>: Sendable {
    private let generation = Atomic<UInt64>(0)
    private let current: Mutex<Value>

    package init(_ first: Value) { current = Mutex(first) }

    package func publish(_ next: Value) {
        current.withLock { $0 = next }
        generation.add(1, ordering: .releasing)
    }

    /// Replaces `copy` when something newer was published. Start `seen` at `.max`.
    package func refresh(_ copy: inout Value, seen: inout UInt64) {
        let now = generation.load(ordering: .acquiring)
        guard now != seen else { return }
        copy = current.withLock { $0 }
        seen = now
    }

    /// The latest value, for those who look seldom.
    package var value: Value { current.withLock { $0 } }
}
