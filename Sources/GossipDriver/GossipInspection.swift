/// What only a look into the machine shows: asked for by people, not published with each change.
import Determinism
import Membership
package import WireCoding

package struct GossipInspection: Sendable {
    package struct Peer: Sendable {
        package var short: ReplicaShortID
        /// Since it was last heard; nil: never.
        package var silentFor: Duration?
        /// Nearly every answer of it comes within this; nil before the first.
        package var usualAnswerMax: Duration?
        /// Who says that it is gone, while it is suspect.
        package var accusers: [ReplicaShortID] = []
    }

    package var peers: [Peer] = []
    /// Rumours that are still told, by lane from 0.
    package var rumours: [Int] = []
    /// News goes to everybody at once, not from one to some.
    package var isDirect = true

    init() {}

    init(_ machine: MembershipMachine, at now: Instant) {
        peers = machine.table.slots.map { slot in
            Peer(
                short: slot.member.short,
                silentFor: slot.heardAt == .zero ? nil : now.span(since: slot.heardAt).duration,
                usualAnswerMax: slot.roundTrip.usualMax?.duration, accusers: machine.accusers(of: slot.member.short))
        }
        rumours = machine.rumourCounts
        isDirect = machine.isDirect
    }

    package func peer(_ short: ReplicaShortID) -> Peer? { peers.first { $0.short == short } }
}
