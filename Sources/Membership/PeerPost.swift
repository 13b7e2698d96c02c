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

    /// Numbers of rumours that wait for company, at most; the oldest of the highest lane is given up, the digest heals.
    static let waitingMax = 256
    /// When what was not received is sent again, from its last sending.
    static let again: [Nanoseconds] = [.milliseconds(50), .milliseconds(150), .milliseconds(400)]
    static let receiptWithin = Nanoseconds.milliseconds(10)

    let peer: ReplicaShortID
    /// Lowest lanes first, then those that came first.
    private(set) var waiting: [(lane: UInt8, serial: UInt64)] = []
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

    mutating func add(_ serial: UInt64, lane: UInt8, leavingAt time: Instant) {
        if waiting.count >= Self.waitingMax {
            let highest = waiting[waiting.count - 1].lane
            guard lane <= highest else { return }
            waiting.remove(at: waiting.firstIndex { $0.lane == highest } ?? 0)
        }
        let place = waiting.lastIndex { $0.lane <= lane }.map { $0 + 1 } ?? 0
        waiting.insert((lane, serial), at: place)
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

    /// The news that goes next, if it is of that lane or a lower one.
    func nextWaiting(upToLane lane: UInt8) -> UInt64? {
        guard let first = waiting.first, first.lane <= lane else { return nil }
        return first.serial
    }

    mutating func dropNextWaiting() {
        waiting.removeFirst()
        if waiting.isEmpty { leavesAt = .never }
    }

    mutating func postpone(until time: Instant) { leavesAt = waiting.isEmpty ? .never : time }

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
