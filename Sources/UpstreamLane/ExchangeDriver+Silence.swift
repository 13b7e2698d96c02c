/// A worker that is silent for longer than was forecast: asked before it is given up. And what its answers show of its
/// speed, of which forecasts are made.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import ReplicaCore

extension ExchangeDriver {
    // MARK: Forecasts

    /// Nil for a worker that cannot be asked: what one token costs there may be money.
    func clocks(for placed: PlacedWorker, _ scanned: ScannedRequest) -> AttemptClocks? {
        guard placed.dialect.traits.canary != .money else { return nil }
        return AttemptClocks(machine.policy, forecast(for: placed, scanned))
    }

    /// What computing this prompt again would take elsewhere, as this worker's speed has it; nil without a worker.
    var forecastPrefill: Double? {
        guard let placement, let scanned, placement.dialect.traits.canary != .money else { return nil }
        return forecast(for: placement, scanned).prefill
    }

    private func forecast(for placed: PlacedWorker, _ scanned: ScannedRequest) -> WaitForecast {
        let entry = view.models[modelPosition]
        let known = entry.placements[placed.position]
        let board = loop.shared.board
        let now = loop.now()
        let vitals = board.loads.vitals(placed.worker.index, at: now)
        let speeds = board.speeds(placed.worker.index, model: entry.index, known, vitals, at: now)
        return WaitForecast(
            ahead: placed.promptTokensAhead, uncached: placed.promptTokens, ceiling: ceiling(scanned),
            batch: placed.batch,
            prefillRate: speeds.prefill, decodeRate: speeds.decode, slope: known.stepSlope,
            confidence: min(speeds.prefillConfidence, speeds.decodeConfidence))
    }

    private func ceiling(_ scanned: ScannedRequest) -> Int {
        scanned.outputCeiling
            ?? view.models[modelPosition].placements[placement?.position ?? 0].maxOutputTokens
            ?? ModelOnWorker.maxOutputTokensUsual
    }

    // MARK: Silence

    func workerIsSilent(at now: Instant) {
        guard let placement, let scanned else { return }
        // Only the worker's goodbye is missing.
        if stream?.isProven == true { return streamEnded() }
        let board = loop.shared.board
        let worker = placement.worker.index
        if machine.askedAt != .never { return lookForAnswer(at: now) }
        let silence = now.seconds(since: machine.lastSign)
        // While it loads nothing can come; how long it may load is its own clock.
        if board.condition(worker) == .loading { return machine.waitOn(at: now) }
        // Tokens for others are no tokens for us, but the worker lives.
        if board.lastToken(worker) > machine.lastSign, now.seconds(since: board.lastToken(worker)) < Self.othersSeconds
        {
            return machine.waitOn(at: now)
        }
        let withheld = scanned.needs.intersection(placement.dialect.traits.withholds)
        if !withheld.isEmpty {
            let left = Double(ceiling(scanned)) * forecast(for: placement, scanned).step * 3
            if silence < min(left, Self.withheldSecondsMax) { return machine.waitOn(at: now) }
        }
        guard machine.timesAsked < ExchangeMachine.asksMax else { return giveUp(at: now) }
        board.tellHealth(worker, .silence, at: now)
        machine.asked(at: now)
    }

    /// A token of another exchange this long ago says that the worker lives.
    private static let othersSeconds = 10.0
    /// What is written in silence is waited for this long at the most.
    private static let withheldSecondsMax = 300.0

    private func lookForAnswer(at now: Instant) {
        guard let placement else { return }
        let answers = loop.shared.board.canaries(placement.worker.index)
        // Another exchange's question of a moment ago is as good as ours.
        if answers.failed >= machine.askedAt { return giveUp(at: now) }
        if answers.clean >= machine.askedAt { return machine.waitOn(at: now) }
        guard now < machine.answerDue else { return giveUp(at: now) }
        machine.awaitAnswer(at: now)
    }

    private func giveUp(at now: Instant) {
        let silence = Int(now.seconds(since: machine.lastSign).rounded())
        attemptFailed(
            firstEventAt == .never ? .firstByteTimedOut : .stalled,
            "no token for \(silence) s, and none for our own question")
    }

    // MARK: Rates

    /// What a whole answer showed of its worker's cache.
    func noteCache(of placed: PlacedWorker) {
        guard let usage, let scanned else { return }
        let entry = view.models[modelPosition]
        if scanned.choices == 1, usage.completion > 0 { loop.noteAnswer(of: entry.index, tokens: usage.completion) }
        guard view.strategy == .prefixAffinity || view.strategy == .resourceAware else { return }
        loop.shared.beliefs.correct(
            scanned.prefixFingerprint, of: entry.index, at: placed.worker.index,
            life: loop.shared.board.incarnation(placed.worker.index),
            believed: placed.dialect.traits.tellsCachedTokens ? placed.believedCached : 0, cached: usage.cached,
            tokens: usage.prompt + usage.completion)
    }

    /// What a whole answer showed of its worker's speed.
    func noteRates(of placed: PlacedWorker, at now: Instant) {
        guard let usage, let scanned, firstEventAt != .never, attemptSentAt != .never, scanned.choices == 1 else {
            return
        }
        let isStream = answer == .stream || (answer == .assembled && series == nil)
        guard isStream else { return }
        let board = loop.shared.board
        let entry = view.models[modelPosition]
        let slope = entry.placements[placed.position].stepSlope
        // Itself is still counted among those that run.
        let foreign = board.foreign(placed.worker.index, at: now)
        let batch = Double(placed.batch + board.running(placed.worker.index) + foreign) / 2
        let uncached = usage.prompt - usage.cached
        let prefillSeconds = firstEventAt.seconds(since: attemptSentAt)
        let decodeSeconds = lastEventAt.seconds(since: firstEventAt)
        let learnsPrefill =
            placed.dialect.traits.tellsCachedTokens && placed.promptTokensAhead == 0
            && uncached >= MeasuredRates.prefillTokensMin
        let learnsDecode = usage.completion > MeasuredRates.decodeTokensMin && decodeSeconds > 0
        guard learnsPrefill || learnsDecode else { return }
        let share = board.loads.vitals(placed.worker.index, at: now)?.shareForUs ?? 1
        var isSlow = false
        var isUsual = false
        board.noteRates(placed.worker.index, model: entry.index) { rates in
            if learnsDecode {
                rates.noteDecode(
                    tokens: usage.completion - 1, seconds: decodeSeconds, batch: batch, slope: slope, share: share,
                    at: now)
            }
            if learnsPrefill {
                rates.notePrefill(tokens: uncached, seconds: prefillSeconds, share: share, at: now)
            }
            isSlow = rates.isSlow(at: now)
            isUsual = learnsDecode && rates.isUsual(at: now)
        }
        if isSlow {
            board.tellHealth(placed.worker.index, .impaired(.slow), at: now)
        } else if isUsual, board.condition(placed.worker.index) == .degraded(.slow) {
            board.tellHealth(placed.worker.index, .relieved(.slow), at: now)
        }
    }
}
