/// What probes found, counted per worker for `/metrics`.
package import Balancing
import Synchronization

package final class ProbeCounts: Sendable {
    package enum Result: String, CaseIterable, Sendable {
        case alive, loading, failed, refused
        case canaryClean = "canary_clean"
        case canaryFailed = "canary_failed"
        case loaded
        case loadFailed = "load_failed"
    }

    private let counts = Mutex<[WorkerIndex: [Result: Int]]>([:])

    func note(_ worker: WorkerIndex, _ result: Result) {
        counts.withLock { $0[worker, default: [:]][result, default: 0] += 1 }
    }

    package func count(_ worker: WorkerIndex, _ result: Result) -> Int {
        counts.withLock { $0[worker]?[result] ?? 0 }
    }
}
