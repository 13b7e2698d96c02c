import Determinism
import Testing
import WireCoding

@testable import Membership

struct TimingTests {
    @Test(
        "logarithms in whole numbers are those of the books",
        arguments: [
            (1, 0), (2, 65_536), (3, 103_872), (10, 217_705), (1_000, 653_117), (1 << 40, 40 << 16),
        ])
    func logarithms(_ value: UInt64, _ q16: Int64) {
        #expect(BinaryLogarithm.q16(value) == q16)
    }

    @Test("logarithms never fall, and end below 64")
    func logarithmsRise() {
        let values = (1...2_000).map { BinaryLogarithm.q16($0) }
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 < $1 })
        #expect(BinaryLogarithm.q16(.max) == 64 << 16 - 1)
        #expect((1...9).map { BinaryLogarithm.ceiling($0) } == [0, 1, 2, 2, 3, 3, 3, 3, 4])
        #expect(BinaryLogarithm.ceiling(.max) == 64)
    }

    @Test(
        "suspicions wait longer in larger flocks",
        arguments: [
            // replicas, shortest and longest in milliseconds of T = 500 ms
            (1, 2_000, 12_000), (3, 2_000, 12_000), (10, 2_000, 12_000), (64, 2_000, 12_000), (65, 3_626, 21_755),
            (1_000, 6_000, 36_000),
            (10_000, 8_000, 48_000),
        ])
    func suspicions(_ replicas: Int, _ shortest: Int64, _ longest: Int64) {
        var timing = MembershipTiming()
        timing.period = .milliseconds(500)
        let terms = Suspicion.Terms(timing: timing, replicas: replicas, isLossy: false)
        #expect(abs(terms.shortest.wholeMilliseconds - shortest) <= 1)
        #expect(abs(terms.longest.wholeMilliseconds - longest) <= 6)
        #expect(terms.refusedWait == .milliseconds(750))
        let lossy = Suspicion.Terms(timing: timing, replicas: replicas, isLossy: true)
        #expect(lossy.shortest == terms.shortest * 2)
        // What ships only has another T.
        let shipped = Suspicion.Terms(timing: .lan, replicas: replicas, isLossy: false)
        let scaled = shortest * MembershipTiming.lan.period.wholeMilliseconds / 500
        #expect(abs(shipped.shortest.wholeMilliseconds - scaled) <= 1)
    }

    @Test(
        "counts that depend on the size of the flock",
        arguments: [
            // replicas, sends, K, K in heavy loss, seconds between syncs
            (1, 1, 0, 0, 15), (2, 1, 0, 0, 15), (3, 2, 1, 1, 15), (4, 3, 2, 2, 15), (10, 9, 2, 6, 15),
            (50, 18, 2, 6, 24),
            (1_000, 30, 2, 6, 89), (10_000, 42, 2, 6, 139),
        ])
    func counts(_ replicas: Int, _ sends: Int, _ wanted: Int, _ wantedLossy: Int, _ syncSeconds: Int64) {
        let timing = MembershipTiming.lan
        #expect(timing.sends(replicas: replicas) == sends)
        #expect(timing.confirmationsWanted(replicas: replicas, isLossy: false) == wanted)
        #expect(timing.confirmationsWanted(replicas: replicas, isLossy: true) == wantedLossy)
        #expect(timing.syncEvery(replicas: replicas).wholeSeconds == syncSeconds)
    }

    @Test("a round trip is smoothed as TCP does it")
    func roundTrips() {
        var trip = RoundTrip()
        #expect(trip.usualMax == nil)
        trip.learn(.milliseconds(100))
        // RFC 6298 §2.2: SRTT = R, RTTVAR = R ÷ 2.
        #expect(trip.usualMax == .milliseconds(300))
        trip.learn(.milliseconds(200))
        // §2.3: RTTVAR = ¾ · 50 + ¼ · |100 − 200|, SRTT = ⅞ · 100 + ⅛ · 200.
        #expect(trip.usualMax == .microseconds(112_500 + 4 * 62_500))
        for _ in 0..<200 { trip.learn(.milliseconds(10)) }
        #expect(trip.smoothedMicroseconds <= 10_007)
        for absurd in [Nanoseconds.zero, .nanoseconds(-5), .nanoseconds(.max)] { trip.learn(absurd) }
        #expect(trip.smoothedMicroseconds <= 60_000_000)
    }

    @Test("a climate needs much loss to turn, less to turn back, and a minute between")
    func climate() {
        var climate = LossClimate()
        var now = Instant.zero
        var turns: [(Instant, Int64)] = []
        // Of eight attempts so many are answered.
        func live(seconds: Int64, answered: Int) {
            for _ in 0..<(seconds * 2) {
                now = now + Nanoseconds.milliseconds(500)
                if climate.learn(sent: 8, answered: answered, at: now, holds: .seconds(60)) {
                    turns.append((now, climate.perMille))
                }
            }
        }
        live(seconds: 300, answered: 5)
        #expect(turns.isEmpty && climate.perMille > 360 && climate.perMille < 440)
        live(seconds: 300, answered: 3)
        #expect(climate.isLossy && turns.count == 1 && turns[0].1 >= 440)
        live(seconds: 300, answered: 5)
        #expect(climate.isLossy)
        live(seconds: 300, answered: 8)
        #expect(!climate.isLossy && turns.count == 2 && turns[1].1 < 360)
        // However fast the weather changes.
        let since = now
        for _ in 0..<20 {
            live(seconds: 30, answered: 0)
            live(seconds: 30, answered: 8)
        }
        let later = turns.map(\.0).filter { $0 > since }
        #expect(!later.isEmpty && zip(later, later.dropFirst()).allSatisfy { $1.span(since: $0) >= .seconds(60) })
    }

    @Test("M22: bytes of any span stay under the burst, its overdraft, and the rate", arguments: 0..<5)
    func budget(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var budget = ByteBudget(perSecond: 125_000, burst: 64_000, at: .zero)
        var now = Instant.zero
        var sent: [(Instant, Int)] = []
        for _ in 0..<1_000 {
            now = now + Nanoseconds.microseconds(Int64(random.below(5_000)))
            let count = 60 + Int(random.below(1_188))
            if budget.take(count, at: now) { sent.append((now, count)) }
        }
        var isKept = true
        for start in stride(from: 0, to: sent.count, by: 13) {
            var sum = 0
            for (at, count) in sent[start...] {
                sum += count
                let span = at.span(since: sent[start].0).rawValue
                isKept = isKept && Int64(sum) <= 80_000 + span / 1_000 * 125_000 / 1_000_000 + 1
            }
        }
        #expect(isKept)
        #expect(sent.count < 900, "the storm was none")
    }

    @Test("an empty bucket says when it will hold enough")
    func budgetDeadline() {
        var budget = ByteBudget(perSecond: 1_000, burst: 4_000, at: .zero)
        #expect(isTrue(budget.holds(4_000, at: .zero) && budget.holds(5_000, at: .zero)))
        #expect(isTrue(budget.take(4_000, at: .zero)))
        #expect(isTrue(budget.take(1_000, at: .zero)), "a quarter may be overdrawn")
        #expect(isTrue(!budget.take(1, at: .zero)))
        let when = budget.deadline(for: 500, at: .zero)
        #expect(when.span(since: .zero).wholeMilliseconds == 1_500)
        #expect(isTrue(!budget.holds(500, at: when + .milliseconds(-2))))
        #expect(isTrue(budget.holds(500, at: when + .microseconds(1))))
    }
}
