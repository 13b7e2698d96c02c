package import Balancing
package import Membership
package import WireCoding

/// Everything that a replica's part in the flock is told.
package enum ReplicaInput: Sendable {
    case membership(MembershipInput)
    /// What was learned of a worker here: a probe or an exchange.
    case observed(WorkerShortID, WorkerCondition, isMonitor: Bool)
    /// What runs and waits here, all workers that have any; absolute.
    case loads([WorkerLoadNews])
    /// By an operator on this replica.
    case order(WorkerShortID, WorkerOrderNews.Order)
    /// The workers of the configuration, with what makes rings of them.
    case workers([RingedWorker])
    case block(AddressBlockNews)
}

package struct RingedWorker: Hashable, Sendable {
    package var short: WorkerShortID
    package var ringKey: UInt64
    package var weight: Double

    package init(short: WorkerShortID, ringKey: UInt64, weight: Double) {
        self.short = short
        self.ringKey = ringKey
        self.weight = weight
    }
}

/// Everything that it asks for, besides datagrams, which are in the `DatagramOutbox`.
package enum ReplicaEffect: Sendable {
    case membership(MembershipEffect)
    case dropped(DropReason, from: PeerAddress)
}
