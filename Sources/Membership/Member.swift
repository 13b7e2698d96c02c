package import Determinism
package import WireCoding

/// A replica as this one sees it.
package struct Member: Hashable, Sendable {
    package var record: MemberRecord
    /// When its status last changed here. For one that was learned of later, as old as it was told to be.
    package var since: Instant
    /// An operator said that this session is gone.
    package var isRemoved: Bool
    /// Hidden from lists besides.
    package var isPruned: Bool

    package init(record: MemberRecord, since: Instant, isRemoved: Bool = false, isPruned: Bool = false) {
        self.record = record
        self.since = since
        self.isRemoved = isRemoved
        self.isPruned = isPruned
    }

    package var id: ReplicaID { record.id }
    package var short: ReplicaShortID { record.id.short }
    /// What is shown: `left` for whom an operator removed.
    package var status: MemberStatus { isRemoved ? .left : record.status }

    package var destination: PacketDestination {
        PacketDestination(short: short, session: record.session, address: record.address)
    }
}
