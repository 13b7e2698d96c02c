package import Determinism

/// So many packets a second, counted in seconds that begin with a packet.
package struct PacketRate: Hashable, Sendable {
    private var since = Instant.zero
    private var count = 0

    package init() {}

    /// False when this one is too many.
    package mutating func allows(_ limit: Int, at now: Instant) -> Bool {
        if count == 0 || now.span(since: since) >= .seconds(1) || now < since {
            since = now
            count = 0
        }
        guard count < limit else { return false }
        count += 1
        return true
    }
}
