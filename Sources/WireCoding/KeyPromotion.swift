/// When a staged key may seal: once every member that is alive has listed it for two seconds without a break.
///
/// Each replica watches for itself and any of them may promote: merging makes it one event. The two seconds are for news
/// of a member that is just joining with an older ring.
package import Determinism

package struct KeyPromotion: Sendable {
    /// [ours]
    package static let heldFor = Nanoseconds.seconds(2)

    private var id: UInt16 = 0
    private var since = Instant.never

    package init() {}

    /// When to ask again at the latest, if nothing changes before.
    package var nextDeadline: Instant? { since == .never ? nil : since + Self.heldFor }

    /// The id of the key to use now. Ask when a ring or a record of a member changes, and at `nextDeadline`.
    package mutating func promoted(
        in ring: Keyring, at now: Instant, isListedByAll: (UInt16) -> Bool
    ) -> UInt16? {
        guard let candidate = ring.candidate, isListedByAll(candidate.id) else {
            since = .never
            return nil
        }
        if since == .never || candidate.id != id {
            id = candidate.id
            since = now
        }
        return now >= since + Self.heldFor ? id : nil
    }
}
