/// `prefix_affinity`: a conversation goes where its beginning was computed before, unless waiting there costs more than
/// computing it anew elsewhere.
///
/// The ring's key is the prompt through its first user message, which is the same in every later turn, so no session id
/// is needed and every replica finds the same home. Below its cap the home takes it, and above it as long as waiting there
/// costs less than the part believed cached saves. Else `resource_aware`'s score decides among those that are below their
/// caps; what is believed cached is taken off each one's prompt, so a conversation that had to leave stays where it went.
import Determinism

enum PrefixAffinity {
    static func choose(
        among candidates: [Candidate], for query: PlacementQuery, random: inout SeededGenerator
    ) -> Int? {
        // A prompt without a beginning has nothing cached anywhere.
        guard query.prefixFingerprint != 0 else {
            return ResourceAware.choose(
                among: candidates, prompt: query.promptTokens, output: query.outputTokens, random: &random)
        }
        guard let home = ConsistentHash.home(of: query.prefixFingerprint, among: candidates) else { return nil }
        return place(home, among: candidates, query)
    }

    /// Whether what is believed cached saves more seconds than those ahead cost. A slot is free: only the prompts that stand
    /// before it are waited for, and its steps are longer by the streams beside it.
    private static func isWorthWaiting(at home: Candidate, _ query: PlacementQuery) -> Bool {
        let prefill = max(home.prefillRate, 0.001)
        let streams = Double(min(home.running, max(1, home.slots) - 1))
        let wait =
            Double(home.promptTokensAhead) / prefill
            + Double(query.outputTokens) * home.stepSlope * streams / max(home.decodeRate, 0.001)
        return wait < Double(home.cachedTokens) / prefill
    }

    private static func place(_ home: Int, among candidates: [Candidate], _ query: PlacementQuery) -> Int {
        let caps = ConsistentHash.Caps(candidates)
        if caps.hasRoom(candidates[home]) || isWorthWaiting(at: candidates[home], query) { return home }
        var chosen = home
        var smallest = Double.infinity
        for (position, candidate) in candidates.enumerated() {
            guard caps.hasRoom(candidate) || (position == home && candidate.cachedTokens > 0) else { continue }
            let score = ResourceAware.score(candidate, prompt: query.promptTokens, output: query.outputTokens)
            if score < smallest {
                smallest = score
                chosen = position
            }
        }
        return chosen
    }
}
