package import Determinism

/// How much of what this replica sends is lost around here, and whether that calls for more patience.
///
/// Only attempts of probes whose target proved alive count, so that a crash is not weather. A moving average over 1/128
/// of each new attempt (≈ 45 s of probes); above 44 % of unanswered attempts (25 % lost one way: 1 − 0.75²) waits are
/// doubled, below 36 % (20 %) they are not, and a mode lasts a minute at least.
package struct LossClimate: Hashable, Sendable {
    static let enterPerMille: Int64 = 440
    static let leavePerMille: Int64 = 360
    static let weight: Int64 = 128

    /// Millionths of attempts that went unanswered.
    private var lost: Int64 = 0
    private var changedAt: Instant?
    package private(set) var isLossy = false

    package init() {}

    package var perMille: Int64 { lost / 1_000 }

    /// What became of one probe: attempts sent, and how many of them were answered. True when the mode has changed.
    package mutating func learn(sent: Int, answered: Int, at now: Instant, holds: Nanoseconds) -> Bool {
        for attempt in 0..<sent {
            let sample: Int64 = attempt < answered ? 0 : 1_000_000
            lost += (sample - lost) / Self.weight
        }
        if let changedAt, now < changedAt + holds { return false }
        let wanted = isLossy ? perMille >= Self.leavePerMille : perMille > Self.enterPerMille
        guard wanted != isLossy else { return false }
        isLossy = wanted
        changedAt = now
        return true
    }
}
