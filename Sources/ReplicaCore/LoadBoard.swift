/// What workers do for others, as their own counts show it: somebody may use the Mac directly. One cell per worker, as on
/// the `WorkerBoard`; the lane reads two atomics and counts its exchanges under a lock that is held for one update.
package import Balancing
package import Determinism
import Synchronization

package final class LoadBoard: Sendable {
    private let cells = (0..<WorkerBoard.workersMax).map { _ in Cell() }

    package init() {}

    // MARK: Ours

    /// An exchange goes to the worker, of so many choices times prompts.
    package func begin(_ worker: WorkerIndex, sequences: Int) {
        self[worker].traffic.withLock { $0.begin(sequences) }
    }

    /// `whole`: its answer came to its end.
    package func end(_ worker: WorkerIndex, sequences: Int, whole: Bool, at now: Instant) {
        self[worker].traffic.withLock { $0.end(sequences, whole: whole, at: now) }
    }

    /// Sequences of ours that run there.
    package func own(_ worker: WorkerIndex) -> Int { self[worker].traffic.withLock { $0.running } }

    package func mark(_ worker: WorkerIndex, at now: Instant) -> OwnTraffic.Mark {
        self[worker].traffic.withLock { $0.mark(at: now) }
    }

    // MARK: Theirs

    /// The worker said to have taken on so many. What cannot have been ours since `mark` is somebody else's, which holds
    /// until the moment given and then is unknown again. `besides`: what else we had there.
    package func note(
        _ worker: WorkerIndex, said count: Int, since mark: OwnTraffic.Mark, besides: Int, until: Instant
    ) {
        let cell = self[worker]
        let ours = cell.traffic.withLock { $0.most(since: mark) } + besides
        cell.foreign.store(max(0, count - ours), ordering: .relaxed)
        cell.holdsUntil.store(until.nanoseconds, ordering: .releasing)
    }

    /// Exchanges there that are none of ours; nil when the worker does not tell, or has not told for long.
    package func foreign(_ worker: WorkerIndex, at now: Instant) -> Int? {
        let cell = self[worker]
        guard cell.holdsUntil.load(ordering: .acquiring) > now.nanoseconds else { return nil }
        return cell.foreign.load(ordering: .relaxed)
    }

    private subscript(worker: WorkerIndex) -> Cell { cells[worker.rawValue] }
}

private final class Cell: Sendable {
    let traffic = Mutex(OwnTraffic())
    let foreign = Atomic<Int>(0)
    let holdsUntil = Atomic<Int64>(0)
}
