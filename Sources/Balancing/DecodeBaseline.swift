/// A worker's own usual rate of decoding, and for how long it has been far below it: heat, or somebody else's work.
///
/// The usual rate is a ratio of sums with a half-life of an hour, so a few odd answers do not move it. While a worker is far
/// below it the sums stand still: a baseline that follows what it should judge forgives everything within minutes. But
/// whoever stays so for an hour is not ill, it is like that now (a new version, summer), and begins anew.
import Determinism

struct DecodeBaseline: Sendable {
    static let halfLifeSeconds = 3_600.0
    /// What counts as far below. A chip that is throttled to 0.4 measures up to a fifth more now and then, since how many
    /// streams ran beside an answer is known at its two ends only; and it should not be missed.
    static let slowShare = 0.5
    /// What counts as usual again. Between the two nothing is concluded.
    static let usualShare = 0.6
    static let slowAfterSeconds = 60.0
    /// Answers without which a minute of slowness may be one answer's bad luck.
    static let slowAnswersMin = 3
    static let believedAfterSeconds = 3_600.0
    /// Tokens that make a baseline: some answers.
    static let tokensMin = 500.0

    enum Pace: Equatable, Sendable {
        case usual
        /// It decoded too slowly, for too short a time to say more; or neither slowly nor well.
        case doubtful
        case slow
    }

    private var sum = MeasuredRates.Sum(halfLifeSeconds: halfLifeSeconds)
    private var slowSince: Instant?
    private var slowAnswers = 0
    private var wasSlow = false

    /// Tokens as of one stream alone, and the seconds that they took.
    mutating func note(_ tokens: Double, _ seconds: Double, at now: Instant) {
        guard let rate, sum.tokens >= Self.tokensMin else { return sum.add(tokens, seconds, at: now) }
        let share = tokens / seconds / rate
        wasSlow = share < Self.slowShare
        guard let slowSince else {
            guard wasSlow else { return sum.add(tokens, seconds, at: now) }
            self.slowSince = now
            slowAnswers = 1
            return
        }
        if wasSlow { slowAnswers += 1 }
        let isBelieved = now.seconds(since: slowSince) >= Self.believedAfterSeconds
        guard share >= Self.usualShare || isBelieved else { return }
        if isBelieved { sum = MeasuredRates.Sum(halfLifeSeconds: Self.halfLifeSeconds) }
        sum.add(tokens, seconds, at: now)
        self.slowSince = nil
        wasSlow = false
    }

    /// Tokens a second of one stream alone; nil before the first answer.
    var rate: Double? { sum.rate }

    func pace(at now: Instant) -> Pace {
        guard let slowSince else { return .usual }
        let isLong = now.seconds(since: slowSince) >= Self.slowAfterSeconds && slowAnswers >= Self.slowAnswersMin
        return isLong && wasSlow ? .slow : .doubtful
    }
}
