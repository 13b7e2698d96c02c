/// How fast a worker runs a model, as its answers showed: sums of tokens and of the seconds they took, whose ratio takes
/// the place of the prior as they grow.
///
/// Sums and not averages of rates: an answer of a thousand tokens says more than one of twenty, and sums of several
/// replicas add up. Both halve every ten minutes, so that a new version of the server, or summer, is believed in time.
package import Determinism

package struct MeasuredRates: Sendable {
    /// Tokens at which a measurement is worth as much as the prior: a few answers.
    static let decodeTokensHalf = 200.0
    static let prefillTokensHalf = 2_000.0
    /// Shorter answers and prompts say more of the connection than of the chip.
    package static let decodeTokensMin = 16
    package static let prefillTokensMin = 256
    static let halfLifeSeconds = 600.0
    /// What the worker does just now, against what it usually does.
    static let recentHalfLifeSeconds = 15.0
    static let recentShare = 0.55
    /// What it did just now says little of now after this long.
    static let recentHoldsSeconds = 60.0
    /// Tokens just now without which nothing is concluded.
    static let recentTokensMin = 32.0

    private var decode = Sum(halfLifeSeconds: halfLifeSeconds)
    private var prefill = Sum(halfLifeSeconds: halfLifeSeconds)
    private var recent = Sum(halfLifeSeconds: recentHalfLifeSeconds)
    private var baseline = DecodeBaseline()
    /// It did worse than usual just now, as of its last answer.
    private var isBelowUsual = false
    private var lastAnswer = Instant.zero

    package init() {}

    struct Sum: Sendable {
        let halfLifeSeconds: Double
        private(set) var tokens = 0.0
        private(set) var seconds = 0.0
        private var at = Instant.zero

        init(halfLifeSeconds: Double) { self.halfLifeSeconds = halfLifeSeconds }

        var rate: Double? { seconds > 0 ? tokens / seconds : nil }

        mutating func add(_ tokens: Double, _ seconds: Double, at now: Instant) {
            let kept = Self.half(toThe: now.seconds(since: at) / halfLifeSeconds)
            self.tokens = self.tokens * kept + tokens
            self.seconds = self.seconds * kept + seconds
            at = max(at, now)
        }

        /// 2⁻ˣ: the whole part moves the exponent, the rest is the first terms of e^(−x·ln 2), good to six digits.
        static func half(toThe power: Double) -> Double {
            guard power > 0 else { return 1 }
            guard power < 1_000 else { return 0 }
            let whole = power.rounded(.down)
            let x = (power - whole) * 0.693_147_180_559_945_3
            let rest = 1 - x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7))))))
            return Double(sign: .plus, exponent: -Int(whole), significand: rest)
        }
    }

    // MARK: Samples

    /// An answer's tokens after its first, and how long they took. `batch`: streams that ran side by side, each of which
    /// makes a step longer by `slope`; `share`: what others left of the GPU. The rate that is kept is that of one stream
    /// alone on a Mac that nobody else uses.
    package mutating func noteDecode(
        tokens: Int, seconds: Double, batch: Double, slope: Double, share: Double = 1, at now: Instant
    ) {
        guard tokens >= Self.decodeTokensMin, seconds > 0 else { return }
        let alone = Double(tokens) * (1 + slope * max(0, batch - 1))
        decode.add(alone, seconds * share, at: now)
        recent.add(alone, seconds * share, at: now)
        baseline.note(alone, seconds * share, at: now)
        lastAnswer = max(lastAnswer, now)
        // Against a rate that stands still meanwhile: the other sums learn from what they should judge.
        guard recent.tokens >= Self.recentTokensMin, let just = recent.rate, let usual = baseline.rate else { return }
        isBelowUsual = just < usual * Self.recentShare
    }

    /// A prompt that was computed at once, without its cached part, and the seconds until its first token.
    package mutating func notePrefill(tokens: Int, seconds: Double, share: Double = 1, at now: Instant) {
        guard tokens >= Self.prefillTokensMin, seconds > 0 else { return }
        prefill.add(Double(tokens), seconds * share, at: now)
    }

    // MARK: Estimates

    /// Tokens a second of one stream alone, with the share of the GPU that others leave. A worker that is slow just now is
    /// taken at its present word, for as long as that holds: without an answer it may have recovered.
    package func decodeRate(prior: Double, share: Double = 1, at now: Instant) -> Double {
        let usual = Self.blend(decode, prior, half: Self.decodeTokensHalf)
        guard isBelowUsual, now.seconds(since: lastAnswer) < Self.recentHoldsSeconds, let just = recent.rate else {
            return usual * share
        }
        return min(usual, just) * share
    }

    package func prefillRate(prior: Double) -> Double { Self.blend(prefill, prior, half: Self.prefillTokensHalf) }

    /// How much of the estimate is measured, 0…1.
    package var decodeConfidence: Double { Self.confidence(decode, Self.decodeTokensHalf) }
    package var prefillConfidence: Double { Self.confidence(prefill, Self.prefillTokensHalf) }

    /// It has decoded far below its own usual rate for a minute: heat, or somebody else's work.
    package func isSlow(at now: Instant) -> Bool { baseline.pace(at: now) == .slow }

    /// It decodes as it usually does, or nobody knows how it usually does.
    package func isUsual(at now: Instant) -> Bool { baseline.pace(at: now) == .usual }

    private static func confidence(_ sum: Sum, _ half: Double) -> Double { sum.tokens / (sum.tokens + half) }

    private static func blend(_ sum: Sum, _ prior: Double, half: Double) -> Double {
        guard let measured = sum.rate else { return prior }
        let confidence = confidence(sum, half)
        return confidence * measured + (1 - confidence) * prior
    }
}
