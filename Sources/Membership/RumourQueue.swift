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

/// Rumours with sends left, at most so many and so many bytes (M12). A full queue gives up what is wanted least: of the
/// highest lane what was sent most, the oldest of those.
///
/// What is asked about all of them lies apart from the messages: while a thousand replicas join, a packet is filled thirty
/// times a second out of a thousand rumours.
package struct RumourQueue: Sendable {
    private struct Entry: Sendable {
        let key: RumourKey
        let lane: UInt8
        let bytes: Int
        /// Raised with each rumour: who holds a number knows whether it is still this one.
        let serial: UInt64
        let sendsMax: Int
        /// Kept until here for those who were sent it and have not said that it came.
        let keptUntil: Instant
        var sends = 0
        /// The packet that it was last put into.
        var lastFill: UInt64 = 0

        var hasSendsLeft: Bool { sends < sendsMax }

        /// Smallest first: lane, then sends, then the newest.
        var rank: UInt64 {
            UInt64(lane) << 56 | UInt64(min(sends, 0xffff)) << 40 | (0xff_ffff_ffff - serial & 0xff_ffff_ffff)
        }
        /// Who is told first; the largest of all is told no more.
        var wish: UInt64 { hasSendsLeft ? rank : .max }
    }

    /// Looked at for one packet, at most, and no packet holds more: of the shortest messages, goodbyes, fewer than 60 fit.
    private static let choiceMax = 64

    /// In the order of their serials.
    private var entries: [Entry] = []
    private var messages: [Message] = []
    /// Of the entries, beside each other: for each packet all of them are looked through.
    private var wishes: [UInt64] = []
    private var serials: [RumourKey: UInt64] = [:]
    private var bytes = 0
    private var serial: UInt64 = 0
    private var fills: UInt64 = 0
    /// Nothing is to be forgotten before this.
    private var prunesAt = Instant.never
    private var choice: [(rank: UInt64, place: Int)] = []
    private let countMax: Int
    private let bytesMax: Int

    package init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// By lane, as far as the highest that can hold one.
    package var counts: [Int] {
        var counts = [Int](repeating: 0, count: Int(Self.laneMax) + 1)
        for entry in entries { counts[Int(min(entry.lane, Self.laneMax))] += 1 }
        return counts
    }

    /// Lanes are numbered from 0; the last holds what may wait longest.
    static let laneMax: UInt8 = 6

    package var isEmpty: Bool { entries.isEmpty }
    package var count: Int { entries.count }
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
        if let old = serials[key].flatMap({ place(of: $0) }) { remove(at: old) }
        while entries.count >= countMax || bytes + size > bytesMax {
            guard let victim = leastWanted, entries[victim].lane >= lane else { return .full }
            dropped = entries[victim].lane
            remove(at: victim)
        }
        serial += 1
        entries.append(
            Entry(key: key, lane: lane, bytes: size, serial: serial, sendsMax: sendsMax, keptUntil: keptUntil))
        messages.append(message)
        wishes.append(entries[entries.count - 1].wish)
        serials[key] = serial
        bytes += size
        if sendsMax <= 0 { prunesAt = min(prunesAt, keptUntil) }
        return .queued(serial: serial)
    }

    package mutating func remove(where isOld: (RumourKey) -> Bool) {
        for place in entries.indices.reversed() where isOld(entries[place].key) { remove(at: place) }
    }

    package mutating func removeAll() {
        entries.removeAll()
        messages.removeAll()
        wishes.removeAll()
        serials.removeAll()
        bytes = 0
        prunesAt = .never
    }

    package var newestSerial: UInt64? { entries.last?.serial }

    /// Of the rumour with that number, if it is still told.
    package func lane(of serial: UInt64) -> UInt8? { place(of: serial).map { entries[$0].lane } }

    /// Somebody told the same: that counts as a send, since one more has it (Demers and others, 1987: feedback and counter).
    package mutating func countHeard(_ key: RumourKey) {
        guard !entries.isEmpty, let place = serials[key].flatMap({ place(of: $0) }), entries[place].hasSendsLeft else {
            return
        }
        countSend(of: place)
    }

    private mutating func countSend(of place: Int) {
        entries[place].sends += 1
        wishes[place] = entries[place].wish
        if !entries[place].hasSendsLeft { prunesAt = min(prunesAt, entries[place].keptUntil) }
    }

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
        if entries[place].lastFill < fills {
            guard entries[place].bytes <= limit - packet.count else { return .noRoom }
            messages[place].encode(into: &packet)
            entries[place].lastFill = fills
        }
        return .packed(lane: entries[place].lane)
    }

    private func place(of serial: UInt64) -> Int? { entries.position(of: serial, sortedBy: \.serial) }

    /// True while something is to be passed on.
    package var hasSendsLeft: Bool { entries.contains { $0.hasSendsLeft } }

    /// Appends the most wanted rumours to a packet, as many as fit: lowest lane first, then the least sent, then the newest.
    package mutating func fill(_ packet: inout [UInt8], upTo limit: Int, lanes: ClosedRange<UInt8>) {
        guard !entries.isEmpty, packet.count < limit else { return }
        choose(fitting: limit - packet.count, lanes: lanes)
        for (_, place) in choice where entries[place].bytes <= limit - packet.count {
            messages[place].encode(into: &packet)
            entries[place].lastFill = fills
            countSend(of: place)
        }
    }

    /// The most wanted, in their order. From the newest down, most find their place at the end at once.
    private mutating func choose(fitting room: Int, lanes: ClosedRange<UInt8>) {
        choice.removeAll(keepingCapacity: true)
        let least = UInt64(lanes.lowerBound) << 56
        var bound = UInt64(lanes.upperBound) << 56 | 0xff_ffff_ffff_ffff
        for place in wishes.indices.reversed() {
            let rank = wishes[place]
            guard rank <= bound, rank >= least, entries[place].lastFill < fills, entries[place].bytes <= room else {
                continue
            }
            if choice.count == Self.choiceMax { choice.removeLast() }
            var position = choice.count
            while position > 0, rank < choice[position - 1].rank { position -= 1 }
            choice.insert((rank, place), at: position)
            if choice.count == Self.choiceMax { bound = choice[Self.choiceMax - 1].rank - 1 }
        }
    }

    /// Forgets what was sent often enough and waits for nobody.
    package mutating func prune(at now: Instant) {
        guard now >= prunesAt else { return }
        prunesAt = .never
        for place in entries.indices.reversed() where !entries[place].hasSendsLeft {
            if entries[place].keptUntil <= now {
                remove(at: place)
            } else {
                prunesAt = min(prunesAt, entries[place].keptUntil)
            }
        }
    }

    private var leastWanted: Int? {
        entries.indices.max { entries[$0].rank < entries[$1].rank }
    }

    private mutating func remove(at place: Int) {
        bytes -= entries[place].bytes
        serials[entries[place].key] = nil
        entries.remove(at: place)
        messages.remove(at: place)
        wishes.remove(at: place)
    }
}
