/// A span of time as one integer, for machines: adding a `Duration` costs two divisions of 128 bits, and a machine that
/// is asked a million times a second adds a few each time.
///
/// Public for the same reason as `Instant`.
public struct Nanoseconds: Hashable, Comparable, Sendable {
    public var rawValue: Int64

    @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }

    @inlinable public static var zero: Nanoseconds { Nanoseconds(rawValue: 0) }
    @inlinable public static func nanoseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(rawValue: count) }
    @inlinable public static func microseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(rawValue: count * 1_000) }
    @inlinable public static func milliseconds(_ count: Int64) -> Nanoseconds {
        Nanoseconds(rawValue: count * 1_000_000)
    }
    @inlinable public static func seconds(_ count: Int64) -> Nanoseconds {
        Nanoseconds(rawValue: count * 1_000_000_000)
    }

    public var duration: Duration { .nanoseconds(rawValue) }
    public var wholeMilliseconds: Int64 { rawValue / 1_000_000 }
    public var wholeSeconds: Int64 { rawValue / 1_000_000_000 }

    @inlinable public static func < (left: Nanoseconds, right: Nanoseconds) -> Bool { left.rawValue < right.rawValue }
    @inlinable public static func > (left: Nanoseconds, right: Nanoseconds) -> Bool { left.rawValue > right.rawValue }
    @inlinable public static func <= (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.rawValue <= right.rawValue
    }
    @inlinable public static func >= (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.rawValue >= right.rawValue
    }
    @inlinable public static func == (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.rawValue == right.rawValue
    }
    @inlinable public static func + (left: Nanoseconds, right: Nanoseconds) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue + right.rawValue)
    }
    @inlinable public static func - (left: Nanoseconds, right: Nanoseconds) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue - right.rawValue)
    }
    @inlinable public static func += (left: inout Nanoseconds, right: Nanoseconds) { left.rawValue += right.rawValue }
    @inlinable public static func * (left: Nanoseconds, right: Int) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue * Int64(right))
    }
    @inlinable public static func / (left: Nanoseconds, right: Int) -> Nanoseconds {
        Nanoseconds(rawValue: left.rawValue / Int64(right))
    }
}

extension Instant {
    /// Saturates at `never`.
    @inlinable public static func + (left: Instant, right: Nanoseconds) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.rawValue)
        return overflow ? .never : Instant(nanoseconds: sum)
    }

    /// From `earlier` to here; negative when `earlier` is the later one. Saturates.
    @inlinable public func span(since earlier: Instant) -> Nanoseconds {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return Nanoseconds(rawValue: overflow ? (earlier.nanoseconds < 0 ? .max : .min) : difference)
    }
}
