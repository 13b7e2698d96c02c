import Determinism
import WireCoding

/// One question «are you there?», from its first ping to the verdict at the end of the period.
struct Probe: Sendable {
    let number: UInt32
    let target: ReplicaShortID
    let session: SessionID
    let incarnation: Incarnation
    let began: Instant
    let timeout: Nanoseconds
    let endsAt: Instant
    var sent = 0
    /// When attempt 0, 1, 2 left.
    var sentAt: (Instant, Instant, Instant) = (.never, .never, .never)
    /// Bits of the attempts that were answered directly.
    var answered: UInt8 = 0
    var nextPing = Instant.never
    var helpersAsked = 0
    var nacks = 0
    var stream: StreamID?
    var hasTimedOut = false
    var path: ProbePath?
    /// Another answered at its address.
    var isElsewhere = false

    var timesOutAt: Instant { began + timeout }

    /// When this probe wants to act next.
    var deadline: Instant {
        if path != nil || hasTimedOut { return endsAt }
        return min(nextPing, timesOutAt)
    }

    func sentAt(attempt: UInt8) -> Instant {
        switch attempt {
        case 0: sentAt.0
        case 1: sentAt.1
        default: sentAt.2
        }
    }

    mutating func noteSent(at now: Instant) {
        switch sent {
        case 0: sentAt.0 = now
        case 1: sentAt.1 = now
        default: sentAt.2 = now
        }
        sent += 1
    }
}

/// A probe on another's behalf.
struct Help: Sendable {
    let asker: ReplicaShortID
    let askersProbe: UInt32
    let number: UInt32
    let target: ReplicaShortID
    let began: Instant
    let nackAt: Instant
    var sent = 0
    var nextPing: Instant
    /// Helps under way at a time.
    static let countMax = 64

    var deadline: Instant { min(nextPing, nackAt) }
}

/// A connection to whom others were refused by: is nobody there, or nobody but for them?
struct Dial: Sendable {
    let subject: ReplicaShortID
    let session: SessionID
    let stream: StreamID
    /// Dials under way at a time.
    static let countMax = 16
}
