import Determinism
import WireCoding

/// One seed that is asked to be let in.
struct Knock: Sendable {
    let stream: StreamID
    let address: PeerAddress
    var failure: StreamFailure?
}

/// Which addresses are knocked at, and when again.
struct Knocking: Sendable {
    /// Knocks under way at a time, and the time between two.
    static let atOnce = 3
    static let apart = Nanoseconds.milliseconds(100)
    static let connectWithin = Nanoseconds.seconds(1)
    static let addressesMax = 64
    static let backoffMin = Nanoseconds.milliseconds(200)
    static let backoffMax = Nanoseconds.seconds(5)
    /// Alone: each second for a minute, then every three: two flocks that meet are one within five (M8).
    static let aloneEvery = Nanoseconds.seconds(1)
    static let aloneFor = Nanoseconds.seconds(60)
    static let laterEvery = Nanoseconds.seconds(3)
    /// Seeds that all are members are looked up again so often: a name may come to mean somebody else.
    static let settledEvery = Nanoseconds.seconds(60)

    /// Members of the last run: all seeds may be down.
    var known: [PeerAddress] = []
    /// By an operator's word.
    var ordered: [PeerAddress] = []
    /// Members who speak with keys that are not known here. Asked once each, in the next round.
    var estranged: [PeerAddress] = []
    static let estrangedMax = 4
    /// What turned out to be this replica itself.
    var own: [PeerAddress] = []
    var queue: [PeerAddress] = []
    var nextKnock = Instant.never
    /// When the seeds are looked up for another round.
    var nextRound = Instant.never
    var aloneAt = Instant.never
    var aloneSince = Instant.never
    /// Nobody was left when this was looked at last.
    var isDeserted = false
    var isResolving = false
    var rounds = 0
    /// Rounds in which nobody was there.
    var refusedRounds = 0
    var wasOnlyRefused = true
    var foundNewAddresses = false

    var deadline: Instant { min(nextKnock, nextRound, aloneAt) }
}

/// A stream that another replica has opened.
struct AcceptedStream: Sendable {
    enum Use: Hashable, Sendable {
        case unknown
        case probe
        case join
        case sync
    }
    let id: StreamID
    let purpose: StreamPurpose
    let from: PeerAddress
    var use = Use.unknown
}

/// A joiner whose identity is held alive at another address: is anybody there?
struct TwinCheck: Sendable {
    let stream: StreamID
    let joiner: MemberRecord
    /// Of the one who is asked.
    let session: SessionID
    let until: Instant
    var hasAnswered = false

    static let patience = Nanoseconds.milliseconds(200)
    static let countMax = 16
}

/// A comparison of all members with a peer that this replica began.
struct Sync: Sendable {
    let stream: StreamID
    let peer: ReplicaShortID
    let reason: SyncReason

    /// Syncs of its own at a time, and with one peer.
    static let atOnce = 2
    static let apart = Nanoseconds.seconds(2)
    static let within = Nanoseconds.seconds(1)
}

/// Peers without a place in the table that were synced with a moment ago.
struct Contacts: Sendable {
    private var recent: [(peer: ReplicaShortID, until: Instant)] = []
    static let countMax = 64

    /// True once in a while for each peer.
    mutating func mayContact(_ peer: ReplicaShortID, at now: Instant) -> Bool {
        recent.removeAll { $0.until <= now }
        guard recent.count < Self.countMax, !recent.contains(where: { $0.peer == peer }) else { return false }
        recent.append((peer, now + Sync.apart))
        return true
    }
}
