import Determinism
import Foundation
import NIOCore

/// Translates between this machine's monotonic clock and the worker's own, which may run faster or stand still.
struct SimulatorClock {
    private let origin: Int64
    private let epoch: Int
    private let scale: Double
    private let isManual: Bool
    private var manualNow = Determinism.Instant.zero

    init(timeScale: Double, isManual: Bool) {
        origin = Int64(NIODeadline.now().uptimeNanoseconds)
        epoch = Int(Date().timeIntervalSince1970)
        // A worker that answers at once still measures scripted delays, in our time.
        scale = timeScale > 0 ? timeScale : 1
        self.isManual = isManual
    }

    /// What other processes of this machine can compare with their own monotonic clock.
    func monotonic() -> Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    /// Seconds since 1970, for `created`.
    func epochSeconds() -> Int { epoch + Int((monotonic() - origin) / 1_000_000_000) }

    func now(monotonic: Int64) -> Determinism.Instant {
        isManual ? manualNow : Determinism.Instant(nanoseconds: Int64(Double(monotonic - origin) * scale))
    }

    /// When to wake up for an instant of the worker; nil when only `advance` brings it.
    func deadline(for instant: Determinism.Instant) -> NIODeadline? {
        guard !isManual else { return nil }
        // Rounded up: waking a nanosecond early would mean waking twice.
        return .uptimeNanoseconds(UInt64(origin + Int64((Double(instant.nanoseconds) / scale).rounded(.up)) + 1))
    }

    /// False on a clock that runs by itself.
    mutating func advance(_ duration: Duration) -> Bool {
        guard isManual else { return false }
        manualNow = manualNow + duration
        return true
    }
}
