package import WireCoding

/// Everything that a membership machine is told.
package enum MembershipInput: Sendable {
    /// Time has come to `nextDeadline`, or later; early and repeated ones are harmless.
    case tick
    /// Opened, proven and decoded whole.
    case packet(ReceivedPacket)
    /// A stream that was asked for by `openStream` is open.
    case streamOpened(StreamID)
    case streamFailed(StreamID, StreamFailure)
    /// Somebody dialled. The driver draws its number with the high bit set; ours have it clear.
    case streamAccepted(StreamID, StreamPurpose, from: PeerAddress)
    case streamFrame(StreamID, StreamFrame)
    /// The other side has ended it in order.
    case streamClosed(StreamID)
    /// What the seeds and the members of the last run stand for now, as asked by `resolveSeeds`.
    case resolved([PeerAddress])
    case command(MembershipCommand)
    /// The identity with this incarnation is durable.
    case persisted(Incarnation)
    case changed(OwnChange)
    /// The wall clock and the clock that runs through sleep parted by seconds: a memory image may have been resumed.
    case clockBroke
}

package struct StreamID: Hashable, Comparable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let acceptedBit: UInt32 = 0x8000_0000
    package var isAccepted: Bool { rawValue & Self.acceptedBit != 0 }
    package static func < (left: StreamID, right: StreamID) -> Bool { left.rawValue < right.rawValue }
}

package enum MembershipCommand: Sendable {
    /// Knock on these addresses as well.
    case join([PeerAddress])
    /// Knock there although a member lives there: it seals with a key that is not known here, so a rotation was missed.
    case rejoin(PeerAddress)
    /// Say goodbye and end with the effect `left`.
    case leave
    case forceLeave(ReplicaID, prune: Bool)
}

/// What a replica may change of its own record while it runs.
package enum OwnChange: Sendable {
    case flags(set: MemberFlags, clear: MemberFlags)
    case agreement(UInt32)
    case keyIDs(KeyIDs)
    case address(PeerAddress)
}

/// Everything that a membership machine asks for. Packets go through the `PacketSink` instead.
package enum MembershipEffect: Sendable {
    /// Write and sync this, then answer `persisted`.
    case persist(PersistedIdentity)
    /// Dial within `within`, by handshake and all, and answer `streamOpened` or `streamFailed`.
    case openStream(StreamID, to: PeerAddress, StreamPurpose, within: Duration)
    case sendFrame(StreamID, StreamFrame)
    /// Send here what the flock must know besides members: blocks, orders, words on workers.
    case sendOtherRecords(StreamID)
    /// Close after what was sent before.
    case closeStream(StreamID)
    /// Look the seeds up and answer `resolved`.
    case resolveSeeds
    /// The replica speaks as another from now on.
    case becomes(ReplicaID, SessionID)
    /// What is shown of a member has changed, or it is new.
    case changed(Member, from: MemberStatus?)
    /// The member is forgotten.
    case forgot(ReplicaID)
    case observed(MembershipFact)
    /// Goodbye was said and heard, or its time is over.
    case left
}

package struct PersistedIdentity: Hashable, Sendable {
    package let id: ReplicaID
    package let incarnation: Incarnation

    package init(id: ReplicaID, incarnation: Incarnation) {
        self.id = id
        self.incarnation = incarnation
    }
}
