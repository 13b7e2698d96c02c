/// What the exchanges of other replicas do on workers. Without it every replica sends its burst to the same "idle" Mac.
///
/// A gauge is absolute and repeated each second while it is not zero, so a lost packet costs little: it weighs fully for a
/// second and then less and less, to nothing at five. A replica that is gone takes its gauges with it at once (M20).
package import Determinism
package import WireCoding

package struct FlockLoads: Sendable {
    /// Weighs fully up to this age [ours].
    package static let fullUntil = Nanoseconds.seconds(1)
    /// Weighs nothing from this age on [ours].
    package static let nothingFrom = Nanoseconds.seconds(5)
    /// Gauges kept in all; 256 workers times 256 replicas.
    package static let gaugesMax = 65_536

    private struct Gauge: Sendable {
        let replica: ReplicaShortID
        let session: SessionID
        var counter: UInt64
        var heardAt: Instant
        var news: WorkerLoadNews

        var isZero: Bool { news.running == 0 && news.queued == 0 && news.promptTokens == 0 && news.outputTokens == 0 }
    }

    private struct Row: Sendable {
        let worker: WorkerShortID
        /// Sorted by replica, one each.
        var gauges: [Gauge] = []
    }

    package let bound: Int
    /// Sorted by worker: those that are configured here.
    private var rows: [Row] = []
    private var count = 0
    /// Gauges that found no room.
    package private(set) var refusals = 0

    package init(bound: Int = gaugesMax) { self.bound = bound }

    /// Gauges of workers that stay are kept.
    package mutating func configure(_ workers: [WorkerShortID]) {
        var next: [Row] = []
        for worker in workers.sorted() where next.last?.worker != worker {
            next.append(position(of: worker).map { rows[$0] } ?? Row(worker: worker))
        }
        rows = next
        count = rows.reduce(0) { $0 + $1.gauges.count }
    }

    /// Of a live member and its present session; the caller knows both. True: it says something new.
    package mutating func merge(
        _ news: WorkerLoadNews, from replica: ReplicaShortID, session: SessionID, counter: UInt64, at now: Instant
    ) -> Bool {
        guard let row = position(of: news.worker) else { return false }
        let fresh = Gauge(replica: replica, session: session, counter: counter, heardAt: now, news: news)
        guard let place = rows[row].gauges.position(of: replica, sortedBy: \.replica) else {
            guard count < bound else {
                refusals += 1
                return false
            }
            rows[row].gauges.insert(fresh, at: rows[row].gauges.place(of: replica, sortedBy: \.replica))
            count += 1
            return !fresh.isZero
        }
        let held = rows[row].gauges[place]
        // Packets may overtake one another; what a session said last counts.
        guard held.session != session || counter > held.counter else { return false }
        rows[row].gauges[place] = fresh
        return held.news != news || now >= held.heardAt + Self.fullUntil
    }

    /// Dead, left, or another process of the same replica. True: it had gauges.
    package mutating func forget(_ replica: ReplicaShortID) -> Bool {
        let before = count
        for row in rows.indices {
            guard let place = rows[row].gauges.position(of: replica, sortedBy: \.replica) else { continue }
            rows[row].gauges.remove(at: place)
            count -= 1
        }
        return count < before
    }

    /// Drops what weighs nothing any more.
    package mutating func expire(at now: Instant) {
        for row in rows.indices where rows[row].gauges.contains(where: { Self.weight(of: $0, at: now) == 0 }) {
            rows[row].gauges.removeAll { Self.weight(of: $0, at: now) == 0 }
        }
        count = rows.reduce(0) { $0 + $1.gauges.count }
    }

    /// The sum of what others have there, rounded to whole ones.
    package func others(on worker: WorkerShortID, at now: Instant) -> FlockLoad {
        guard let row = position(of: worker) else { return .none }
        var sum = FlockLoad.none
        for gauge in rows[row].gauges {
            let weight = Self.weight(of: gauge, at: now)
            sum.running += Int(gauge.news.running) * weight
            sum.queued += Int(gauge.news.queued) * weight
            sum.promptTokens += Int(gauge.news.promptTokens) * weight
            sum.outputTokens += Int(gauge.news.outputTokens) * weight
        }
        let half = Self.weightMax / 2
        return FlockLoad(
            running: (sum.running + half) / Self.weightMax, queued: (sum.queued + half) / Self.weightMax,
            promptTokens: (sum.promptTokens + half) / Self.weightMax,
            outputTokens: (sum.outputTokens + half) / Self.weightMax)
    }

    /// When sums begin to fall because somebody has fallen silent: the first moment at which a gauge that is not zero is
    /// older than it should be. `never` without gauges; in the past while some are falling.
    package var firstFall: Instant {
        var first = Instant.never
        for row in rows {
            for gauge in row.gauges where !gauge.isZero { first = min(first, gauge.heardAt + Self.fullUntil) }
        }
        return first
    }

    /// Milliseconds of `nothingFrom − fullUntil`.
    private static let weightMax = Int((nothingFrom - fullUntil).wholeMilliseconds)

    private static func weight(of gauge: Gauge, at now: Instant) -> Int {
        let left = (gauge.heardAt + Self.nothingFrom).span(since: now)
        return max(0, min(weightMax, Int(left.wholeMilliseconds)))
    }

    private func position(of worker: WorkerShortID) -> Int? { rows.position(of: worker, sortedBy: \.worker) }
}
