/// Whether a worker may be given work, as far as this replica knows: one state machine per worker.
///
/// Three rules stand above the table. Tokens are proof of life; an HTTP answer is not, since the thread that answers
/// probes lives on after its engine died. A refused connection acts at once. Loading is not death: a worker that says so
/// is waited for, up to a limit.
///
/// From `loading` a canary (the smallest request there is) or any answered exchange leads to `healthy`. `down` is left
/// for `loading` by a sign of life; after an engine's death only after a pause that doubles, because such a worker calls
/// itself well for ever.
package import Determinism

package struct WorkerHealth: Sendable {
    package enum Input: Hashable, Sendable {
        /// A probe was answered, and nothing is loading.
        case probeAlive
        case probeLoading
        /// No answer, or one that says nothing.
        case probeFailed
        case connectRefused
        /// An exchange brought tokens and ended well.
        case tokensSeen
        /// An answer or a probe said that the engine is dead.
        case deadVerdict
        /// No token for longer than there should be one: nothing proven yet, it is to be asked.
        case silence
        /// A failure that may be the worker's or the request's.
        case ambiguousFailure
        case canaryClean
        case canaryFailed
        /// It works, worse than it should.
        case impaired(WorkerCondition.Why)
        /// What impaired it is gone, as whoever told of it sees.
        case relieved(WorkerCondition.Why)
        /// The operator takes it out.
        case drain
        /// Nothing runs there any more.
        case idle
        /// The operator brings it back.
        case resume
    }

    package enum Effect: Hashable, Sendable {
        case changed(from: WorkerCondition, to: WorkerCondition)
        /// Ask it for one token, and tell `canaryClean` or `canaryFailed`.
        case wantsCanary
    }

    /// Failed probes in a row until it is flaky, and until it is down: two rounds of one monitor, two of two.
    static let failuresUntilFlaky = 2
    static let failuresUntilDown = 4
    static let cleanUntilHealthy = 3
    static let canariesFailedMax = 2
    static let canaryEvery = Duration.seconds(5)
    static let pauseFirst = Duration.seconds(5)
    static let pauseMax = Duration.seconds(60)
    /// Well for this long: an old death says nothing about the next one.
    static let pauseForgotten = Duration.seconds(300)
    static let loadingMax = Duration.seconds(900)
    /// An impairment counts as gone when it was not told again for this long.
    static let impairmentHolds = Duration.seconds(10)
    /// Of a slow one nothing is heard while others do its work, and no canary of one token shows a rate. After this long
    /// it is tried, by clients who may be unlucky.
    static let slownessHolds = Duration.seconds(60)

    package private(set) var condition = WorkerCondition.loading
    private var probesFailed = 0
    private var canariesFailed = 0
    private var clean = 0
    private var canaryAsked: Instant?
    private var lastTokens: Instant?
    private var lastImpaired: Instant?
    /// Since when it says without a break that it loads.
    private var loadingSince: Instant?
    private var changedAt = Instant.zero
    private var pause = pauseFirst
    /// A sign of life before this counts for nothing.
    private var pausedUntil = Instant.zero

    package init() {}

    package mutating func handle(_ input: Input, at now: Instant) -> [Effect] {
        let before = condition
        noteEvidence(of: input, at: now)
        let next = successor(of: input, at: now)
        var effects: [Effect] = []
        if next != before {
            enter(next, from: before, at: now)
            effects.append(.changed(from: before, to: next))
        }
        if asksForCanary(after: input), canaryAsked.map({ now >= $0 + Self.canaryEvery }) ?? true {
            canaryAsked = now
            effects.append(.wantsCanary)
        }
        return effects
    }

    // MARK: What was seen

    private mutating func noteEvidence(of input: Input, at now: Instant) {
        switch input {
        case .probeAlive:
            probesFailed = 0
            loadingSince = nil
        case .probeLoading:
            probesFailed = 0
            loadingSince = loadingSince ?? now
        case .probeFailed: probesFailed += 1
        case .tokensSeen, .canaryClean:
            probesFailed = 0
            canariesFailed = 0
            clean += 1
            lastTokens = now
            loadingSince = nil
        case .canaryFailed:
            if isProvenSinceCanary { break }
            canariesFailed += 1
            clean = 0
        case .impaired:
            lastImpaired = now
            clean = 0
        case .relieved(let why): if condition == .degraded(why) { lastImpaired = nil }
        case .ambiguousFailure, .deadVerdict, .connectRefused: clean = 0
        case .silence, .drain, .idle, .resume: break
        }
    }

    /// Tokens came after the canary was asked: whatever became of it, the worker lives.
    private var isProvenSinceCanary: Bool {
        guard let lastTokens, let canaryAsked else { return false }
        return lastTokens >= canaryAsked
    }

    // MARK: What follows

    private func successor(of input: Input, at now: Instant) -> WorkerCondition {
        switch condition {
        case .draining: return draining(input)
        case .down(let why): return down(why, input, at: now)
        case .loading, .healthy, .degraded: break
        }
        switch input {
        case .drain: return .draining
        case .connectRefused: return .down(.refused)
        case .deadVerdict: return .down(.dead)
        case .probeFailed:
            if probesFailed >= Self.failuresUntilDown { return .down(.unreachable) }
            return condition == .healthy && probesFailed >= Self.failuresUntilFlaky ? .degraded(.flaky) : condition
        case .probeLoading:
            guard let loadingSince else { return condition }
            return now >= loadingSince + Self.loadingMax ? .down(.load) : .loading
        case .impaired(let why):
            switch (condition, why) {
            case (.loading, _): return .loading
            // What is known of it says more than that its exchanges fail.
            case (.degraded, .flaky): return condition
            default: return .degraded(why)
            }
        case .tokensSeen, .canaryClean:
            guard case .degraded(let why) = condition else { return .healthy }
            let holds = why == .slow ? Self.slownessHolds : Self.impairmentHolds
            let isGone = lastImpaired.map { now >= $0 + holds } ?? true
            return isGone && (input == .canaryClean || clean >= Self.cleanUntilHealthy) ? .healthy : condition
        case .canaryFailed: return canaryFailed()
        case .probeAlive, .silence, .ambiguousFailure, .relieved, .idle, .resume: return condition
        }
    }

    private func canaryFailed() -> WorkerCondition {
        if isProvenSinceCanary { return condition }
        switch condition {
        case .healthy: return .degraded(.stalled)
        case .degraded: return .down(.canary)
        default: return canariesFailed >= Self.canariesFailedMax ? .down(.canary) : condition
        }
    }

    /// Refused connections are how some servers drain, so they say nothing here.
    private func draining(_ input: Input) -> WorkerCondition {
        switch input {
        case .idle: .down(.drained)
        case .resume: .loading
        default: .draining
        }
    }

    private func down(_ why: WorkerCondition.Why, _ input: Input, at now: Instant) -> WorkerCondition {
        if why == .drained { return input == .resume ? .loading : condition }
        switch input {
        case .drain: return .draining
        case .resume, .tokensSeen: return .loading
        case .canaryClean: return .healthy
        case .connectRefused: return .down(.refused)
        case .deadVerdict: return .down(.dead)
        case .probeLoading: return why == .load ? condition : .loading
        case .probeAlive: return now >= pausedUntil ? .loading : condition
        default: return condition
        }
    }

    private mutating func enter(_ next: WorkerCondition, from before: WorkerCondition, at now: Instant) {
        if before == .healthy, now >= changedAt + Self.pauseForgotten { pause = Self.pauseFirst }
        condition = next
        changedAt = now
        clean = 0
        canariesFailed = 0
        switch next {
        case .down(.dead), .down(.canary):
            pausedUntil = now + pause
            pause = min(pause * 2, Self.pauseMax)
        case .down:
            // Whoever answers after it refused or was silent has come back, and need not wait.
            pausedUntil = now
        case .loading:
            // A canary of its life before says nothing of this one, and is no reason to wait.
            if case .down = before { canaryAsked = nil }
        case .healthy, .degraded, .draining: break
        }
    }

    /// Only a worker that answers is asked: the next probe comes soon enough for one that does not.
    private func asksForCanary(after input: Input) -> Bool {
        switch (condition, input) {
        case (.loading, .probeAlive), (.degraded, .probeAlive): true
        case (.loading, .ambiguousFailure), (.healthy, .ambiguousFailure), (.degraded, .ambiguousFailure): true
        case (.loading, .silence), (.healthy, .silence), (.degraded, .silence): true
        default: false
        }
    }
}
