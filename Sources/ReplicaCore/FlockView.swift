/// What the flock knows besides its members, as one immutable value: what the lane and people read through `Published`.
package import Balancing
import Determinism
package import Placement
package import RateLimiting
package import WireCoding

package struct FlockView: Sendable {
    /// One configured worker.
    package struct Worker: Hashable, Sendable {
        package let short: WorkerShortID
        package var verdict = WorkerVerdict.trusted
        /// Of other replicas, as of `FlockLoads.others`; the own load is on the `WorkerBoard`, exact.
        package var others = FlockLoad.none
        /// By an operator on whatever replica.
        package var order = WorkerOrderNews.Order.resume
        /// This replica probes it.
        package var isMonitoredHere = false

        package init(short: WorkerShortID) { self.short = short }
    }

    package static let empty = FlockView()

    /// Sorted by `short`.
    package var workers: [Worker] = []
    /// Keys of models for which the words of others count for nothing now. Sorted.
    package var panics: [UInt64] = []
    package var blocked = BlockedAddresses.none
    /// Blocks and liftings, and orders, for people.
    package var blocks: [AddressBlocks.Entry] = []
    package var orders: [WorkerOrders.Entry] = []
    /// Sorted by worker, then observer: every word that is known, for people.
    package var words: [WorkerHealthNews] = []
    package var ring = ReplicaRing.empty
    /// Members that hold other rings for longer than they should.
    package var disagreeing: [ReplicaShortID] = []
    package var views = Views()

    package init() {}

    /// Position in `workers`; nil for one that is not configured. A position holds as long as the configuration.
    package func position(of worker: WorkerShortID) -> Int? { workers.position(of: worker, sortedBy: \.short) }

    package func panics(of model: UInt64) -> Bool { !panics.isEmpty && panics.contains(model) }
}
