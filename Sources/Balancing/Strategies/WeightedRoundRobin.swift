/// `weighted_round_robin`: turns in proportion to what a worker can do, spread evenly: 5, 1, 1 gives a a b a c a a and
/// not a a a a a b c. Turns are per model.
///
/// What a worker can do is the tokens a second of all its slots together, times the operator's `weight`: a fleet of
/// equal Macs is divided by weight alone, a mixed one without weights by speed.
///
/// nginx's smooth algorithm: everybody earns its weight each turn, the richest is chosen and pays the sum of all.
struct WeightedRoundRobin: Sendable {
    /// Models with balances of their own. A model beyond them shares one's, which costs a little evenness only.
    static let modelsMax = 1_024
    /// Workers with a balance in each. One beyond them begins every turn with nothing: it gets turns, not evenly.
    static let workersMax = 256

    private var balances: [[Double]] = []

    mutating func choose(among candidates: [Candidate], model: ModelIndex) -> Int? {
        let row = model.rawValue % Self.modelsMax
        while balances.count <= row { balances.append([]) }
        return Self.choose(among: candidates, &balances[row])
    }

    private static func choose(among candidates: [Candidate], _ balances: inout [Double]) -> Int? {
        var total = 0.0
        var chosen: Int?
        var richest = -Double.infinity
        for (position, candidate) in candidates.enumerated() {
            let share = share(of: candidate)
            total += share
            let cell = candidate.worker.rawValue
            var balance = share
            if cell < workersMax {
                while balances.count <= cell { balances.append(0) }
                balances[cell] += share
                balance = balances[cell]
            }
            if balance > richest || chosen == nil {
                chosen = position
                richest = balance
            }
        }
        guard let chosen else { return nil }
        let cell = candidates[chosen].worker.rawValue
        // Never deeper in debt than one whole round: a worker that is back after others left would starve for it.
        if cell < workersMax { balances[cell] = max(richest - total, -total) }
        return chosen
    }

    /// weight · aggregate(slots), as `ResourceAware` predicts it.
    static func share(of candidate: Candidate) -> Double {
        let slots = Double(max(1, candidate.slots))
        let together = slots / (1 + candidate.stepSlope * (slots - 1))
        return max(candidate.weight * candidate.decodeRate * together, .leastNormalMagnitude)
    }
}
