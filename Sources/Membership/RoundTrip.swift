package import Determinism

/// How long a peer takes to answer: smoothed time and deviation as TCP keeps them (RFC 6298 §2), in microseconds.
package struct RoundTrip: Hashable, Sendable {
    package private(set) var smoothedMicroseconds: UInt32 = 0
    private var deviationMicroseconds: UInt32 = 0

    package init() {}

    package mutating func learn(_ sample: Nanoseconds) {
        let value = Int64(min(max(sample.rawValue / 1_000, 1), 60_000_000))
        if smoothedMicroseconds == 0 {
            smoothedMicroseconds = UInt32(value)
            deviationMicroseconds = UInt32(value / 2)
            return
        }
        let error = abs(Int64(smoothedMicroseconds) - value)
        deviationMicroseconds = UInt32((3 * Int64(deviationMicroseconds) + error) / 4)
        smoothedMicroseconds = UInt32(max(1, (7 * Int64(smoothedMicroseconds) + value) / 8))
    }

    /// Nearly every answer comes within this: four deviations above the smoothed time.
    package var usualMax: Nanoseconds? {
        guard smoothedMicroseconds > 0 else { return nil }
        return .microseconds(Int64(smoothedMicroseconds) + 4 * Int64(deviationMicroseconds))
    }
}
