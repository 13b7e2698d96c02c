/// Who is in the flock, as this replica sees it: one immutable value, published when it changes.
package import Determinism
package import Membership
package import WireCoding

package struct MembersView: Sendable {
    /// This replica.
    package var own: MemberRecord
    /// Everybody else, sorted by short id, the gone included.
    package var others: [Member] = []
    /// They do not answer this replica's probes, while they answer others'.
    package var reachedByOthersOnly: [ReplicaShortID] = []
    /// UDP to them does not pass, while TCP does.
    package var udpBlocked: [ReplicaShortID] = []
    /// Whether this replica has found the flock, or founds one.
    package var isReady: Bool { own.flags.contains(.ready) }
    /// When this process began, on the machine's clock.
    package var startedAt: Instant
    /// Of the wall clock where the machines' clock is zero, for what people read.
    package var unixMillisecondsAtZero: UInt64

    /// The others that are alive or suspect.
    package var present: [Member] { others.filter { !$0.status.isGone } }

    /// Members that serve, this replica included.
    package var readyReplicas: Int {
        others.count { !$0.status.isGone && $0.record.flags.contains(.ready) } + (isReady ? 1 : 0)
    }

    package func member(_ short: ReplicaShortID) -> Member? { others.first { $0.short == short } }

    /// Milliseconds since 1970.
    package func since(_ member: Member) -> UInt64 { unixMilliseconds(of: member.since) }

    /// Milliseconds since 1970.
    package func unixMilliseconds(of instant: Instant) -> UInt64 {
        let milliseconds = instant.nanoseconds / 1_000_000
        return milliseconds < 0
            ? unixMillisecondsAtZero - min(unixMillisecondsAtZero, milliseconds.magnitude)
            : unixMillisecondsAtZero + milliseconds.magnitude
    }
}
