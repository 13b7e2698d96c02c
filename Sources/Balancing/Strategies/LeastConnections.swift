/// `least_connections`: the smallest share of slots in use; among equals the draw decides, so that replicas that see the
/// same numbers do not all run to the same worker.
import Determinism

enum LeastConnections {
    static func choose(among candidates: [Candidate], random: inout SeededGenerator) -> Int? {
        var best: Int?
        var bestLoad = 0
        var bestSlots = 1
        var equals: UInt64 = 0
        for (position, candidate) in candidates.enumerated() {
            let slots = max(1, candidate.slots)
            // load ÷ slots against the best's, crosswise: whole numbers know what is equal.
            let difference = candidate.load * bestSlots - bestLoad * slots
            if best == nil || difference < 0 {
                best = position
                bestLoad = candidate.load
                bestSlots = slots
                equals = 1
            } else if difference == 0 {
                // Each of n equals ends up chosen with probability 1/n, without a list of them.
                equals += 1
                if random.below(equals) == 0 { best = position }
            }
        }
        return best
    }
}
