/// What other replicas say of workers, one cell of numbers each: written by the gossip's loop when its view changes, read
/// by every loop of the lane without a lock.
package import Balancing
package import Determinism
import RateLimiting
import Synchronization
package import WireCoding

package final class FlockBoard: Sendable {
    private let cells = (0..<WorkerBoard.workersMax).map { _ in FlockCell() }
    /// Ready replicas, this one included; 0 while this replica gossips with nobody.
    private let ready = Atomic<Int>(0)
    private let hasBlocks = Atomic<Bool>(false)
    private let blocked = Mutex(BlockedAddresses.none)

    package init() {}

    /// Ready replicas of the flock, at least this one.
    package var replicas: Int { max(1, ready.load(ordering: .relaxed)) }

    /// Whether there is a flock that shares its probes.
    package var isShared: Bool { ready.load(ordering: .relaxed) > 1 }

    // MARK: The gossip's loop

    /// Returns the workers on which others have less to do than before: whoever waits for them may look again.
    package func publish(
        _ view: FlockView, replicas: Int, indexes: (WorkerShortID) -> WorkerIndex?
    ) -> [WorkerIndex] {
        ready.store(replicas, ordering: .relaxed)
        var eased: [WorkerIndex] = []
        for worker in view.workers {
            guard let index = indexes(worker.short) else { continue }
            let cell = cells[index.rawValue]
            cell.verdict.store(worker.verdict.rawValue, ordering: .relaxed)
            cell.prompt.store(worker.others.promptTokens, ordering: .relaxed)
            cell.output.store(worker.others.outputTokens, ordering: .relaxed)
            cell.isMonitored.store(worker.isMonitoredHere, ordering: .relaxed)
            let before = cell.running.exchange(worker.others.running, ordering: .acquiringAndReleasing)
            if worker.others.running < before { eased.append(index) }
        }
        blocked.withLock { $0 = view.blocked }
        hasBlocks.store(!view.blocked.isEmpty, ordering: .releasing)
        return eased
    }

    // MARK: The lane

    package func verdict(_ worker: WorkerIndex) -> WorkerVerdict {
        WorkerVerdict(rawValue: cells[worker.rawValue].verdict.load(ordering: .relaxed)) ?? .trusted
    }

    /// Exchanges of other replicas there, and what they have still to do.
    package func others(_ worker: WorkerIndex) -> FlockLoad {
        let cell = cells[worker.rawValue]
        return FlockLoad(
            running: cell.running.load(ordering: .relaxed), promptTokens: cell.prompt.load(ordering: .relaxed),
            outputTokens: cell.output.load(ordering: .relaxed))
    }

    /// Slots of a worker that this replica may use, of those that the flock has there. Each has its share for itself,
    /// else whoever was first with a full queue would keep the others out.
    package func share(of slots: Int, others: FlockLoad) -> Int {
        guard others.running > 0 else { return slots }
        return max(slots - others.running, slots / replicas, 1)
    }

    package var hasAnyBlocked: Bool { hasBlocks.load(ordering: .acquiring) }

    package func isBlocked(high: UInt64, low: UInt64, at now: Instant) -> Bool {
        blocked.withLock { $0 }.isBlocked(high: high, low: low, at: now)
    }

    // MARK: Probes

    /// This replica asks that worker for all of them.
    package func isMonitored(_ worker: WorkerIndex) -> Bool {
        !isShared || cells[worker.rawValue].isMonitored.load(ordering: .relaxed)
    }
}

private final class FlockCell: Sendable {
    let verdict = Atomic<UInt8>(WorkerVerdict.trusted.rawValue)
    let running = Atomic<Int>(0)
    let prompt = Atomic<Int>(0)
    let output = Atomic<Int>(0)
    let isMonitored = Atomic<Bool>(true)
}
