import Determinism

/// The clocks of one machine: a monotonic one that runs a little wrong and through pauses, and a wall clock that may be
/// anywhere.
///
/// Processes are told local time only; the world knows both.
struct SimulatedClock: Sendable, Equatable {
    /// Parts per million that it runs too fast.
    let drift: Int64
    /// What it showed when the world began.
    let origin: Int64
    /// Unix seconds when the world began, as the wall clock has them.
    var unixSeconds: Int64

    /// 500 ppm: 43 s a day, worse than any oscillator in use (NTP's own bound, RFC 5905).
    static let driftMax: Int64 = 500

    init(drift: Int64, origin: Int64, unixSeconds: Int64) {
        self.drift = drift
        self.origin = origin
        self.unixSeconds = unixSeconds
    }

    func local(_ world: Instant) -> Instant {
        let passed = world.nanoseconds
        return Instant(
            nanoseconds: origin + passed + passed / 1_000_000 * drift + passed % 1_000_000 * drift / 1_000_000)
    }

    /// The first moment of the world at which `local` shows this.
    func world(_ local: Instant) -> Instant {
        guard local < .never else { return .never }
        guard drift != 0 else { return Instant(nanoseconds: local.nanoseconds - origin) }
        let shown = local.nanoseconds - origin
        let rate = 1_000_000 + drift
        var world = shown / rate * 1_000_000 + shown % rate * 1_000_000 / rate
        // The divisions round, by a nanosecond or two.
        while self.local(Instant(nanoseconds: world - 1)) >= local { world -= 1 }
        while self.local(Instant(nanoseconds: world)) < local { world += 1 }
        return Instant(nanoseconds: world)
    }

    /// Unix seconds when the monotonic clock showed zero, as the wall clock has them.
    var unixSecondsAtZero: Int64 { unixSeconds - origin / 1_000_000_000 }
}
