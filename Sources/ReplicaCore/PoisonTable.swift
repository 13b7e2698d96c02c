/// The requests that are thought to end their workers, shared by all event loops. Empty nearly always: then a look costs one
/// atomic.
package import Balancing
package import Determinism
import Synchronization

package final class PoisonTable: Sendable {
    /// Key of the fingerprints: the same on all replicas, unknown outside.
    package let salt: UInt64
    private let state = Mutex(PoisonGuard())
    private let isEmpty = Atomic<Bool>(true)

    package init(salt: UInt64) { self.salt = salt }

    /// Whether no request needs to be looked up.
    package var hasNone: Bool { isEmpty.load(ordering: .acquiring) }

    package func judge(_ fingerprint: UInt64, at now: Instant) -> PoisonGuard.Judgement {
        change { $0.judge(fingerprint, at: now) }
    }

    package func casualty(
        _ fingerprint: UInt64, on worker: WorkerIndex, incarnation: Int, wasAlone: Bool, at now: Instant
    ) -> (judgement: PoisonGuard.Judgement, isNew: Bool) {
        change { $0.casualty(fingerprint, on: worker, incarnation: incarnation, wasAlone: wasAlone, at: now) }
    }

    package func witness(
        _ fingerprint: UInt64, on worker: WorkerIndex, incarnation: Int, at now: Instant
    ) -> (judgement: PoisonGuard.Judgement, isNew: Bool) {
        change { $0.witness(fingerprint, on: worker, incarnation: incarnation, at: now) }
    }

    package func answered(_ fingerprint: UInt64) { change { $0.answered(fingerprint) } }

    package func forget(_ fingerprint: UInt64?) -> Bool { change { $0.forget(fingerprint) } }

    package func records(at now: Instant) -> [PoisonGuard.Record] { state.withLock { $0.records(at: now) } }

    private func change<Result: Sendable>(_ body: (inout PoisonGuard) -> Result) -> Result {
        state.withLock { state in
            let result = body(&state)
            isEmpty.store(state.isEmpty, ordering: .releasing)
            return result
        }
    }
}
