import Determinism
package import WireCoding

/// What happened, for logs, counters and the simulator. Facts change nothing.
package enum MembershipFact: Hashable, Sendable {
    /// An ack came: how long it took, and by which way.
    case acknowledged(ReplicaShortID, Duration, ProbePath)
    case probeFailed(ReplicaShortID)
    case suspected(ReplicaShortID, SuspicionCause)
    /// Declared dead here: who had accused it, how long it was waited for.
    case matured(ReplicaShortID, accusers: Int, waited: Duration, isRefused: Bool)
    /// I was accused and answered.
    case refuted(MemberStatus)
    /// A member that was dead here came back with the same session.
    case falseDeath(ReplicaShortID)
    /// This machine was told late.
    case late(Duration)
    /// UDP to the peer does not pass while TCP does, or passes again.
    case udpBlocked(ReplicaShortID, Bool)
    /// Probes of the peer are answered through helpers alone, or by itself again.
    case reachedByOthersOnly(ReplicaShortID, Bool)
    /// Loss around here is heavy, or no longer.
    case climate(isLossy: Bool)
    case joined(members: Int)
    case alone
    case joinRefused(PeerAddress, JoinRefusal)
    case joinFailed(PeerAddress, StreamFailure)
    case synced(ReplicaShortID, SyncReason)
    /// A new identity was taken.
    case renewed(RenewalCause)
    /// An operator elsewhere had removed this process; it joined again.
    case rejoined
    /// A member's incarnation is more than a day ahead of this replica's clock.
    case fromTheFuture(ReplicaShortID, Incarnation)
    /// A rumour fell out of a full queue, or was too long to be sent.
    case rumourDropped(lane: UInt8)
    case throttled
    case awareness(Int)
    case agreementMismatch(ReplicaShortID, Bool)
    case reached(Mark)
}

package enum ProbePath: UInt8, Sendable, CaseIterable { case direct, indirect, stream }
package enum SuspicionCause: UInt8, Sendable, CaseIterable { case probe, rumour, sync, refused, misdelivered }
package enum SyncReason: UInt8, Sendable, CaseIterable { case digest, timer, contact, views, join }
package enum RenewalCause: UInt8, Sendable, CaseIterable { case twin, shortIDTaken, ceiling }

/// A place in the machines that a test claims to reach.
package enum Mark: UInt8, Sendable, CaseIterable {
    case refuteAfterDead, buddySavedSuspect, refusedByTwo, misdeliveredKilled, lagCancelledProbe, climateDoubled,
        climateBack, twinRenewed, shortIDRenewed, ceilingRenewed, removedRejoined, syncTaughtRefutation,
        udpBlockedButAlive, helperAnswered, sleptAndRejoined, receiptResent
}
