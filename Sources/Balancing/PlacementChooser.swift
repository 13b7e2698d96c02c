/// Chooses by the strategy in force. One per event loop: what strategies remember is the loop's own.
import Determinism

package struct PlacementChooser: Sendable {
    package let strategy: StrategyName
    private var random: SeededGenerator
    // Only the one in use ever holds anything.
    private var turns = RoundRobin()
    private var weightedTurns = WeightedRoundRobin()

    package init(strategy: StrategyName, seed: UInt64) {
        self.strategy = strategy
        random = SeededGenerator(seed: seed)
    }

    /// What a strategy that compares thinks of a candidate, and what it calls that; the smallest wins. Nil for one that takes
    /// turns or follows a ring.
    package static func score(
        of candidate: Candidate, _ query: PlacementQuery, by strategy: StrategyName
    ) -> (name: String, value: Double)? {
        switch strategy {
        case .leastConnections: ("share_of_slots", Double(candidate.load) / Double(max(1, candidate.slots)))
        case .resourceAware, .prefixAffinity:
            (
                "score_seconds",
                ResourceAware.score(candidate, prompt: query.promptTokens, output: query.outputTokens)
            )
        case .roundRobin, .weightedRoundRobin, .consistentHash: nil
        }
    }

    /// Position in `candidates`; nil only when there are none.
    package mutating func choose(among candidates: [Candidate], for query: PlacementQuery) -> Int? {
        switch strategy {
        case .roundRobin: turns.choose(among: candidates, model: query.model)
        case .leastConnections: LeastConnections.choose(among: candidates, random: &random)
        case .weightedRoundRobin: weightedTurns.choose(among: candidates, model: query.model)
        case .resourceAware:
            ResourceAware.choose(
                among: candidates, prompt: query.promptTokens, output: query.outputTokens, random: &random)
        case .consistentHash:
            // Clients that are nobody in particular would all be one key and crowd one worker.
            query.affinityKey == 0
                ? LeastConnections.choose(among: candidates, random: &random)
                : ConsistentHash.choose(among: candidates, key: query.affinityKey)
        case .prefixAffinity: PrefixAffinity.choose(among: candidates, for: query, random: &random)
        }
    }
}
