import Testing

@testable import UpstreamLane

@Suite("CalendarText")
struct CalendarTextTests {
    @Test(
        "known dates in RFC 9110's words",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT"), (1_677_628_800, "Wed, 01 Mar 2023 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] as [(Int64, String)])
    func httpDate(seconds: Int64, text: String) {
        #expect(CalendarText.httpDate(ofSeconds: seconds) == text)
    }

    @Test("a stamp has two digits everywhere and sorts like time")
    func stamp() {
        #expect(CalendarText.stamp(ofSeconds: 784_111_777) == "1994-11-06T08:49:37")
        var last = ""
        for day in 0..<400 {
            let text = CalendarText.stamp(ofSeconds: 1_700_000_000 + Int64(day) * 86_400)
            #expect(text.utf8.count == 19 && text > last)
            last = text
        }
    }

    @Test("every day of four centuries follows the one before it")
    func everyDay() {
        var before = CalendarText.parts(ofSeconds: -86_400)
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        for day in 0..<(400 * 366) {
            let now = CalendarText.parts(ofSeconds: Int64(day) * 86_400)
            let isLeap = before.year % 4 == 0 && (before.year % 100 != 0 || before.year % 400 == 0)
            let length = lengths[before.month - 1] + (isLeap && before.month == 2 ? 1 : 0)
            let isNewMonth = before.day == length
            guard now.day == (isNewMonth ? 1 : before.day + 1), now.weekday == (before.weekday + 1) % 7,
                now.month == (isNewMonth ? before.month % 12 + 1 : before.month),
                now.year == before.year + (isNewMonth && before.month == 12 ? 1 : 0)
            else {
                Issue.record("day \(day): \(now) after \(before)")
                return
            }
            before = now
        }
    }
}
