package import Determinism
package import WireCoding

/// Sessions that an operator has called gone: a set that only grows, until its entries are old.
///
/// A set of its own, since folding "removed" into the order of records is not associative once a second session of the
/// same replica exists.
package struct RemovedSessions: Sendable {
    package struct Entry: Hashable, Sendable {
        package let tombstone: UInt64
        package let id: ReplicaID
        package let session: SessionID
        package let by: ReplicaShortID
        package let isPruned: Bool
        /// When it was ordered, on this machine's clock.
        package let since: Instant
    }

    /// Sorted by session.
    package private(set) var entries: [Entry] = []
    private let bound: Int
    private let retention: Nanoseconds

    package init(bound: Int, retention: Nanoseconds) {
        self.bound = bound
        self.retention = retention
    }

    package func entry(for session: SessionID) -> Entry? {
        entries.position(of: session, sortedBy: \.session).map { entries[$0] }
    }

    /// True when it was not known. The oldest leaves a full set.
    package mutating func insert(_ news: RemovedNews, at now: Instant) -> Bool {
        let since = now + .nanoseconds(-1_000_000_000 * Int64(news.ageSeconds))
        guard now.span(since: since) < retention else { return false }
        var place = entries.place(of: news.session, sortedBy: \.session)
        if place < entries.count, entries[place].session == news.session { return false }
        if entries.count >= bound {
            guard let oldest = entries.indices.min(by: { entries[$0].since < entries[$1].since }) else { return false }
            entries.remove(at: oldest)
            if oldest < place { place -= 1 }
        }
        entries.insert(
            Entry(
                tombstone: news.tombstone, id: news.id, session: news.session, by: news.by, isPruned: news.isPruned,
                since: since), at: place)
        return true
    }

    package mutating func purge(at now: Instant) {
        entries.removeAll { now.span(since: $0.since) >= retention }
    }

    package func news(at now: Instant) -> [RemovedNews] {
        entries.map { entry in
            RemovedNews(
                tombstone: entry.tombstone, id: entry.id, session: entry.session, by: entry.by,
                ageSeconds: UInt32(clamping: now.span(since: entry.since).wholeSeconds), isPruned: entry.isPruned)
        }
    }
}
