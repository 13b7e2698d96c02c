/// Temporary blocks of addresses, the same on all replicas: for each range the greatest (stamp, origin) holds, so an unblock
/// on any replica beats every older block, and order, repetition and grouping of news do not matter.
///
/// Time is relative: a block travels with its duration and its age, and no wall clock decides when it ends (M21). What is
/// held is in memory only, on purpose: a flock that restarts forgets it, and permanent blocks belong in the configuration.
package import Determinism
package import WireCoding

package struct AddressBlocks: Sendable {
    package struct Bounds: Hashable, Sendable {
        package var entries = 4_096
        /// One replica gone mad must not push out what the others blocked [ours].
        package var entriesPerOrigin = 1_024

        package init() {}
    }

    package struct Entry: Hashable, Sendable {
        package let prefix: AddressPrefix
        /// Lifted; it is remembered for as long as an older block may still be told.
        package let isCleared: Bool
        package let reason: UInt16
        package let stamp: UInt64
        package let origin: ReplicaShortID
        package let durationSeconds: UInt32
        package let endsAt: Instant

        /// Which of two words on one range holds. The rest only decides between words that one replica should never give.
        fileprivate var rank: (UInt64, UInt32, UInt8, UInt16, UInt32) {
            (stamp, origin.rawValue, isCleared ? 1 : 0, reason, durationSeconds)
        }

        /// Who leaves first when there is no room. By the stamp's clock, so that all replicas drop the same one.
        fileprivate var order: (UInt64, UInt64, UInt64) {
            (HybridClock.milliseconds(of: stamp) + UInt64(durationSeconds) * 1_000, prefix.high, prefix.low)
        }

        fileprivate var hash: UInt64 {
            var hash = StableHash64(seed: UInt64(prefix.length) << 1 | (isCleared ? 1 : 0))
            hash.update(prefix.high)
            hash.update(prefix.low)
            hash.update(stamp)
            hash.update(UInt64(origin.rawValue))
            return hash.digest()
        }
    }

    package enum Outcome: Hashable, Sendable {
        case taken
        /// This or something greater is held already.
        case known
        case expired
        /// Not a range that is blocked as one, or a stamp that no clock gives.
        case malformed
        /// Taken, and at once the first to leave.
        case full
    }

    /// A block lasts a day at most, and whoever lifts one is remembered for that day.
    package static let durationSecondsMax: UInt32 = 86_400

    package let bounds: Bounds
    /// Sorted by address.
    package private(set) var entries: [Entry] = []
    /// When the next one ends; `never` when there is none.
    package private(set) var nextDeadline = Instant.never
    /// Blocks that ended early because there was no room.
    package private(set) var evictions = 0
    private var sum: UInt64 = 0
    private var countOfOrigin: [ReplicaShortID: Int] = [:]

    package init(bounds: Bounds = Bounds()) { self.bounds = bounds }

    /// Of everything held; the low half rides on pings.
    package var hash: UInt64 { sum }

    // MARK: Acts and news

    /// Blocks or lifts here. Nil: the range is not one that can be blocked.
    package mutating func act(
        _ wish: AddressBlockNews, by me: ReplicaShortID, clock: inout HybridClock, wallMilliseconds: UInt64,
        at now: Instant
    ) -> AddressBlockNews? {
        guard let prefix = AddressPrefix(high: wish.high, low: wish.low, length: wish.prefixLength) else { return nil }
        var news = wish
        // Whoever acts has seen what is held: it is beaten whatever clocks say.
        let seen = position(of: prefix).map { entries[$0].stamp } ?? 0
        news.stamp = clock.stamp(above: seen, wallMilliseconds: wallMilliseconds)
        news.origin = me
        news.ageSeconds = 0
        news.durationSeconds =
            wish.isCleared ? Self.durationSecondsMax : min(wish.durationSeconds, Self.durationSecondsMax)
        _ = merge(news, at: now)
        return news
    }

    package mutating func merge(_ news: AddressBlockNews, at now: Instant) -> Outcome {
        guard let prefix = AddressPrefix(high: news.high, low: news.low, length: news.prefixLength),
            news.stamp <= HybridClock.stampMax
        else { return .malformed }
        let duration = min(news.durationSeconds, Self.durationSecondsMax)
        guard news.ageSeconds < duration else { return .expired }
        let entry = Entry(
            prefix: prefix, isCleared: news.isCleared, reason: news.reason, stamp: news.stamp, origin: news.origin,
            durationSeconds: duration, endsAt: now + .seconds(Int64(duration - news.ageSeconds)))
        if let held = position(of: prefix) {
            // An equal one keeps its end: ages are whole seconds, and each repetition would shave some off.
            guard entries[held].rank < entry.rank else { return .known }
            note(entries[held], isLeaving: true)
            entries[held] = entry
        } else {
            entries.insert(entry, at: entries.place(of: prefix, sortedBy: \.prefix))
        }
        note(entry, isLeaving: false)
        nextDeadline = min(nextDeadline, entry.endsAt)
        return makeRoom(after: entry) == prefix ? .full : .taken
    }

    /// Forgets what has ended. True: there was something.
    package mutating func expire(at now: Instant) -> Bool {
        guard now >= nextDeadline else { return false }
        var kept = 0
        nextDeadline = .never
        for position in entries.indices {
            let entry = entries[position]
            if entry.endsAt <= now {
                note(entry, isLeaving: true)
            } else {
                entries[kept] = entry
                kept += 1
                nextDeadline = min(nextDeadline, entry.endsAt)
            }
        }
        let over = entries.count - kept
        entries.removeLast(over)
        return over > 0
    }

    // MARK: Looking

    /// For a sync: everything, as old as it is now.
    package func news(at now: Instant) -> [AddressBlockNews] {
        entries.map { entry in
            let left = entry.endsAt.span(since: now)
            // To the nearest second, so that ages told on from replica to replica do not drift.
            let leftSeconds = UInt32(clamping: (left + .milliseconds(500)).wholeSeconds)
            return AddressBlockNews(
                prefixLength: entry.prefix.length, isCleared: entry.isCleared, reason: entry.reason,
                high: entry.prefix.high, low: entry.prefix.low, stamp: entry.stamp, origin: entry.origin,
                durationSeconds: entry.durationSeconds,
                ageSeconds: entry.durationSeconds - min(entry.durationSeconds, leftSeconds))
        }
    }

    /// For the lane.
    package var blocked: BlockedAddresses {
        var endings: [AddressPrefix: Instant] = [:]
        endings.reserveCapacity(entries.count)
        for entry in entries where !entry.isCleared { endings[entry.prefix] = entry.endsAt }
        return BlockedAddresses(endings)
    }

    // MARK: Places

    private func position(of prefix: AddressPrefix) -> Int? { entries.position(of: prefix, sortedBy: \.prefix) }

    private mutating func note(_ entry: Entry, isLeaving: Bool) {
        sum = isLeaving ? sum &- entry.hash : sum &+ entry.hash
        let count = countOfOrigin[entry.origin, default: 0] + (isLeaving ? -1 : 1)
        countOfOrigin[entry.origin] = count > 0 ? count : nil
    }

    /// The one that had to leave, if any.
    private mutating func makeRoom(after entry: Entry) -> AddressPrefix? {
        let isOverOwnShare = countOfOrigin[entry.origin, default: 0] > bounds.entriesPerOrigin
        guard isOverOwnShare || entries.count > bounds.entries else { return nil }
        var first: Int?
        for position in entries.indices where !isOverOwnShare || entries[position].origin == entry.origin {
            if first.map({ entries[position].order < entries[$0].order }) ?? true { first = position }
        }
        guard let first else { return nil }
        let leaving = entries.remove(at: first)
        note(leaving, isLeaving: true)
        evictions += 1
        return leaving.prefix
    }
}
