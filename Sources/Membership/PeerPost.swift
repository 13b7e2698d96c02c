import Determinism
import WireCoding

/// What one peer is owed: news of this replica, until it says that it came, and receipts for its packets.
struct PeerPost: Sendable {
    struct Awaited: Sendable {
        let counter: UInt64
        let serials: [UInt64]
        var tries: Int
        var again: Instant
    }

    /// Numbers of rumours that wait for company, at most; the oldest is given up, the digest heals.
    static let waitingMax = 256
    /// When what was not received is sent again, from its last sending.
    static let again: [Nanoseconds] = [.milliseconds(50), .milliseconds(150), .milliseconds(400)]
    static let receiptWithin = Nanoseconds.milliseconds(10)

    let peer: ReplicaShortID
    private(set) var waiting: [UInt64] = []
    private(set) var leavesAt = Instant.never
    private(set) var awaited: [Awaited] = []
    /// Counters of its packets that it wants to know of.
    private(set) var owed: [UInt64] = []
    private(set) var oweUntil = Instant.never

    init(peer: ReplicaShortID) { self.peer = peer }

    var isEmpty: Bool { waiting.isEmpty && awaited.isEmpty && owed.isEmpty }

    /// News of this replica is not received yet.
    var isWaitedFor: Bool { !waiting.isEmpty || !awaited.isEmpty }

    var deadline: Instant {
        var deadline = min(leavesAt, oweUntil)
        for packet in awaited { deadline = min(deadline, packet.again) }
        return deadline
    }

    mutating func add(_ serial: UInt64, leavingAt time: Instant) {
        if waiting.count >= Self.waitingMax { waiting.removeFirst() }
        waiting.append(serial)
        leavesAt = min(leavesAt, time)
    }

    mutating func owe(_ counter: UInt64, at now: Instant) {
        guard !owed.contains(counter) else { return }
        if owed.count >= Message.receiptsMax { owed.removeFirst() }
        owed.append(counter)
        oweUntil = min(oweUntil, now + Self.receiptWithin)
    }

    /// Gives the receipts out, for a packet that is about to leave.
    mutating func takeOwed() -> [UInt64] {
        defer { owed.removeAll(keepingCapacity: true) }
        oweUntil = .never
        return owed
    }

    /// Gives out what waits; `.never` until more comes.
    mutating func takeWaiting() -> [UInt64] {
        defer { waiting.removeAll(keepingCapacity: true) }
        leavesAt = .never
        return waiting
    }

    mutating func putBack(_ serials: [UInt64], until time: Instant) {
        for serial in serials where waiting.count < Self.waitingMax { waiting.append(serial) }
        leavesAt = min(leavesAt, time)
    }

    mutating func expectReceipt(of serials: [UInt64], counter: UInt64, tries: Int, at now: Instant, bound: Int) {
        guard tries < Self.again.count, !serials.isEmpty else { return }
        if awaited.count >= bound { awaited.removeFirst() }
        awaited.append(Awaited(counter: counter, serials: serials, tries: tries, again: now + Self.again[tries]))
    }

    /// The peer got that packet.
    mutating func received(_ counter: UInt64) { awaited.removeAll { $0.counter == counter } }

    /// A packet whose receipt did not come in time.
    mutating func takeOverdue(at now: Instant) -> Awaited? {
        guard let place = awaited.firstIndex(where: { $0.again <= now }) else { return nil }
        return awaited.remove(at: place)
    }
}
