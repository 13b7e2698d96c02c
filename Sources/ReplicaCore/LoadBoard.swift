/// What workers do for others, as their own counts show it, and how their Macs are: somebody may use the Mac directly. One
/// cell per worker, as on the `WorkerBoard`; the lane counts its exchanges under a lock that is held for one update.
package import Balancing
package import Determinism
import Synchronization

package final class LoadBoard: Sendable {
    private let cells = (0..<WorkerBoard.workersMax).map { _ in Cell() }

    package init() {}

    // MARK: Ours

    /// An exchange goes to the worker, of so many choices times prompts, whose keys and values will fill so many tokens.
    package func begin(_ worker: WorkerIndex, sequences: Int, tokens: Int) {
        self[worker].traffic.withLock { $0.begin(sequences) }
        self[worker].tokens.add(tokens, ordering: .relaxed)
    }

    /// `whole`: its answer came to its end.
    package func end(_ worker: WorkerIndex, sequences: Int, tokens: Int, whole: Bool, at now: Instant) {
        self[worker].traffic.withLock { $0.end(sequences, whole: whole, at: now) }
        self[worker].tokens.subtract(tokens, ordering: .relaxed)
    }

    /// Tokens whose keys and values our exchanges there fill, by their end.
    package func ownTokens(_ worker: WorkerIndex) -> Int { self[worker].tokens.load(ordering: .relaxed) }

    /// Sequences of ours that run there.
    package func own(_ worker: WorkerIndex) -> Int { self[worker].traffic.withLock { $0.running } }

    /// Nothing of ours runs there, nor can it still believe so.
    package func isQuiet(_ worker: WorkerIndex, at now: Instant) -> Bool {
        self[worker].traffic.withLock { $0.most(since: $0.mark(at: now)) == 0 }
    }

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

    // MARK: Its Mac

    package func note(_ worker: WorkerIndex, _ vitals: MacVitals, until: Instant) {
        let cell = self[worker]
        cell.vitals.withLock { $0 = (vitals, until) }
        cell.hasVitals.store(vitals != MacVitals(), ordering: .releasing)
    }

    /// Nil when nothing is known, or nothing was told for long.
    package func vitals(_ worker: WorkerIndex, at now: Instant) -> MacVitals? {
        let cell = self[worker]
        guard cell.hasVitals.load(ordering: .acquiring) else { return nil }
        let (vitals, until) = cell.vitals.withLock { $0 }
        return now < until ? vitals : nil
    }

    private subscript(worker: WorkerIndex) -> Cell { cells[worker.rawValue] }
}

private final class Cell: Sendable {
    let traffic = Mutex(OwnTraffic())
    let tokens = Atomic<Int>(0)
    /// Most workers tell nothing of their Macs, and then no lock is taken.
    let hasVitals = Atomic<Bool>(false)
    let vitals = Mutex<(MacVitals, until: Instant)>((MacVitals(), until: .zero))
    let foreign = Atomic<Int>(0)
    let holdsUntil = Atomic<Int64>(0)
}
