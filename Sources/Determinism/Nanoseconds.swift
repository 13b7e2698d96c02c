/// A span of time as one integer, for machines: adding a `Duration` costs two divisions of 128 bits, and a machine that
/// is asked a million times a second adds a few each time.
package struct Nanoseconds: Hashable, Comparable, Sendable {
    package var rawValue: Int64

    @inlinable package init(rawValue: Int64) { self.rawValue = rawValue }

    @inlinable package static var zero: Nanoseconds { Nanoseconds(rawValue: 0) }
    @inlinable package static func nanoseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(rawValue: count) }
    @inlinable package static func microseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(rawValue: count * 1_000) }
    @inlinable package static func milliseconds(_ count: Int64) -> Nanoseconds {
        Nanoseconds(rawValue: count * 1_000_000)
    }
    @inlinable package static func seconds(_ count: Int64) -> Nanoseconds {
        Nanoseconds(rawValue: count * 1_000_000_000)
    }

    package var duration: Duration { .nanoseconds(rawValue) }
    package var wholeMilliseconds: Int64 { rawValue / 1_000_000 }
    package var wholeSeconds: Int64 { rawValue / 1_000_000_000 }

    @inlinable package static func < (left: Nanoseconds, right: Nanoseconds) -> Bool { left.rawValue < right.rawValue }
    @inlinable package static func > (left: Nanoseconds, right: Nanoseconds) -> Bool { left.rawValue > right.rawValue }
    @inlinable package static func <= (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.rawValue <= right.rawValue
    }
    @inlinable package static func >= (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.rawValue >= right.rawValue
    }
    @inlinable package static func == (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.rawValue == right.rawValue
    }
    @inlinable package static func + (left: Nanoseconds, right: Nanoseconds) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue + right.rawValue)
    }
    @inlinable package static func - (left: Nanoseconds, right: Nanoseconds) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue - right.rawValue)
    }
    @inlinable package static func += (left: inout Nanoseconds, right: Nanoseconds) { left.rawValue += right.rawValue }
    @inlinable package static func * (left: Nanoseconds, right: Int) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue * Int64(right))
    }
    @inlinable package static func / (left: Nanoseconds, right: Int) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue / Int64(right))
    }
}

extension Instant {
    /// Saturates at `never`.
    @inlinable package static func + (left: Instant, right: Nanoseconds) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.rawValue)
        return overflow ? .never : Instant(nanoseconds: sum)
    }

    /// From `earlier` to here; negative when `earlier` is the later one. Saturates.
    @inlinable package func span(since earlier: Instant) -> Nanoseconds {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return Nanoseconds(rawValue: overflow ? (earlier.nanoseconds < 0 ? .max : .min) : difference)
    }
}
