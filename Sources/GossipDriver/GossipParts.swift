/// What a gossip loop is made of, and what it calls.
import Logging
import Membership
import NIOCore
import NIOPosix
package import ReplicaCore
package import WireCoding

/// Called on the gossip's loop: they must return at once.
package struct GossipHooks: Sendable {
    package var membersChanged: @Sendable (MembersView) -> Void = { _ in }
    package var flockChanged: @Sendable (FlockView) -> Void = { _ in }
    /// Somebody else says that this worker is down: probe it at once.
    package var probe: @Sendable (WorkerShortID) -> Void = { _ in }

    package init() {}
}

struct GossipParts {
    let loop: any EventLoop
    let secrets: ClusterSecrets
    let board: KeyBoard
    let directory: DataDirectory
    let files: NIOThreadPool
    let lookup: SeedLookup
    let log: GossipLog
    let hooks: GossipHooks
    let bounds: MembershipBounds
    /// Where streams to others come from, as datagrams do; nil: wherever the system likes.
    let source: PeerAddress?
}
