/// `consistent_hash`: one key, one worker, as long as that worker is below its cap; then the next on the key's ring.
///
/// Workers that cannot serve now are no candidates, which is the same as walking past them: whoever stays keeps its keys.
import Placement

enum ConsistentHash {
    static func choose(among candidates: [Candidate], key: UInt64) -> Int? {
        let caps = Caps(candidates)
        var owner: Int?
        var smallest = Double.infinity
        for (position, candidate) in candidates.enumerated() where caps.hasRoom(candidate) {
            let draw = Rendezvous.draw(member: candidate.ringKey, weight: candidate.weight, key: key)
            if draw < smallest || owner == nil {
                owner = position
                smallest = draw
            }
        }
        return owner
    }

    /// The first of the ring, whatever it carries.
    static func home(of key: UInt64, among candidates: [Candidate]) -> Int? {
        var home: Int?
        var smallest = Double.infinity
        for (position, candidate) in candidates.enumerated() {
            let draw = Rendezvous.draw(member: candidate.ringKey, weight: candidate.weight, key: key)
            if draw < smallest || home == nil {
                home = position
                smallest = draw
            }
        }
        return home
    }

    /// What each may carry of all that these candidates carry.
    struct Caps {
        private var running = 0
        private var slots = 0

        init(_ candidates: [Candidate]) {
            for candidate in candidates {
                running += candidate.load
                slots += max(1, candidate.slots)
            }
        }

        /// True for one of the candidates at least: the caps together exceed the load.
        func hasRoom(_ candidate: Candidate) -> Bool {
            BoundedLoad.hasRoom(
                load: candidate.load, running: running, slots: max(1, candidate.slots), slotsOfAll: slots)
        }
    }
}
