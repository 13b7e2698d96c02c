/// What two replicas say on a TCP stream, one frame at a time. Bytes are in `StreamFrame+Coding`.
package enum StreamFrame: Hashable, Sendable {
    case ping(Ping, destination: ReplicaShortID)
    case ack(Ack, destination: ReplicaShortID)
    case joinRequest(MemberRecord)
    case joinRefused(JoinRefusal)
    /// The keys of the flock, sealed by the channel. What it holds is `Keyring`'s.
    case keyring([UInt8])
    case summary([MemberSummary])
    /// Only messages 5, 8, 18, 20, 27 and 30.
    case records([Message])
    /// The sender has said all it has to say.
    case done
}

package struct MemberSummary: Hashable, Sendable {
    package var short: ReplicaShortID
    package var incarnation: Incarnation
    package var status: MemberStatus
    package var life: UInt32

    package init(short: ReplicaShortID, incarnation: Incarnation, status: MemberStatus, life: UInt32) {
        self.short = short
        self.incarnation = incarnation
        self.status = status
        self.life = life
    }
}

package enum JoinRefusal: UInt8, Sendable, CaseIterable {
    case protocolTooOld = 1
    case protocolTooNew = 2
    case identityInUse = 3
    case shortIDTaken = 4
    case busy = 5

    package var word: String {
        switch self {
        case .protocolTooOld: "protocolTooOld"
        case .protocolTooNew: "protocolTooNew"
        case .identityInUse: "identityInUse"
        case .shortIDTaken: "shortIDTaken"
        case .busy: "busy"
        }
    }
}

package enum StreamPurpose: UInt8, Sendable, CaseIterable {
    /// Opened with the cluster's secret.
    case join = 0
    /// Opened with a traffic key.
    case peer = 1
}

/// Why a stream did not come to its end.
package enum StreamFailure: UInt8, Sendable, CaseIterable {
    /// The host answered that nobody listens (RST).
    case refused
    case unreachable
    case timeout
    /// The other side has another secret, another cluster name, or is no Starling.
    case handshake
    case reset
    case busy
    case malformed
}
