/// How long an exchange may reasonably be silent on a worker: what its clocks are set by. Seconds.
///
/// A forecast is wrong in both directions, so a clock that rings asks before it punishes; these are the moments of asking.
package struct WaitForecast: Sendable {
    /// The shortest and the longest wait for a first event that is ever allowed.
    static let firstEventMin = 15.0
    static let firstEventMax = 600.0
    /// The shortest silence between two events that is looked into.
    static let betweenEventsMin = 10.0
    /// Steps of decoding that may pass in silence.
    static let stepsMax = 20.0
    /// A forecast made of measurements may be three times too short, one made of priors ten times.
    static let factorMeasured = 3.0
    static let factorPrior = 10.0
    /// Prompt tokens of one step of a worker that tells its progress.
    static let progressStep = 2_048.0

    /// Until what stands before it is computed.
    package let ahead: Double
    /// Until the first event of a stream.
    package let firstEvent: Double
    /// From one sign of progress in the prompt to the next.
    package let progress: Double
    package let betweenEvents: Double
    /// Until a whole answer that comes at once.
    package let wholeAnswer: Double
    /// Computing the prompt anew, elsewhere: what a retry costs.
    package let prefill: Double
    /// One step of decoding among `batch` streams.
    package let step: Double

    /// `ahead`: prompt tokens that the worker has taken on before; `uncached`: those of this one; `ceiling`: the most that
    /// it may answer; `confidence`: 0…1, how much of the rates is measured.
    package init(
        ahead: Int, uncached: Int, ceiling: Int, batch: Int, prefillRate: Double, decodeRate: Double, slope: Double,
        confidence: Double
    ) {
        let factor = Self.factorPrior + (Self.factorMeasured - Self.factorPrior) * min(max(confidence, 0), 1)
        let prefillRate = max(prefillRate, 1)
        step = (1 + slope * Double(max(0, batch - 1))) / max(decodeRate, 0.1)
        prefill = Double(uncached) / prefillRate
        self.ahead = Double(ahead) / prefillRate
        let wait = self.ahead + prefill
        func within(_ seconds: Double, _ least: Double) -> Double { min(max(seconds, least), Self.firstEventMax) }
        firstEvent = within(wait * factor + 10, Self.firstEventMin)
        progress = within(max(20, 5 * Self.progressStep / prefillRate), Self.firstEventMin)
        betweenEvents = within(Self.stepsMax * step, Self.betweenEventsMin)
        wholeAnswer = within((wait + Double(ceiling) * step) * factor + 30, Self.firstEventMin)
    }
}
