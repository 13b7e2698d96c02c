/// The clock of the flock's machine, which is the lane's: it runs through sleep, and what one of them says until when, the
/// other understands.
///
/// The wall clock is looked at besides. When both part by seconds, this process may be a memory image that was resumed,
/// with packet counters that were used before; when they part by less, only the stamps of keys and blocks follow.
import Determinism

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct GossipClock: Sendable {
    enum Break: Equatable {
        case none
        /// The wall clock was set by a little.
        case step
        /// By so much that this process starts a new life.
        case gap
    }

    /// [ours]
    static let gap = Nanoseconds.seconds(2)
    static let step = Nanoseconds.milliseconds(100)

    /// Wall clock less this clock, as of the last look.
    private var apart: Int64
    /// As of the last `step`.
    private var toldApart: Int64

    init() { self.init(clock: Self.read(Self.clock), wall: Self.read(CLOCK_REALTIME)) }

    init(clock: Int64, wall: Int64) {
        apart = wall - clock
        toldApart = apart
    }

    var unixSecondsAtZero: Int64 { apart / 1_000_000_000 }

    mutating func look() -> (now: Instant, broke: Break) {
        look(clock: Self.read(Self.clock), wall: Self.read(CLOCK_REALTIME))
    }

    mutating func look(clock: Int64, wall: Int64) -> (now: Instant, broke: Break) {
        let difference = wall - clock
        defer { apart = difference }
        let now = Instant(nanoseconds: clock)
        if abs(difference - apart) >= Self.gap.rawValue {
            toldApart = difference
            return (now, .gap)
        }
        guard abs(difference - toldApart) >= Self.step.rawValue else { return (now, .none) }
        toldApart = difference
        return (now, .step)
    }

    /// Without looking at the wall.
    var now: Instant { Instant(nanoseconds: Self.read(Self.clock)) }

    /// Milliseconds since 1970 of a point on this clock.
    func wallMilliseconds(at instant: Instant) -> UInt64 {
        UInt64(max(0, (instant.nanoseconds + apart) / 1_000_000))
    }

    #if os(Linux)
        private static let clock = CLOCK_BOOTTIME
    #else
        private static let clock = CLOCK_MONOTONIC
    #endif

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
