package import Balancing
package import Membership
package import WireCoding

/// Everything that a replica's part in the flock is told.
package enum ReplicaInput: Sendable {
    case membership(MembershipInput)
    /// What was learned of a worker here: a probe or an exchange.
    case observed(WorkerShortID, WorkerCondition)
    /// What runs and waits here, all workers that have any; absolute.
    case loads([WorkerLoadNews])
    /// By an operator on this replica.
    case order(WorkerShortID, WorkerOrderNews.Order)
    /// The workers of the configuration, with what makes rings of them.
    case workers([RingedWorker])
    case block(AddressBlockNews)
    case keyring(KeyringCommand)
    /// What the wall clock shows, after it was set.
    case wall(milliseconds: UInt64)
}

/// What an operator orders about the flock's traffic keys.
package enum KeyringCommand: Sendable {
    /// A new key of 32 random bytes: everybody gets it, then everybody seals with it.
    case install(TrafficKey)
    case use(UInt16)
    /// `isImmediate` after a leak: whoever knows no other key has to join again.
    case remove(UInt16, isImmediate: Bool)
}

package struct RingedWorker: Hashable, Sendable {
    package var short: WorkerShortID
    package var ringKey: UInt64
    package var weight: Double
    /// `StableHash64` of the names of its models: when more than half of a model's workers are called down, nobody is believed.
    package var models: [UInt64]

    package init(short: WorkerShortID, ringKey: UInt64, weight: Double, models: [UInt64] = []) {
        self.short = short
        self.ringKey = ringKey
        self.weight = weight
        self.models = models
    }
}

/// Everything that it asks for, besides datagrams, which are in the `DatagramOutbox`.
package enum ReplicaEffect: Sendable {
    /// All of them but `sendOtherRecords`, which has become frames.
    case membership(MembershipEffect)
    case dropped(DropReason, from: PeerAddress)
    /// What happened among workers and rings, for logs and counters.
    case observed(WorkerFlock.Fact)
    /// What the lane and people read has changed.
    case published(FlockView)
    /// Somebody else says that this worker is down: probe it at once.
    case probe(WorkerShortID)
    /// Write the ring and sync it; streams are opened with its keys from now on.
    case keyring(Keyring)
    case keyringRefused(KeyringCommand, Keyring.Refusal)
}
