/// How much one member may carry before its keys go on to the next (consistent hashing with bounded loads: Mirrokni,
/// Thorup and Zadimoghaddam, 2018).
///
/// Nobody carries more than a quarter above its fair share of slots, so a popular key cannot drown the member that it
/// hashes to, and a key moves seldom. The caps together exceed the load, so one member always has room.
package enum BoundedLoad {
    /// cap = max(1, ⌈1.25 · (running + 1) · slots ÷ slotsOfAll⌉), in whole numbers: no rounding takes the room away.
    package static func cap(running: Int, slots: Int, slotsOfAll: Int) -> Int {
        guard slotsOfAll > 0 else { return 1 }
        let wanted = 5 * (running + 1) * slots
        return max(1, (wanted + 4 * slotsOfAll - 1) / (4 * slotsOfAll))
    }

    /// Whether `load` is below that cap, without the division: the lane asks this for every candidate.
    package static func hasRoom(load: Int, running: Int, slots: Int, slotsOfAll: Int) -> Bool {
        load == 0 || 4 * load * slotsOfAll < 5 * (running + 1) * slots
    }
}
