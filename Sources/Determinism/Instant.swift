/// A point on the clock that drives every machine: whole nanoseconds since an origin that only differences can show.
///
/// Machines never read a clock; `now` arrives as an argument. Sixty-four bits of nanoseconds last 292 years, and one
/// integer keeps comparisons on the hot lane to a single instruction, where `Duration` would carry 128 bits.
///
/// It is compared and added in every machine at every input. What is not `@inlinable` here is a call into this room then; and
/// it is public, though nobody outside sees it, because other rooms are not shown the witness tables of package types: each
/// `min` of two instants would be several calls through one.
public struct Instant: Hashable, Comparable, Sendable {
    public let nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable public static var zero: Instant { Instant(nanoseconds: 0) }
    /// Later than every other instant: a deadline that never comes.
    @inlinable public static var never: Instant { Instant(nanoseconds: .max) }

    @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
    @inlinable public static func > (left: Instant, right: Instant) -> Bool { left.nanoseconds > right.nanoseconds }
    @inlinable public static func <= (left: Instant, right: Instant) -> Bool { left.nanoseconds <= right.nanoseconds }
    @inlinable public static func >= (left: Instant, right: Instant) -> Bool { left.nanoseconds >= right.nanoseconds }
    @inlinable public static func == (left: Instant, right: Instant) -> Bool { left.nanoseconds == right.nanoseconds }

    /// Saturates at `never` instead of wrapping: a deadline too far away is a deadline that never comes.
    public static func + (left: Instant, right: Duration) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.wholeNanoseconds)
        return overflow ? .never : Instant(nanoseconds: sum)
    }

    public static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }

    /// Seconds from `earlier` to here, negative when `earlier` is the later one.
    public func seconds(since earlier: Instant) -> Double {
        Double(nanoseconds - earlier.nanoseconds) / 1e9
    }
}

extension Duration {
    /// The duration in nanoseconds, rounded toward zero, saturated at the ends of `Int64`.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflowed ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in seconds.
    package var wholeSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
