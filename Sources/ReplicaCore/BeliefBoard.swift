/// What all event loops believe of the workers' prompt caches, together: a conversation may come in on any of them.
package import Balancing
import Synchronization

package final class BeliefBoard: Sendable {
    private let beliefs = Mutex(CacheBeliefs())

    package init() {}

    /// Fills in what each candidate is believed to have of the prompt. `life`: how often the worker came back.
    package func fill(
        _ candidates: inout [Candidate], _ query: PlacementQuery, life: (WorkerIndex) -> Int
    ) {
        guard query.prefixFingerprint != 0 else { return }
        beliefs.withLock { beliefs in
            for position in candidates.indices {
                let worker = candidates[position].worker
                let tokens = beliefs.tokens(of: query.prefixFingerprint, query.model, at: worker, life: life(worker))
                candidates[position].cachedTokens = min(tokens, query.promptTokens)
            }
        }
    }

    /// Tokens of all prompts that a worker is believed to keep.
    package func tokens(at worker: WorkerIndex, life: Int) -> Int {
        beliefs.withLock { $0.tokens(at: worker, life: life) }
    }

    package func note(
        _ fingerprint: UInt64, of model: ModelIndex, at worker: WorkerIndex, tokens: Int, life: Int
    ) {
        guard fingerprint != 0 else { return }
        beliefs.withLock { $0.note(fingerprint, of: model, at: worker, tokens: tokens, life: life) }
    }

    package func correct(
        _ fingerprint: UInt64, of model: ModelIndex, at worker: WorkerIndex, life: Int, believed: Int, cached: Int,
        tokens: Int
    ) {
        guard fingerprint != 0 else { return }
        beliefs.withLock {
            $0.correct(
                fingerprint, of: model, at: worker, life: life, believed: believed, cached: cached, tokens: tokens)
        }
    }
}
