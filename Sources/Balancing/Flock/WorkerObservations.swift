/// What every replica last said of every worker: one word for each pair, and the newer one of a pair holds.
///
/// There is no refresh: a word stays until its observer says another one or is gone, and a hash of the table shows whether
/// two replicas have the same. A worker's sixteen words are those of the observers with the smallest draws for it, its
/// monitors first, so that what does not fit is the same on every replica. Whose word counts is `WorkerVerdict`'s matter.
package import Determinism
import Placement
package import WireCoding

package struct WorkerObservations: Sendable {
    /// Words on one worker [ours]: three monitors, and some whose exchanges failed.
    package static let observersMax = 16

    package struct Word: Hashable, Sendable {
        package fileprivate(set) var news: WorkerHealthNews
        /// By this replica, in this version.
        package fileprivate(set) var heardAt: Instant
        fileprivate let draw: UInt64

        /// Of two words of one observer the greater one holds. The epoch alone tells them apart, unless an observer breaks
        /// its own rule.
        fileprivate var rank: (UInt32, UInt8, UInt8) { (news.epoch, news.state.rawValue, news.reason) }
        fileprivate var place: (UInt64, ReplicaShortID) { (draw, news.observer) }

        fileprivate var hash: UInt64 {
            var hash = StableHash64(seed: UInt64(news.epoch))
            hash.update(UInt64(news.worker.rawValue) << 32 | UInt64(news.observer.rawValue))
            hash.update(UInt64(news.state.rawValue) << 8 | UInt64(news.reason))
            return hash.digest()
        }
    }

    /// What this replica saw itself.
    package struct Own: Hashable, Sendable {
        package fileprivate(set) var news: WorkerHealthNews
        /// When it last saw it down, by a probe or an exchange.
        package fileprivate(set) var lastFailure: Instant?
        /// When it last saw it well.
        package fileprivate(set) var lastSuccess: Instant?
    }

    package struct Row: Sendable {
        package let worker: WorkerShortID
        package let ringKey: UInt64
        /// By draw. The own word is among them if it fits.
        package fileprivate(set) var words: [Word] = []
        package fileprivate(set) var own: Own?

        package func word(of observer: ReplicaShortID) -> Word? { words.first { $0.news.observer == observer } }
    }

    package private(set) var me: ReplicaShortID
    /// Sorted by worker: those that are configured here.
    package private(set) var rows: [Row] = []
    package private(set) var hash: UInt64 = 0
    private let firstEpoch: UInt32

    /// `firstEpoch` is greater than any that an earlier process of this replica has used.
    package init(me: ReplicaShortID, firstEpoch: UInt32) {
        self.me = me
        self.firstEpoch = firstEpoch
    }

    package func position(of worker: WorkerShortID) -> Int? { rows.position(of: worker, sortedBy: \.worker) }

    /// What is known of workers that stay is kept.
    package mutating func configure(_ workers: [(worker: WorkerShortID, ringKey: UInt64)]) {
        var next: [Row] = []
        for (worker, ringKey) in workers.sorted(by: { $0.worker < $1.worker }) where next.last?.worker != worker {
            let known = position(of: worker).map { rows[$0] }
            next.append(known?.ringKey == ringKey ? known! : Row(worker: worker, ringKey: ringKey))
        }
        rows = next
        hash = 0
        for row in rows { for word in row.words { hash &+= word.hash } }
    }

    // MARK: Words

    /// What this replica sees. News when that is another word than before.
    package mutating func observe(
        _ worker: WorkerShortID, _ state: WorkerHealthNews.State, reason: UInt8, at now: Instant
    ) -> WorkerHealthNews? {
        guard let position = position(of: worker) else { return nil }
        let before = rows[position].own
        var own =
            before ?? Own(news: WorkerHealthNews(worker: worker, observer: me, epoch: firstEpoch, state: state))
        if state == .down { own.lastFailure = now }
        if state == .healthy { own.lastSuccess = now }
        let isNew = before == nil || own.news.state != state || own.news.reason != reason
        if isNew {
            if before != nil { own.news.epoch = own.news.epoch == .max ? .max : own.news.epoch + 1 }
            own.news.state = state
            own.news.reason = reason
        }
        rows[position].own = own
        guard isNew else { return nil }
        _ = insert(own.news, at: position, now)
        return own.news
    }

    /// Of a live member. True: the table has changed.
    package mutating func merge(_ news: WorkerHealthNews, at now: Instant) -> Bool {
        guard news.observer != me, let position = position(of: news.worker) else { return false }
        return insert(news, at: position, now)
    }

    /// Somebody holds a word of mine that I did not say in this life: mine is said again, with an epoch above it. Nil: the
    /// word is an old one, and mine will replace it anyway.
    package mutating func answer(_ mine: WorkerHealthNews, at now: Instant) -> WorkerHealthNews? {
        guard mine.observer == me, let position = position(of: mine.worker) else { return nil }
        var own = rows[position].own ?? Own(news: mine)
        if rows[position].own != nil {
            guard mine.epoch >= own.news.epoch, mine.epoch < .max else { return nil }
            guard (mine.epoch, mine.state, mine.reason) != (own.news.epoch, own.news.state, own.news.reason) else {
                return nil
            }
        } else {
            // Nothing was seen of it in this life yet.
            guard mine.epoch < .max else { return nil }
            own.news.state = .loading
            own.news.reason = 0
        }
        own.news.epoch = mine.epoch + 1
        rows[position].own = own
        _ = insert(own.news, at: position, now)
        return own.news
    }

    /// The observer is gone, or is another process now: its words go with it. True: there were some.
    package mutating func forget(_ observer: ReplicaShortID) -> Bool {
        guard observer != me else { return false }
        var had = false
        for position in rows.indices {
            guard let word = rows[position].words.firstIndex(where: { $0.news.observer == observer }) else { continue }
            hash &-= rows[position].words.remove(at: word).hash
            had = true
        }
        return had
    }

    /// This replica has a new identity: what it saw is said again under its new name.
    package mutating func becomes(_ other: ReplicaShortID, at now: Instant) -> [WorkerHealthNews] {
        let before = me
        me = other
        _ = forget(before)
        var news: [WorkerHealthNews] = []
        for position in rows.indices {
            guard var own = rows[position].own else { continue }
            own.news.observer = other
            rows[position].own = own
            _ = insert(own.news, at: position, now)
            news.append(own.news)
        }
        return news
    }

    /// For a sync, and for people: by worker, then by draw.
    package var news: [WorkerHealthNews] {
        var all: [WorkerHealthNews] = []
        for row in rows { for word in row.words { all.append(word.news) } }
        return all
    }

    private mutating func insert(_ news: WorkerHealthNews, at position: Int, _ now: Instant) -> Bool {
        let draw = ReplicaRing.draw(of: news.observer, key: rows[position].ringKey)
        let word = Word(news: news, heardAt: now, draw: draw)
        if let held = rows[position].words.firstIndex(where: { $0.news.observer == news.observer }) {
            let before = rows[position].words[held]
            guard before.rank < word.rank else { return false }
            hash = hash &- before.hash &+ word.hash
            rows[position].words[held] = word
            return true
        }
        let place = rows[position].words.firstIndex { word.place < $0.place } ?? rows[position].words.count
        guard place < Self.observersMax else { return false }
        rows[position].words.insert(word, at: place)
        hash &+= word.hash
        if rows[position].words.count > Self.observersMax { hash &-= rows[position].words.removeLast().hash }
        return true
    }
}
