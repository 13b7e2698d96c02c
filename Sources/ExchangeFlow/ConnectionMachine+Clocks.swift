/// The connection's clocks, all of them numbers: `idle`, `body_gap`, `linger`, `write_stall`. One deadline is
/// published; a chunk that arrives only moves a number.
package import Determinism

extension ConnectionMachine {
    /// `.never` when no clock runs.
    package var nextDeadline: Instant { min(stageDeadline, stallDeadline) }

    private var stageDeadline: Instant {
        switch stage {
        case .idle:
            return transport == .http1 && !isEndUnflushed ? quietSince + limits.idle : .never
        case .lane, .routed:
            let ending = keptClose == .none ? Instant.never : closingSince + limits.linger
            guard isRequestOpen, isReadPending, !isReadGated else { return ending }
            return min(ending, quietSince + limits.bodyGap + slack)
        case .closing:
            return closingSince + (isAwaitingEnd ? limits.writeStall : limits.linger)
        case .closed:
            return .never
        }
    }

    private var stallDeadline: Instant {
        isWritable || stage == .closed ? .never : stalledSince + limits.writeStall + slack
    }

    private var slack: Duration { hasOpenExchange ? ConnectionLimits.backstop : .zero }

    mutating func tick(at now: Instant, into effects: inout [ConnectionEffect]) {
        if stallDeadline <= now { return cutOff(into: &effects) }
        guard stageDeadline <= now else { return }
        switch stage {
        case .lane where keptClose == .none && isResponseOpen && !isHeadOut:
            effects.append(.cancelExchange)
            answer(.bodyTooSlow, at: now, into: &effects)
        case .lane where keptClose == .none && !isResponseOpen:
            startClosing(at: now, into: &effects)
        case .idle, .lane, .routed, .closing: cutOff(into: &effects)
        case .closed: break
        }
    }

    /// Nothing truthful can be said any more, or nobody listens.
    private mutating func cutOff(into effects: inout [ConnectionEffect]) {
        if stage == .lane { abandonExchange(into: &effects) }
        dropHeld(into: &effects)
        stage = .closed
        effects.append(.close(.all))
    }
}
