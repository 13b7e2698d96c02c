package import Determinism
package import WireCoding

/// All members but this replica itself, sorted by short id, with a digest that costs nothing to keep.
///
/// A place is found by bisection in an array of bare numbers: records are large, and a table of a thousand is looked up
/// for every packet. Places are only good until the next insertion or removal.
package struct MemberTable: Sendable {
    package struct Slot: Hashable, Sendable {
        package var member: Member
        /// The incarnation was learned from news without a record: flags and address are older than it says.
        package var isPartial = false
        package var roundTrip = RoundTrip()
        package var isUDPBlocked = false
        /// Dead, and not asked for before this: another answered where it was.
        package var soughtAfter = Instant.zero
        /// Its probes are answered through helpers alone.
        package var isReachedByOthersOnly = false
        /// Probes in a row that no datagram of its own answered.
        package var detours: UInt8 = 0
        /// Since when its digest differs from this replica's.
        package var differsSince = Instant.never
        package var heardAt = Instant.zero
        package var syncAfter = Instant.zero
        /// Not told before this that it is held gone.
        package var toldAfter = Instant.zero

        init(member: Member) { self.member = member }
    }

    private var shorts: [UInt32] = []
    package private(set) var slots: [Slot] = []
    /// Members alive or suspect.
    package private(set) var presentCount = 0
    /// Members dead, not left: who may be there behind a cut.
    package private(set) var deadCount = 0
    /// Sum of `DigestTerm` over the members alive or suspect.
    package private(set) var digest: UInt64 = 0
    package let bound: Int

    package init(bound: Int) { self.bound = bound }

    package var count: Int { slots.count }

    package func place(of short: ReplicaShortID) -> Int? {
        shorts.position(of: short.rawValue, sortedBy: \.self)
    }

    package subscript(place: Int) -> Slot { slots[place] }

    package func slot(of short: ReplicaShortID) -> Slot? { place(of: short).map { slots[$0] } }

    /// Changes what is beside the record: nothing that the digest or the counts depend on.
    mutating func touch(_ place: Int, _ body: (inout Slot) -> Void) { body(&slots[place]) }

    /// Changes the member at that place.
    mutating func change(_ place: Int, _ body: (inout Slot) -> Void) {
        count(slots[place], by: -1)
        body(&slots[place])
        count(slots[place], by: 1)
    }

    var isFull: Bool { slots.count >= bound }

    /// Whose place a newcomer takes in a full table: only the gone make room (M12).
    var longestGone: Int? {
        var found: Int?
        for place in slots.indices where slots[place].member.status.isGone {
            if let found, slots[found].member.since <= slots[place].member.since { continue }
            found = place
        }
        return found
    }

    mutating func insert(_ member: Member) {
        precondition(!isFull, "M12: a table of members is within its bound")
        let place = shorts.place(of: member.short.rawValue, sortedBy: \.self)
        shorts.insert(member.short.rawValue, at: place)
        slots.insert(Slot(member: member), at: place)
        count(slots[place], by: 1)
    }

    mutating func remove(at place: Int) {
        count(slots[place], by: -1)
        shorts.remove(at: place)
        slots.remove(at: place)
    }

    private mutating func count(_ slot: Slot, by sign: Int) {
        switch slot.member.status {
        case .alive, .suspect:
            presentCount += sign
            guard !slot.isPartial else { break }
            let term = DigestTerm.of(slot.member.record)
            digest = sign > 0 ? digest &+ term : digest &- term
        case .dead: deadCount += sign
        case .left: break
        }
    }
}

/// What a member adds to a digest of members. Suspect counts like alive, so a passing suspicion causes no sync; the gone
/// do not count, so replicas that forget them at different moments do not sync for ever.
enum DigestTerm {
    static func of(_ record: MemberRecord) -> UInt64 {
        var hash = StableHash64()
        hash.update(record.id.high)
        hash.update(record.id.low)
        hash.update(record.session.rawValue)
        hash.update(UInt64(record.incarnation.rawValue))
        return hash.digest()
    }
}
