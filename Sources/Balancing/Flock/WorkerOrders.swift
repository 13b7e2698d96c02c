/// What operators ordered about workers, on whatever replica: for each worker the greatest (stamp, origin) holds.
///
/// A drain lasts until somebody resumes the worker, however long that takes. Only the word that ended it is forgotten
/// some day: when no replica can still know of the drain alone.
package import Determinism
package import WireCoding

package struct WorkerOrders: Sendable {
    /// Different workers that operators ever spoke of; four times what one configuration may have.
    package static let entriesMax = 1_024
    /// A `resume` is remembered this long [ours]: whoever was cut off for longer brings the old order back.
    package static let retention = Nanoseconds.seconds(7 * 86_400)

    package struct Entry: Hashable, Sendable {
        package let worker: WorkerShortID
        package let order: WorkerOrderNews.Order
        package let stamp: UInt64
        package let origin: ReplicaShortID
        /// Of the order, by this replica's clock; before its start for older ones.
        package let givenAt: Instant

        /// The last only decides between words that one replica should never give.
        fileprivate var rank: (UInt64, UInt32, UInt8) { (stamp, origin.rawValue, order.rawValue) }

        fileprivate var hash: UInt64 {
            var hash = StableHash64(seed: UInt64(order.rawValue))
            hash.update(UInt64(worker.rawValue) << 32 | UInt64(origin.rawValue))
            hash.update(stamp)
            return hash.digest()
        }
    }

    package enum Outcome: Hashable, Sendable {
        case taken
        case known
        /// A `resume` so old that nobody needs it.
        case expired
        case malformed
        /// Taken, and at once the oldest of too many.
        case full
    }

    package let bound: Int
    /// Sorted by worker.
    package private(set) var entries: [Entry] = []
    /// Orders forgotten because there was no room.
    package private(set) var evictions = 0
    package private(set) var hash: UInt64 = 0
    /// When the next `resume` is forgotten.
    package private(set) var nextDeadline = Instant.never

    package init(bound: Int = entriesMax) { self.bound = bound }

    package func order(for worker: WorkerShortID) -> WorkerOrderNews.Order {
        position(of: worker).map { entries[$0].order } ?? .resume
    }

    /// An order given here: it beats what is held, whatever clocks say.
    package mutating func give(
        _ order: WorkerOrderNews.Order, to worker: WorkerShortID, by me: ReplicaShortID, clock: inout HybridClock,
        wallMilliseconds: UInt64, at now: Instant
    ) -> WorkerOrderNews {
        let seen = position(of: worker).map { entries[$0].stamp } ?? 0
        let news = WorkerOrderNews(
            worker: worker, order: order, stamp: clock.stamp(above: seen, wallMilliseconds: wallMilliseconds),
            origin: me, ageSeconds: 0)
        _ = merge(news, at: now)
        return news
    }

    package mutating func merge(_ news: WorkerOrderNews, at now: Instant) -> Outcome {
        guard news.stamp <= HybridClock.stampMax else { return .malformed }
        let age = Nanoseconds.seconds(Int64(news.ageSeconds))
        guard news.order != .resume || age < Self.retention else { return .expired }
        let entry = Entry(
            worker: news.worker, order: news.order, stamp: news.stamp, origin: news.origin,
            givenAt: Instant(nanoseconds: now.nanoseconds - age.rawValue))
        if let held = position(of: news.worker) {
            guard entries[held].rank < entry.rank else { return .known }
            hash = hash &- entries[held].hash
            entries[held] = entry
        } else {
            entries.insert(entry, at: entries.place(of: news.worker, sortedBy: \.worker))
        }
        hash = hash &+ entry.hash
        let leaver = entries.count > bound ? dropOldest() : nil
        schedule()
        return leaver == news.worker ? .full : .taken
    }

    /// Forgets each `resume` that nobody needs any more. True: there was one.
    package mutating func expire(at now: Instant) -> Bool {
        guard now >= nextDeadline else { return false }
        for position in entries.indices.reversed() {
            let entry = entries[position]
            guard entry.order == .resume, now >= entry.givenAt + Self.retention else { continue }
            hash = hash &- entry.hash
            entries.remove(at: position)
        }
        schedule()
        return true
    }

    /// For a sync: everything, as old as it is now.
    package func news(at now: Instant) -> [WorkerOrderNews] {
        entries.map { entry in
            WorkerOrderNews(
                worker: entry.worker, order: entry.order, stamp: entry.stamp, origin: entry.origin,
                ageSeconds: UInt32(clamping: (now.span(since: entry.givenAt) + .milliseconds(500)).wholeSeconds))
        }
    }

    private func position(of worker: WorkerShortID) -> Int? { entries.position(of: worker, sortedBy: \.worker) }

    /// By stamps, so that all replicas drop the same one.
    private mutating func dropOldest() -> WorkerShortID? {
        guard let oldest = entries.indices.min(by: { entries[$0].rank < entries[$1].rank }) else { return nil }
        let entry = entries.remove(at: oldest)
        hash = hash &- entry.hash
        evictions += 1
        return entry.worker
    }

    private mutating func schedule() {
        nextDeadline = .never
        for entry in entries where entry.order == .resume {
            nextDeadline = min(nextDeadline, entry.givenAt + Self.retention)
        }
    }
}
