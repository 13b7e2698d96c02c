/// What all that was said of a worker means for choosing it here. `Decisions/WhoseWordCounts.md` has the reasons.
package import Determinism
package import WireCoding

package enum WorkerVerdict: UInt8, CaseIterable, Sendable {
    /// Nothing is said against it, or this replica has seen better since.
    case trusted
    /// Down by the own evidence, but others, enough of them, have seen it well since.
    case vouched
    /// One other replica says that it is down, or says that it works badly.
    case doubted
    /// Two other replicas say that it is down.
    case outvoted
    /// This replica saw it itself.
    case condemned

    /// Quarters of its weight that are left for a model. `isPanic`: the words of others would take away more than half of the
    /// model's workers, so they count for nothing there (M19).
    package func quarters(isPanic: Bool) -> Int {
        switch self {
        case .trusted, .vouched: 4
        case .doubted: isPanic ? 4 : 1
        case .outvoted: isPanic ? 4 : 0
        case .condemned: 0
        }
    }
}

extension WorkerVerdict {
    /// A word that came from an exchange, not from a monitor, counts for this long.
    package static let exchangeWordHolds = Nanoseconds.seconds(10)

    /// The verdict on one worker, and until when it stands if nothing more is said. `vouchersWanted`: others that have to see
    /// it well before the own evidence against it is outdated; two, or one while only one replica is ready.
    package static func weigh(
        _ row: WorkerObservations.Row, me: ReplicaShortID, isMonitor: (ReplicaShortID) -> Bool, vouchersWanted: Int,
        at now: Instant
    ) -> (verdict: WorkerVerdict, until: Instant) {
        let isDownHere = row.own?.news.state == .down
        var down = 0
        var degraded = 0
        var vouchers = 0
        var until = Instant.never
        for word in row.words where word.news.observer != me {
            if !isMonitor(word.news.observer) {
                let end = word.heardAt + exchangeWordHolds
                guard now < end else { continue }
                until = min(until, end)
            }
            switch word.news.state {
            // What was seen here since then is worth more than what others saw before.
            case .down: if row.own?.lastSuccess.map({ word.heardAt > $0 }) ?? true { down += 1 }
            case .degraded:
                degraded += 1
                fallthrough
            case .healthy: if let failure = row.own?.lastFailure, word.heardAt > failure { vouchers += 1 }
            case .loading, .draining: break
            }
        }
        if isDownHere { return (vouchers >= vouchersWanted ? .vouched : .condemned, until) }
        if down >= 2 { return (.outvoted, until) }
        return (down + degraded > 0 ? .doubted : .trusted, until)
    }

    /// More than half of a model's workers would be taken away by the words of others alone (M19).
    package static func isPanic(outvoted: Int, of workers: Int) -> Bool { 2 * outvoted > workers }
}

extension WorkerCondition {
    /// As the wire says it. A worker that an operator took out is not down: whether it may be used is an order's matter.
    package var said: (state: WorkerHealthNews.State, reason: UInt8) {
        switch self {
        case .loading: (.loading, 0)
        case .healthy: (.healthy, 0)
        case .draining, .down(.drained): (.draining, 0)
        case .degraded(let why): (.degraded, UInt8(truncatingIfNeeded: WorkerCondition.degraded(why).code))
        case .down(let why): (.down, UInt8(truncatingIfNeeded: WorkerCondition.down(why).code))
        }
    }

    /// Nil for words that a later version may have.
    package init?(said news: WorkerHealthNews) {
        switch news.state {
        case .loading: self = .loading
        case .healthy: self = .healthy
        case .draining: self = .draining
        case .degraded, .down:
            guard let condition = WorkerCondition(code: Int(news.reason)) else { return nil }
            self = condition
        }
    }
}
