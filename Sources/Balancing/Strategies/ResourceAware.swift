/// `resource_aware`, the default: seconds until this request would be done, plus a price for memory pressure.
///
///     drain    = P / prefill + D / aggregate(clamp(B, 1…slots))     what runs there already
///     own      = u / prefill + o · step(min(B + 1, slots))          this request beside it; u: not believed cached
///     step(B)  = (1 + s · (B − 1)) / decode                         seconds per token with B streams
///     pressure = 0.15 s · k / (1 − k)
///     score    = (drain + own + load + pressure) / weight
///
/// Two rates and not one: a chip that decodes fast may prefill slowly, so a long prompt and a long answer want
/// different Macs. Candidates within 0.25 s or 10 % of the best are equals, since estimates are not better than that
/// and the herd would run to one of them: two are drawn, and the one with more room takes it.
import Determinism

enum ResourceAware {
    static let tieSeconds = 0.25
    static let tieShare = 0.10
    static let pressureSeconds = 0.15
    static let pressureMax = 0.98
    /// Below any rate that a worker can have; it keeps a missing one from making everything infinite.
    private static let rateMin = 0.001

    static func score(_ candidate: Candidate, prompt: Int, output: Int) -> Double {
        let slots = max(1, candidate.slots)
        let streams = min(max(candidate.running, 1), slots)
        let streamsThen = min(candidate.running + 1, slots)
        let slope = candidate.stepSlope
        let step = 1 + slope * Double(streams - 1)
        let stepThen = 1 + slope * Double(streamsThen - 1)
        let ahead = Double(candidate.outputTokensAhead) * step / Double(streams)
        let decoding = (ahead + Double(output) * stepThen) / max(candidate.decodeRate, rateMin)
        // Of what is believed cached the last token is computed all the same.
        let uncached = max(min(1, prompt), prompt - candidate.cachedTokens)
        let prefilling = Double(candidate.promptTokensAhead + uncached) / max(candidate.prefillRate, rateMin)
        var seconds = prefilling + decoding + candidate.loadSeconds
        if !candidate.joinsBatch {
            // All that runs there ends before it begins, and everybody waits for its end.
            seconds += Double(candidate.promptTokensAhead) / max(candidate.prefillRate, rateMin)
            seconds += ahead / max(candidate.decodeRate, rateMin)
        }
        if candidate.pressure > 0 {
            let share = min(candidate.pressure, pressureMax)
            seconds += pressureSeconds * share / (1 - share)
        }
        return seconds / max(candidate.weight, rateMin)
    }

    static func choose(
        among candidates: [Candidate], prompt: Int, output: Int, random: inout SeededGenerator
    ) -> Int? {
        // On the stack for any usual fleet; nothing of it outlives the call.
        withUnsafeTemporaryAllocation(of: Double.self, capacity: candidates.count) { scores in
            var smallest = Double.infinity
            for (position, candidate) in candidates.enumerated() {
                scores[position] = score(candidate, prompt: prompt, output: output)
                smallest = min(smallest, scores[position])
            }
            let limit = max(smallest + tieSeconds, smallest * (1 + tieShare))
            return draw(among: candidates, scores, limit, &random)
        }
    }

    /// Two of the equals by lot, of these the one whose share of slots in use is smaller.
    private static func draw(
        among candidates: [Candidate], _ scores: UnsafeMutableBufferPointer<Double>, _ limit: Double,
        _ random: inout SeededGenerator
    ) -> Int? {
        var equals: UInt64 = 0
        for score in scores where score <= limit { equals += 1 }
        guard equals > 0 else { return candidates.isEmpty ? nil : 0 }
        var first = random.below(equals)
        var second = equals == 1 ? first : random.below(equals - 1)
        if equals > 1, second >= first { second += 1 }
        var chosen: Int?
        for position in candidates.indices where scores[position] <= limit {
            if first == 0 || second == 0 {
                if let other = chosen {
                    let mine = candidates[position].load * max(1, candidates[other].slots)
                    let its = candidates[other].load * max(1, candidates[position].slots)
                    // The order of positions says nothing, so an equal share is decided by lot as well.
                    return mine < its || (mine == its && random.below(2) == 0) ? position : other
                }
                chosen = position
                if equals == 1 { return position }
            }
            first &-= 1
            second &-= 1
        }
        return chosen
    }
}
