/// When a new layout is published. Members come in bursts, and each layout in between would move keys for nothing.
///
/// Leaving out one that is gone does not wait for this: it is a filter at lookup.
package import Determinism

package struct RingDebounce: Sendable {
    /// Without a change [ours].
    package static let quiet = Nanoseconds.milliseconds(250)
    /// From the first change on, however many follow [ours].
    package static let latest = Nanoseconds.seconds(1)

    private var firstChange = Instant.never
    private var lastChange = Instant.never

    package init() {}

    /// Those of whom a layout is made are other ones now.
    package mutating func changed(at now: Instant) {
        if firstChange == .never { firstChange = now }
        lastChange = now
    }

    /// When a layout is due; `never`: nothing has changed.
    package var deadline: Instant { min(lastChange + Self.quiet, firstChange + Self.latest) }

    /// Whether a layout is to be made and published now; true once.
    package mutating func takeDue(at now: Instant) -> Bool {
        guard firstChange != .never, now >= deadline else { return false }
        firstChange = .never
        lastChange = .never
        return true
    }
}
