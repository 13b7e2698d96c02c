package import Determinism

/// A bucket of bytes that may be sent: filled at a steady rate, up to a burst (M22).
package struct ByteBudget: Sendable {
    private let perSecond: Int64
    private let burst: Int64
    private var bytes: Int64
    private var filledAt: Instant

    package init(perSecond: Int, burst: Int, at now: Instant) {
        precondition(perSecond > 0 && burst > 0, "a budget of nothing sends nothing")
        self.perSecond = Int64(perSecond)
        self.burst = Int64(burst)
        bytes = Int64(burst)
        filledAt = now
    }

    /// Whether `count` bytes may leave now. What cannot wait may overdraw by a quarter of the burst; what can asks whether
    /// the bucket holds it.
    package mutating func take(_ count: Int, at now: Instant) -> Bool {
        fill(at: now)
        guard bytes - Int64(count) >= -burst / 4 else { return false }
        bytes -= Int64(count)
        return true
    }

    /// Whether that much is there, or the bucket is full.
    package mutating func holds(_ count: Int, at now: Instant) -> Bool {
        fill(at: now)
        return bytes >= min(Int64(count), burst)
    }

    /// When the bucket will hold `count` bytes.
    package func deadline(for count: Int, at now: Instant) -> Instant {
        let missing = Int64(min(count, Int(burst))) - bytes
        return missing <= 0 ? now : now + .nanoseconds(missing * 1_000_000_000 / perSecond + 1)
    }

    private mutating func fill(at now: Instant) {
        let passed = min(max(0, now.span(since: filledAt).rawValue), 3_600_000_000_000)
        let gained = passed / 1_000 * perSecond / 1_000_000
        guard gained > 0 else { return }
        bytes = min(burst, bytes + gained)
        filledAt = now
    }
}
