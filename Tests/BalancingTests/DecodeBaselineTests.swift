import Determinism
import Testing

@testable import Balancing

@Suite("A worker's own usual rate")
struct DecodeBaselineTests {
    /// Answers of a hundred tokens, one every `every` seconds, at a share of fifty tokens a second.
    private func decode(
        _ baseline: inout DecodeBaseline, _ share: Double, from: Double, to: Double, every: Double = 4,
        noise: (() -> Double)? = nil
    ) -> [DecodeBaseline.Pace] {
        stride(from: from, to: to, by: every).map { second in
            baseline.note(100, 100 / (50 * share * (noise?() ?? 1)), at: .at(second))
            return baseline.pace(at: .at(second))
        }
    }

    @Test(
        "far below its own rate for a minute is slow, a moment less is not; the rate that it is held against stands still",
        arguments: [0.1, 0.4, 0.49])
    func slow(share: Double) {
        var baseline = DecodeBaseline()
        #expect(Set(decode(&baseline, 1, from: 0, to: 600)) == [.usual])
        let paces = decode(&baseline, share, from: 600, to: 1_200)
        #expect(Set(paces.prefix(15)) == [.doubtful] && Set(paces.dropFirst(15)) == [.slow])
        #expect(baseline.rate.map { abs($0 - 50) < 1e-6 } == true)
        #expect(Set(decode(&baseline, 0.9, from: 1_200, to: 1_300)) == [.usual])
    }

    @Test("what is only worse is not slow, however long", arguments: [0.51, 0.6, 0.8])
    func worse(share: Double) {
        var baseline = DecodeBaseline()
        _ = decode(&baseline, 1, from: 0, to: 600)
        #expect(!decode(&baseline, share, from: 600, to: 4_000).contains(.slow))
    }

    @Test("between slow and usual nothing is concluded: what was slow is doubtful, and no word is told of it")
    func between() {
        var baseline = DecodeBaseline()
        _ = decode(&baseline, 1, from: 0, to: 600)
        #expect(decode(&baseline, 0.3, from: 600, to: 700).last == .slow)
        #expect(Set(decode(&baseline, 0.55, from: 700, to: 900)) == [.doubtful])
        #expect(decode(&baseline, 0.3, from: 900, to: 904) == [.slow])
        #expect(decode(&baseline, 0.6, from: 904, to: 908) == [.usual])
    }

    @Test("a stutter is no slowness: two answers, whatever time lies between them, or a good one among bad ones")
    func stutter() {
        var baseline = DecodeBaseline()
        _ = decode(&baseline, 1, from: 0, to: 600)
        #expect(decode(&baseline, 0.1, from: 600, to: 900, every: 200) == [.doubtful, .doubtful])
        #expect(decode(&baseline, 0.1, from: 900, to: 904) == [.slow])
        for start in stride(from: 1_000.0, to: 2_000, by: 50) {
            _ = decode(&baseline, 1, from: start, to: start + 4)
            #expect(!decode(&baseline, 0.1, from: start + 4, to: start + 50).contains(.slow))
        }
    }

    @Test("whoever stays so for an hour is like that now")
    func believed() {
        var baseline = DecodeBaseline()
        _ = decode(&baseline, 1, from: 0, to: 600)
        let paces = decode(&baseline, 0.3, from: 600, to: 4_200)
        #expect(paces.last == .slow)
        #expect(Set(decode(&baseline, 0.3, from: 4_200, to: 6_000)) == [.usual])
        #expect(baseline.rate.map { abs($0 - 15) < 1e-6 } == true)
        // Its own old rate is then no slowness either.
        #expect(Set(decode(&baseline, 1, from: 6_000, to: 7_000)) == [.usual])
    }

    @Test(
        "before there is a rate of its own nothing is slow, and a worker that was never faster is none",
        arguments: [(4, DecodeBaseline.Pace.usual), (6, .doubtful)])
    func young(answers: Int, pace: DecodeBaseline.Pace) {
        var baseline = DecodeBaseline()
        _ = decode(&baseline, 1, from: 0, to: Double(answers * 4))
        #expect(decode(&baseline, 0.2, from: 30, to: 34) == [pace])
        var always = DecodeBaseline()
        #expect(Set(decode(&always, 0.2, from: 0, to: 600)) == [.usual])
    }

    @Test(
        "with answers that scatter by two fifths, 0.4 is noticed within 75 seconds and 0.75 never", arguments: 0..<100)
    func noise(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let noise = { 0.8 + random.fraction() * 0.4 }
        var baseline = DecodeBaseline()
        #expect(Set(decode(&baseline, 1, from: 0, to: 1_200, noise: noise)) == [.usual])
        var warm = baseline
        #expect(!decode(&warm, 0.75, from: 1_200, to: 3_000, noise: noise).contains(.slow))
        #expect(decode(&baseline, 0.4, from: 1_200, to: 1_275, noise: noise).contains(.slow))
    }
}
