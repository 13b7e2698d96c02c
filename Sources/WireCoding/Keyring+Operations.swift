/// What an operator may do with a ring, and what it does by itself.
extension Keyring {
    package enum Refusal: String, Error, CaseIterable, Sendable {
        /// Zero or known already: draw another key.
        case idTaken
        /// Four keys that are not gone.
        case full
        case unknownKey
        case keyGone
        case alreadyPrimary
        /// It was retired, or is older than the key that seals: only newer ones can follow it.
        case keyRetired
        /// A member that is alive does not list it: it could not open what is sealed with it.
        case notHeldByAll
        /// The key that seals; another must take its place first.
        case isPrimary
        /// Members that were away for a moment may still seal with it; `--now` does not wait for them.
        case retiredRecently
    }

    /// For so long a retired key opens [ours].
    package static let retiredMilliseconds: UInt64 = 24 * 3_600_000

    /// Adds a key, staged, or primary in a ring that has none. Its stamp is above all that this ring has seen, whatever
    /// the clock says: a key that is older than the primary could never follow it.
    package mutating func install(
        _ key: TrafficKey, stamp: UInt64, maker: ReplicaShortID, wallMilliseconds now: UInt64
    ) throws(Refusal) {
        guard key.id != 0, place(of: key.id) == nil else { throw .idTaken }
        guard openers.count < Self.keysMax else { throw .full }
        let greatest = slots.map(\.entry.stamp).max() ?? 0
        let entry = Entry(
            id: key.id, secret: key.secret, stamp: max(stamp, greatest == .max ? .max : greatest + 1), maker: maker,
            state: primary == nil ? .primary : .staged)
        insert(entry, wallMilliseconds: now)
        settle(wallMilliseconds: now)
    }

    /// Seals with this key from now on.
    package mutating func use(_ id: UInt16, isHeldByAll: Bool, wallMilliseconds now: UInt64) throws(Refusal) {
        switch try standing(of: id) {
        case .gone: throw .keyGone
        case .primary: throw .alreadyPrimary
        case .retired: throw .keyRetired
        case .staged:
            guard isHeldByAll else { throw .notHeldByAll }
            raise(id, to: .primary)
            settle(wallMilliseconds: now)
        }
    }

    /// A key that shall never seal again, also when the one that seals now should go.
    package mutating func retire(_ id: UInt16, wallMilliseconds now: UInt64) throws(Refusal) {
        switch try standing(of: id) {
        case .gone: throw .keyGone
        case .primary: throw .isPrimary
        case .staged, .retired:
            raise(id, to: .retired)
            settle(wallMilliseconds: now)
        }
    }

    /// A key that shall open nothing more. `isImmediate` after a leak: who sealed with it has to join again.
    package mutating func remove(_ id: UInt16, isImmediate: Bool, wallMilliseconds now: UInt64) throws(Refusal) {
        guard let place = place(of: id) else { throw .unknownKey }
        switch slots[place].standing {
        case .gone: throw .keyGone
        case .primary: throw .isPrimary
        case .retired:
            guard isImmediate || Self.isDue(slots[place], wallMilliseconds: now) else { throw .retiredRecently }
        case .staged: break
        }
        raise(id, to: .gone)
        forgetGone()
        settle(wallMilliseconds: now)
    }

    /// Removes what was retired a day ago. True when there was something.
    package mutating func sweep(wallMilliseconds now: UInt64) -> Bool {
        let due = slots.filter { $0.standing == .retired && Self.isDue($0, wallMilliseconds: now) }
        for slot in due { raise(slot.entry.id, to: .gone) }
        forgetGone()
        settle(wallMilliseconds: now)
        return !due.isEmpty
    }

    /// When `sweep` has something to do.
    package var nextSweepMilliseconds: UInt64? {
        slots.filter { $0.standing == .retired }.map { slot in
            let (due, overflow) = slot.sinceMilliseconds.addingReportingOverflow(Self.retiredMilliseconds)
            return overflow ? .max : due
        }.min()
    }

    /// The staged key that follows next, if its time comes.
    package var candidate: Entry? {
        slots.filter { $0.standing == .staged }.map(\.entry).max { Self.isLess($0, $1) }
    }

    private func standing(of id: UInt16) throws(Refusal) -> State {
        guard let place = place(of: id) else { throw .unknownKey }
        return slots[place].standing
    }

    private static func isDue(_ slot: Slot, wallMilliseconds now: UInt64) -> Bool {
        now >= slot.sinceMilliseconds && now - slot.sinceMilliseconds >= retiredMilliseconds
    }
}
