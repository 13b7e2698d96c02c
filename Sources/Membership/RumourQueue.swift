package import Determinism
package import WireCoding

/// What a rumour is about: a newer one of the same kind and subject takes the older one's place, so a queue holds at most
/// one of each and needs no pruning by time (consul #9927).
package struct RumourKey: Hashable, Comparable, Sendable {
    package let kind: UInt8
    package let subject: UInt64

    package init(kind: UInt8, subject: UInt64) {
        self.kind = kind
        self.subject = subject
    }

    package static func < (left: RumourKey, right: RumourKey) -> Bool {
        (left.kind, left.subject) < (right.kind, right.subject)
    }
}

package struct Rumour: Sendable {
    package let key: RumourKey
    package let lane: UInt8
    package let message: Message
    package let bytes: Int
    /// Raised with each rumour: who holds a number knows whether it is still this one.
    package let serial: UInt64
    package let sendsMax: Int
    /// Kept until here for those who were sent it and have not said that it came.
    package let keptUntil: Instant
    package var sends = 0
    /// The packet that it was last put into.
    fileprivate var lastFill: UInt64 = 0

    /// Who is told first.
    fileprivate var rank: (UInt8, Int, UInt64) { (lane, sends, .max - serial) }
}

/// Rumours with sends left, at most so many and so many bytes (M12). A full queue gives up what is wanted least: of the
/// highest lane what was sent most, the oldest of those.
package struct RumourQueue: Sendable {
    /// In the order of their serials.
    private var rumours: [Rumour] = []
    private var bytes = 0
    private var serial: UInt64 = 0
    private var fills: UInt64 = 0
    private let countMax: Int
    private let bytesMax: Int

    package init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// By lane, as far as the highest that can hold one.
    package var counts: [Int] {
        var counts = [Int](repeating: 0, count: Int(Self.laneMax) + 1)
        for rumour in rumours { counts[Int(min(rumour.lane, Self.laneMax))] += 1 }
        return counts
    }

    /// Lanes are numbered from 0; the last holds what may wait longest.
    static let laneMax: UInt8 = 6

    package var isEmpty: Bool { rumours.isEmpty }
    package var count: Int { rumours.count }
    package var byteCount: Int { bytes }

    package enum Insertion: Hashable, Sendable {
        case queued(serial: UInt64)
        /// It does not fit into a packet: it goes by stream.
        case tooLong
        case full
    }

    /// `dropped` is the lane of a rumour that had to make room.
    package mutating func insert(
        _ message: Message, key: RumourKey, lane: UInt8, sendsMax: Int, keptUntil: Instant, dropped: inout UInt8?
    ) -> Insertion {
        let size = message.encodedCount
        guard size <= Datagram.messageBytesMax else { return .tooLong }
        if let old = rumours.firstIndex(where: { $0.key == key }) { remove(at: old) }
        while rumours.count >= countMax || bytes + size > bytesMax {
            guard let victim = leastWanted, rumours[victim].lane >= lane else { return .full }
            dropped = rumours[victim].lane
            remove(at: victim)
        }
        serial += 1
        rumours.append(
            Rumour(
                key: key, lane: lane, message: message, bytes: size, serial: serial, sendsMax: sendsMax,
                keptUntil: keptUntil))
        bytes += size
        return .queued(serial: serial)
    }

    package mutating func remove(where isOld: (RumourKey) -> Bool) {
        guard rumours.contains(where: { isOld($0.key) }) else { return }
        rumours.removeAll { isOld($0.key) }
        bytes = rumours.reduce(0) { $0 + $1.bytes }
    }

    package mutating func removeAll() {
        rumours.removeAll()
        bytes = 0
    }

    package var newestSerial: UInt64? { rumours.last?.serial }

    /// The rumour with that number, if it is still told.
    package func rumour(serial: UInt64) -> Rumour? { place(of: serial).map { rumours[$0] } }

    /// From here on another packet is filled: a rumour stands in each only once.
    package mutating func beginPacket() { fills += 1 }

    package enum Packing: Hashable, Sendable {
        case packed(lane: UInt8)
        /// Nobody tells it any more.
        case old
        case noRoom
    }

    /// Appends the rumour with that number, for somebody whom this replica owes it: its sends are for the others.
    package mutating func pack(_ serial: UInt64, into packet: inout [UInt8], upTo limit: Int) -> Packing {
        guard let place = place(of: serial) else { return .old }
        if rumours[place].lastFill < fills {
            guard rumours[place].bytes <= limit - packet.count else { return .noRoom }
            rumours[place].message.encode(into: &packet)
            rumours[place].lastFill = fills
        }
        return .packed(lane: rumours[place].lane)
    }

    private func place(of serial: UInt64) -> Int? {
        var low = 0
        var high = rumours.count
        while low < high {
            let middle = (low + high) / 2
            if rumours[middle].serial < serial { low = middle + 1 } else { high = middle }
        }
        return low < rumours.count && rumours[low].serial == serial ? low : nil
    }

    /// True while something is to be passed on.
    package var hasSendsLeft: Bool { rumours.contains { $0.sends < $0.sendsMax } }

    /// Appends the most wanted rumours to a packet, as many as fit: lowest lane first, then the least sent, then the newest.
    package mutating func fill(_ packet: inout [UInt8], upTo limit: Int, lanes: ClosedRange<UInt8>) {
        while let best = mostWanted(fitting: limit - packet.count, lanes: lanes) {
            rumours[best].message.encode(into: &packet)
            rumours[best].sends += 1
            rumours[best].lastFill = fills
        }
    }

    private func mostWanted(fitting room: Int, lanes: ClosedRange<UInt8>) -> Int? {
        var best: Int?
        for place in rumours.indices {
            let rumour = rumours[place]
            guard rumour.sends < rumour.sendsMax, rumour.lastFill < fills, rumour.bytes <= room,
                lanes.contains(rumour.lane)
            else { continue }
            if let best, !(rumour.rank < rumours[best].rank) { continue }
            best = place
        }
        return best
    }

    /// Forgets what was sent often enough and waits for nobody.
    package mutating func prune(at now: Instant) {
        guard rumours.contains(where: { $0.sends >= $0.sendsMax && $0.keptUntil <= now }) else { return }
        rumours.removeAll { $0.sends >= $0.sendsMax && $0.keptUntil <= now }
        bytes = rumours.reduce(0) { $0 + $1.bytes }
    }

    private var leastWanted: Int? {
        rumours.indices.max { rumours[$0].rank < rumours[$1].rank }
    }

    private mutating func remove(at place: Int) {
        bytes -= rumours[place].bytes
        rumours.remove(at: place)
    }
}
