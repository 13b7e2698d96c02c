/// Which prompts a worker is believed to have in its cache: the last few that were sent there.
///
/// A belief and no more: the worker forgets when it wants, and all of it when it starts anew. It holds as many as the
/// smallest cache of the kinds that we know (mlx_lm keeps ten), since believing too much sends a request to a busy worker for
/// nothing; what answers tell of cached tokens corrects it.
package struct CacheBeliefs: Sendable {
    static let promptsMax = 10
    /// Pairs of worker and model that are remembered. When they are used up all are forgotten, and the next requests
    /// build them anew.
    static let pairsMax = 1_024
    /// Nothing is believed of models and workers beyond these.
    static let modelsMax = 1_024
    static let workersMax = 256

    private struct Prompt: Sendable {
        var fingerprint: UInt64
        var tokens: Int
        /// Which of the worker's lives it was.
        var life: Int
    }

    /// By model, then by worker; the prompt used last stands last. Places and not hashes, since the lane looks up every
    /// candidate.
    private var prompts: [[[Prompt]]] = []
    private var pairs = 0

    package init() {}

    /// Tokens of a prompt that begins like this which the worker need not compute again. `life`: how often the worker came
    /// back to life; what it had in an earlier one is gone.
    package func tokens(
        of fingerprint: UInt64, _ model: ModelIndex, at worker: WorkerIndex, life: Int = 0
    ) -> Int {
        guard model.rawValue < prompts.count, worker.rawValue < prompts[model.rawValue].count else { return 0 }
        for prompt in prompts[model.rawValue][worker.rawValue] where prompt.fingerprint == fingerprint {
            return prompt.life == life ? prompt.tokens : 0
        }
        return 0
    }

    /// Of all prompts that it is believed to have, of all its models.
    package func tokens(at worker: WorkerIndex, life: Int) -> Int {
        prompts.reduce(0) { sum, row in
            guard worker.rawValue < row.count else { return sum }
            return row[worker.rawValue].reduce(sum) { $1.life == life ? $0 + $1.tokens : $0 }
        }
    }

    /// An answer told how much of its prompt was cached. Far less than was believed: the worker has forgotten more than this
    /// prompt, and nothing of it is believed any more. What it computed now it has.
    package mutating func correct(
        _ fingerprint: UInt64, of model: ModelIndex, at worker: WorkerIndex, life: Int, believed: Int, cached: Int,
        tokens: Int
    ) {
        if believed > 0, cached < believed / 2, model.rawValue < prompts.count,
            worker.rawValue < prompts[model.rawValue].count, !prompts[model.rawValue][worker.rawValue].isEmpty
        {
            prompts[model.rawValue][worker.rawValue].removeAll()
            pairs -= 1
        }
        note(fingerprint, of: model, at: worker, tokens: tokens, life: life)
    }

    package mutating func note(
        _ fingerprint: UInt64, of model: ModelIndex, at worker: WorkerIndex, tokens: Int, life: Int = 0
    ) {
        let (row, cell) = (model.rawValue, worker.rawValue)
        guard row < Self.modelsMax, cell < Self.workersMax else { return }
        let isNew = row >= prompts.count || cell >= prompts[row].count || prompts[row][cell].isEmpty
        if isNew {
            if pairs == Self.pairsMax {
                prompts.removeAll()
                pairs = 0
            }
            pairs += 1
        }
        while prompts.count <= row { prompts.append([]) }
        while prompts[row].count <= cell { prompts[row].append([]) }
        Self.use(Prompt(fingerprint: fingerprint, tokens: tokens, life: life), &prompts[row][cell])
    }

    private static func use(_ prompt: Prompt, _ known: inout [Prompt]) {
        if let place = known.firstIndex(where: { $0.fingerprint == prompt.fingerprint }) {
            known.remove(at: place)
        } else if known.count == promptsMax {
            known.removeFirst()
        }
        known.append(prompt)
    }
}
