/// What the gossip of this replica has done since its start. One writer, the gossip's loop; whoever asks gets a copy.
package import Membership
import Synchronization
package import WireCoding

package struct GossipCounts: Hashable, Sendable {
    /// Of payload: without the headers of IP, UDP and TCP.
    package var datagramBytesSent = 0
    package var datagramBytesReceived = 0
    package var streamBytesSent = 0
    package var streamBytesReceived = 0
    package var datagramsSent = 0
    package var datagramsReceived = 0
    /// The system had no room for them, or knew no way.
    package var datagramsLost = 0
    package var streamsOpened = 0
    package var streamsAccepted = 0
    /// Beyond the bounds of streams.
    package var streamsRefused = 0
    package var probesFailed = 0
    package var refutations = 0
    package var renewals = 0
    package var rejoins = 0
    package var falseDeaths = 0
    package var rumoursDropped = 0
    package var late = 0
    /// Events that a slow reader of them missed.
    package var eventsMissed = 0
    package var awareness = 0
    private var drops = [Int](repeating: 0, count: DropReason.allCases.count)
    private var syncs = [Int](repeating: 0, count: SyncReason.allCases.count)
    private var suspicions = [Int](repeating: 0, count: SuspicionCause.allCases.count)
    private var changes = [Int](repeating: 0, count: MemberStatus.allCases.count)
    private var streamFailures = [Int](repeating: 0, count: StreamFailure.allCases.count)

    package func dropped(_ reason: DropReason) -> Int { drops[Int(reason.rawValue)] }
    package func synced(_ reason: SyncReason) -> Int { syncs[Int(reason.rawValue)] }
    package func suspected(_ cause: SuspicionCause) -> Int { suspicions[Int(cause.rawValue)] }
    package func changed(to status: MemberStatus) -> Int { changes[Int(status.rawValue)] }
    package func failed(_ failure: StreamFailure) -> Int { streamFailures[Int(failure.rawValue)] }

    mutating func drop(_ reason: DropReason) { drops[Int(reason.rawValue)] += 1 }
    mutating func fail(_ failure: StreamFailure) { streamFailures[Int(failure.rawValue)] += 1 }
    mutating func change(to status: MemberStatus) { changes[Int(status.rawValue)] += 1 }

    mutating func observe(_ fact: MembershipFact) {
        switch fact {
        case .probeFailed: probesFailed += 1
        case .suspected(_, let cause): suspicions[Int(cause.rawValue)] += 1
        case .refuted: refutations += 1
        case .falseDeath: falseDeaths += 1
        case .late: late += 1
        case .synced(_, let reason): syncs[Int(reason.rawValue)] += 1
        case .renewed: renewals += 1
        case .rejoined: rejoins += 1
        case .rumourDropped: rumoursDropped += 1
        case .awareness(let score): awareness = score
        default: break
        }
    }
}

final class GossipCounters: Sendable {
    private let counts = Mutex(GossipCounts())

    var value: GossipCounts { counts.withLock { $0 } }

    func add(_ body: (inout GossipCounts) -> Void) { counts.withLock { body(&$0) } }
}
