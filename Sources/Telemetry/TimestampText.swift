/// `2026-11-24T04:07:22.123Z`, made of integers: a log line should not pay for a calendar library.
///
/// The day is found with Hinnant's days-to-civil algorithm (2013), which counts in 400-year eras from the first of
/// March of year 0.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package enum TimestampText {
    package static func append(millisecondsSince1970 milliseconds: Int64, to bytes: inout [UInt8]) {
        let days = floorDivide(milliseconds, 86_400_000)
        let rest = milliseconds - days * 86_400_000
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let civilMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0)
        digits(year, 4, &bytes)
        bytes.append(45)
        digits(civilMonth, 2, &bytes)
        bytes.append(45)
        digits(day, 2, &bytes)
        bytes.append(84)
        digits(rest / 3_600_000, 2, &bytes)
        bytes.append(58)
        digits(rest / 60_000 % 60, 2, &bytes)
        bytes.append(58)
        digits(rest / 1_000 % 60, 2, &bytes)
        bytes.append(46)
        digits(rest % 1_000, 3, &bytes)
        bytes.append(90)
    }

    /// The wall clock, for lines people read; durations come from elsewhere.
    @Sendable package static func nowMilliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    private static func digits(_ value: Int64, _ count: Int, _ bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<count { divisor *= 10 }
        while divisor > 0 {
            bytes.append(48 + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    private static func floorDivide(_ value: Int64, _ by: Int64) -> Int64 {
        value >= 0 ? value / by : (value - by + 1) / by
    }
}
