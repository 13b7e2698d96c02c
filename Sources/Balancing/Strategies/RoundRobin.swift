/// `round_robin`: one after the other, whatever they are. Turns are per model.
///
/// A turn is kept as the last worker's index, not as a count of requests: with a count, a worker that drops out for a
/// moment makes its neighbour serve two in a row for ever after.
struct RoundRobin: Sendable {
    /// Models with a turn of their own. A model beyond them shares one, which costs a little evenness only.
    static let modelsMax = 1_024

    private var last: [Int] = []

    /// Position of the candidate with the next higher worker index, or of the lowest.
    mutating func choose(among candidates: [Candidate], model: ModelIndex) -> Int? {
        let cell = model.rawValue % Self.modelsMax
        while last.count <= cell { last.append(-1) }
        let previous = last[cell]
        var chosen: Int?
        var distance = UInt.max
        for (position, candidate) in candidates.enumerated() {
            // How far behind the previous one, walking upward: an index at or below it wraps around to the far end.
            let ahead = UInt(bitPattern: candidate.worker.rawValue &- previous &- 1)
            if ahead < distance || chosen == nil {
                chosen = position
                distance = ahead
            }
        }
        if let chosen { last[cell] = candidates[chosen].worker.rawValue }
        return chosen
    }
}
