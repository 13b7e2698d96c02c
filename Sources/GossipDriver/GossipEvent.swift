/// What people and metrics are told, in order, as it happens.
package import Membership
package import ReplicaCore
package import WireCoding

package enum GossipEvent: Sendable {
    case changed(Member, from: MemberStatus?)
    case forgot(ReplicaID)
    case became(ReplicaID, SessionID)
    case fact(MembershipFact)
    /// Of workers and rings.
    case workerFact(WorkerFlock.Fact)
    case keyringRefused(Keyring.Refusal)
    /// A file of the data directory could not be written: it is tried again each second.
    case cannotPersist(String)
    /// Goodbye was said and heard.
    case left
}
