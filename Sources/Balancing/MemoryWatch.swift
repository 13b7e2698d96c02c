/// Whether a worker's memory is so full that it should be spared: nearly all of it in use, or swap that grows.
///
/// A Mac that swaps decodes at a tenth of its rate, and one that runs out of memory for the GPU may restart as a whole. Swap
/// that merely is there says little, since a Mac keeps old pages out for days; it is its growth that hurts. Entered at one
/// share and left at a smaller one, so that a worker at the brink does not come and go with each answer.
package import Determinism

package struct MemoryWatch: Sendable {
    package static let enters = 0.92
    package static let leaves = 0.88
    /// Swap that grew by this much within the window is growing: more than a moment's tidying up.
    package static let swapGrowthBytes = 128e6
    package static let swapWindowSeconds = 30.0
    /// Readings of swap that are kept: the window at two a second.
    static let readingsMax = 64

    private var swap: [(at: Instant, bytes: Double)] = []
    var readings: Int { swap.count }
    package private(set) var isPressed = false
    package private(set) var swapGrows = false

    package init() {}

    /// `share`: of the memory that there is, 0…1; `swapUsed`: bytes. Nil: not known.
    package mutating func observe(share: Double?, swapUsed: Double?, at now: Instant) {
        swap.removeAll { now.seconds(since: $0.at) > Self.swapWindowSeconds }
        if let swapUsed {
            if swap.count == Self.readingsMax { swap.removeFirst() }
            swap.append((now, swapUsed))
        }
        // Only as the last reading has it: what was freed since is no growth.
        let least = swap.reduce(Double.infinity) { min($0, $1.bytes) }
        swapGrows = swap.last.map { $0.bytes - least >= Self.swapGrowthBytes } ?? false
        let bound = isPressed ? Self.leaves : Self.enters
        isPressed = swapGrows || (share ?? 0) >= bound
    }
}
