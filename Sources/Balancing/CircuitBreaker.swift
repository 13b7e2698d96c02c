/// Leaves a worker alone for one model after it failed there again and again, then tries it with a single exchange.
///
/// It opens after three failures in a row within a minute, or after ten among the last twenty outcomes. It stays open
/// for 5 s, doubling up to 60 s while trials fail, ± 20 % so that replicas do not all try in the same moment. Then one
/// exchange gets through; all others still see it open until that one has told.
package import Determinism

/// What a breaker says to an exchange that would go to its worker.
package enum Admission: Equatable, Sendable {
    case closed
    /// A permit for one: whoever holds it must record an outcome with `wasProbe`.
    case probe
    case refused
}

/// How an exchange ended, as far as the breaker cares. What the client caused and what only means "full" is neutral.
package enum Outcome: Equatable, Sendable {
    case success, failure, neutral
}

package struct CircuitBreaker: Sendable {
    static let failuresInRowMax = 3
    static let rowSeconds = 60.0
    static let outcomesKept = 20
    static let failuresKeptMax = 10
    static let openSeconds = 5.0
    static let openSecondsMax = 60.0
    /// A permit this old is given to another: its holder is lost, or so slow that it proves nothing any more.
    static let permitSeconds = 600.0

    package enum State: Equatable, Sendable {
        case closed
        case open(until: Instant)
        case halfOpen(since: Instant)
    }

    package private(set) var state = State.closed
    private var inRow = 0
    private var rowBegan = Instant.zero
    /// The last outcomes, the newest in bit 0; a failure is a one.
    private var outcomes: UInt32 = 0
    private var nextOpenSeconds = openSeconds

    package init() {}

    /// 0 closed, 1 half open, 2 open.
    package var level: Int {
        switch state {
        case .closed: 0
        case .halfOpen: 1
        case .open: 2
        }
    }

    /// Closed with no failure in sight, like a new one: recording a success would change nothing.
    package var isPristine: Bool { state == .closed && outcomes == 0 && inRow == 0 }

    /// What `admit` would say, without taking a permit.
    package func refuses(at now: Instant) -> Bool {
        var copy = self
        return copy.admit(at: now) == .refused
    }

    package mutating func admit(at now: Instant) -> Admission {
        switch state {
        case .closed: return .closed
        case .open(let until):
            guard now >= until else { return .refused }
        case .halfOpen(let since):
            guard now.seconds(since: since) >= Self.permitSeconds else { return .refused }
        }
        state = .halfOpen(since: now)
        return .probe
    }

    /// `jitter` is a fraction in 0…1 from the caller's generator.
    package mutating func record(_ outcome: Outcome, wasProbe: Bool, at now: Instant, jitter: Double) {
        switch state {
        case .closed: count(outcome, at: now, jitter)
        case .open: break
        case .halfOpen:
            // Exchanges that began before it opened come home late; only the trial decides.
            guard wasProbe else { return }
            switch outcome {
            case .success: self = CircuitBreaker()
            case .failure: open(at: now, jitter)
            // The trial proved nothing: the permit goes back, and the next exchange is the trial.
            case .neutral: state = .open(until: now)
            }
        }
    }

    private mutating func count(_ outcome: Outcome, at now: Instant, _ jitter: Double) {
        switch outcome {
        case .neutral: return
        case .success:
            inRow = 0
            outcomes = (outcomes << 1) & (1 << Self.outcomesKept - 1)
        case .failure:
            if inRow == 0 || now.seconds(since: rowBegan) > Self.rowSeconds {
                inRow = 0
                rowBegan = now
            }
            inRow += 1
            outcomes = (outcomes << 1 | 1) & (1 << Self.outcomesKept - 1)
            if inRow >= Self.failuresInRowMax || outcomes.nonzeroBitCount >= Self.failuresKeptMax {
                open(at: now, jitter)
            }
        }
    }

    private mutating func open(at now: Instant, _ jitter: Double) {
        let seconds = nextOpenSeconds * (0.8 + 0.4 * min(max(jitter, 0), 1))
        state = .open(until: now + .nanoseconds(Int64(seconds * 1e9)))
        nextOpenSeconds = min(nextOpenSeconds * 2, Self.openSecondsMax)
        inRow = 0
        outcomes = 0
    }
}
