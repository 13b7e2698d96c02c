/// The flock's traffic keys: which of them seals, which still open, which are no more.
///
/// Every replica changes its own copy, and copies meet by `merge`: union, and of one key the later state. A key's state
/// only rises, so a replica that was away cannot bring back what the others have given up. Which key seals is not
/// written down but follows from the copy: of the keys in state primary the one with the greatest rank, stamp and then
/// id. Two operators who rotate at once thus agree as soon as their copies have met, and the older of two primaries
/// counts as retired without anybody having to say so.
import Determinism

package struct Keyring: Sendable {
    package enum State: UInt8, Comparable, CaseIterable, Sendable {
        /// Opens; waits until everybody has it.
        case staged = 0
        /// Seals, if it has the greatest rank of all primaries.
        case primary = 1
        /// Opens what was sealed before.
        case retired = 2
        /// Opens nothing. Its id stays: a replica that was away for a month must not bring back a key that was leaked.
        case gone = 3

        package static func < (left: State, right: State) -> Bool { left.rawValue < right.rawValue }

        package var word: String {
            switch self {
            case .staged: "staged"
            case .primary: "primary"
            case .retired: "retired"
            case .gone: "gone"
            }
        }
    }

    package struct Entry: Hashable, Sendable {
        package let id: UInt16
        /// Nil once it is gone.
        package internal(set) var secret: TrafficSecret?
        /// Hybrid logical stamp of its making.
        package let stamp: UInt64
        package let maker: ReplicaShortID
        package internal(set) var state: State

        /// Made from the secret of the cluster, not drawn.
        var isDerived: Bool { stamp == 0 }
    }

    /// An entry, and what it counts as.
    package struct Slot: Sendable {
        package internal(set) var entry: Entry
        package internal(set) var standing: State
        /// When that was first seen here, in milliseconds of the wall clock. Not said to others.
        package internal(set) var sinceMilliseconds: UInt64
    }

    /// Not gone. Four, because a member's record has room for four ids [ours].
    package static let keysMax = 4
    /// Gone [ours].
    package static let goneMax = 64

    /// Ascending by id.
    package internal(set) var slots: [Slot] = []

    package init() {}

    /// The ring of a replica that has met nobody: the key that all derive from the secret of the cluster.
    package init(first key: TrafficKey) {
        let entry = Entry(
            id: key.id, secret: key.secret, stamp: 0, maker: ReplicaShortID(rawValue: 0), state: .primary)
        slots = [Slot(entry: entry, standing: .primary, sinceMilliseconds: 0)]
    }

    /// A ring of the key that all derive from a second secret of the cluster: it opens, until that secret comes first.
    package init(opening key: TrafficKey) {
        let entry = Entry(
            id: key.id, secret: key.secret, stamp: 0, maker: ReplicaShortID(rawValue: 0), state: .retired)
        slots = [Slot(entry: entry, standing: .retired, sinceMilliseconds: 0)]
    }

    package var entries: [Entry] { slots.map(\.entry) }

    /// The key that seals.
    package var primary: Entry? { slots.first { $0.standing == .primary }?.entry }

    /// Keys that open, the one that seals first, then from the greatest rank down. Without a primary, which only a
    /// removal that met a rotation can bring about, the greatest seals.
    package var trafficKeys: [TrafficKey] {
        openers.compactMap { slot in slot.entry.secret.map { TrafficKey(id: slot.entry.id, secret: $0) } }
    }

    /// The same order, for the member's record.
    package var keyIDs: KeyIDs {
        let ids = openers.map(\.entry.id)
        func id(_ place: Int) -> UInt16 { place < ids.count ? ids[place] : 0 }
        return KeyIDs(id(0), id(1), id(2), id(3))
    }

    /// Equal rings have equal hashes. Gone keys do not count: replicas may have made room among them, and must
    /// not teach them to each other for ever. Secrets do not count either, for the hash is shown.
    package var hash: UInt64 {
        var hash = StableHash64()
        for slot in slots where slot.entry.state != .gone {
            hash.update(UInt64(slot.entry.id) << 8 | UInt64(slot.entry.state.rawValue))
            hash.update(slot.entry.stamp)
            hash.update(UInt64(slot.entry.maker.rawValue))
        }
        return hash.digest()
    }

    /// Takes over what `other` knows better. False when that was nothing.
    ///
    /// A ring in which too many keys meet keeps the one that seals and the greatest others; that is the one case in
    /// which the order of merges shows, until the copies have met again.
    @discardableResult
    package mutating func merge(_ other: Keyring, wallMilliseconds now: UInt64) -> Bool {
        let before = entries
        for theirs in other.slots {
            if let place = place(of: theirs.entry.id) {
                slots[place].entry = Self.later(slots[place].entry, theirs.entry)
            } else {
                insert(theirs.entry, wallMilliseconds: now)
            }
        }
        settle(wallMilliseconds: now)
        while openers.count > Self.keysMax, let least = openers.last { raise(least.entry.id, to: .gone) }
        forgetGone()
        settle(wallMilliseconds: now)
        return entries != before
    }

    /// Makes room among the gone, the least first; but a derived key last: whoever starts with an empty disk has it.
    mutating func forgetGone() {
        let gone = entries.filter { $0.state == .gone }.sorted { (left: Entry, right: Entry) -> Bool in
            if left.isDerived != right.isDerived { return right.isDerived }
            return Self.isLess(left, right)
        }
        for entry in gone.dropLast(Self.goneMax) { slots.removeAll { $0.entry.id == entry.id } }
    }

    /// Everything that is not gone, the sealing key first, then from the greatest rank down.
    var openers: [Slot] {
        slots.filter { $0.entry.state != .gone }.sorted { left, right in
            if (left.standing == .primary) != (right.standing == .primary) { return left.standing == .primary }
            return Self.isLess(right.entry, left.entry)
        }
    }

    func place(of id: UInt16) -> Int? { slots.firstIndex { $0.entry.id == id } }

    mutating func insert(_ entry: Entry, wallMilliseconds now: UInt64) {
        let place = slots.firstIndex { $0.entry.id > entry.id } ?? slots.endIndex
        slots.insert(Slot(entry: entry, standing: entry.state, sinceMilliseconds: now), at: place)
    }

    mutating func raise(_ id: UInt16, to state: State) {
        guard let place = place(of: id) else { return }
        slots[place].entry.state = max(slots[place].entry.state, state)
        if state == .gone { slots[place].entry.secret = nil }
    }

    /// Finds out anew what each key counts as.
    mutating func settle(wallMilliseconds now: UInt64) {
        let primary = slots.map(\.entry).filter { $0.state == .primary }.max { Self.isLess($0, $1) }
        for place in slots.indices {
            let standing = Self.standing(of: slots[place].entry, under: primary)
            guard standing != slots[place].standing else { continue }
            slots[place].standing = standing
            slots[place].sinceMilliseconds = now
        }
    }

    /// A staged key below the primary can never seal: it is retired as well.
    static func standing(of entry: Entry, under primary: Entry?) -> State {
        guard let primary, entry.state < .retired, isLess(entry, primary) else { return entry.state }
        return .retired
    }

    /// The order of ranks.
    static func isLess(_ left: Entry, _ right: Entry) -> Bool { (left.stamp, left.id) < (right.stamp, right.id) }

    /// The greater of two in a total order, so that it does not matter who met whom first. Two makers who drew one id
    /// are told apart by stamp and maker.
    private static func later(_ left: Entry, _ right: Entry) -> Entry {
        if (left.stamp, left.maker) != (right.stamp, right.maker) {
            return (left.stamp, left.maker) < (right.stamp, right.maker) ? right : left
        }
        guard let mine = left.secret else { return left }
        guard let theirs = right.secret else { return right }
        if mine != theirs { return mine.isBelow(theirs) ? right : left }
        return left.state < right.state ? right : left
    }
}

extension TrafficSecret {
    fileprivate func isBelow(_ other: TrafficSecret) -> Bool {
        withBytes { mine in other.withBytes { theirs in mine.lexicographicallyPrecedes(theirs) } }
    }
}
