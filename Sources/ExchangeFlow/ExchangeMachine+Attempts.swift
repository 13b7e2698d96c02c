/// May another worker be asked? The one place that knows.
package import Determinism

extension ExchangeMachine {
    package enum AfterAttempt: Sendable, Equatable {
        /// Same worker, fresh connection: a stale one proves nothing.
        case retryFresh
        /// The next candidate.
        case failover
        /// No other attempt: the client hears of this one.
        case conclude
    }

    /// From here on this many attempts in all.
    package mutating func limitAttempts(to limit: Int) { attemptsLimit = limit }

    /// One attempt is over without an answer. `prefillSeconds`: what its prompt would cost again. `mayRetry` spends from the retry budget; it is asked only when everything
    /// else allows a retry that costs a worker something.
    package mutating func attemptEnded(
        _ outcome: AttemptOutcome, prefillSeconds: Double = 0, at now: Instant, mayRetry: () -> Bool
    ) -> AfterAttempt {
        guard phase != .settled, !isContentCommitted, outcome != .cancelled, outcome != .answered,
            outcome != .rejected
        else { return .conclude }
        if outcome == .stale, !hasRetriedFresh {
            hasRetriedFresh = true
            return .retryFresh
        }
        guard attempts < min(policy.attemptsMax, attemptsLimit), now < totalDeadline else { return .conclude }
        switch outcome {
        case .connectFailed, .connectTimedOut, .capacity:
            // Nothing was computed for it anywhere: moving on costs no worker anything.
            break
        case .firstByteTimedOut, .stalled:
            // Repeating a long prefill after a slow timeout makes the fleet slower, not safer.
            let isLong =
                promptTokens >= policy.longPromptTokens || prefillSeconds >= policy.repeatedPrefillSecondsMax
            if isLong, !policy.retriesLongPrompts { return .conclude }
            if !mayRetry() { return .conclude }
        default:
            if !mayRetry() { return .conclude }
        }
        phase = .placing
        phaseDeadline = .never
        return .failover
    }
}
