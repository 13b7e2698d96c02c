/// The clocks of an exchange: each a number, one of them next.
package import Determinism

extension ExchangeMachine {
    /// Which clock rang, in the order in which they matter when several did.
    package enum Ring: Sendable, Equatable {
        case nothing
        case totalExpired
        case bodyGapExpired
        case queueExpired
        /// Still queued: look whether a slot is free.
        case lookAgain
        case connectExpired
        case firstByteExpired
        case stallExpired
        case writeStallExpired
        case keepaliveDue
    }

    package var nextDeadline: Instant {
        guard phase != .settled else { return .never }
        let phaseClock = isHoldingWorker && phase == .answering ? Instant.never : phaseDeadline
        return min(min(phaseClock, keepaliveAt), min(totalDeadline, writeDeadline))
    }

    package mutating func rang(at now: Instant) -> Ring {
        guard phase != .settled else { return .nothing }
        if now >= totalDeadline { return .totalExpired }
        if now >= writeDeadline { return .writeStallExpired }
        if now >= phaseDeadline {
            switch phase {
            case .collecting: return .bodyGapExpired
            case .queued:
                if now >= queueDeadline { return .queueExpired }
                phaseDeadline = min(queueDeadline, now + policy.queueLook)
                return .lookAgain
            case .connecting: return .connectExpired
            case .sent: return .firstByteExpired
            case .answering:
                if !isHoldingWorker { return isBeforeContent ? .firstByteExpired : .stallExpired }
            case .placing, .settled: break
            }
        }
        if now >= keepaliveAt {
            keepaliveAt = now + policy.keepaliveInterval
            return .keepaliveDue
        }
        return .nothing
    }

    /// The client's socket is full, or has room again. While it is full we hold the worker's bytes back, so the
    /// worker's clock stands still and the client's own runs.
    package mutating func clientWritable(_ writable: Bool, at now: Instant) {
        isHoldingWorker = !writable
        writeDeadline = writable ? .never : now + policy.writeStall
        if writable, phase == .answering, phaseDeadline != .never {
            phaseDeadline = max(phaseDeadline, now + policy.stall)
        }
    }

    /// Seconds an honest `Retry-After` may name, given how long a slot is usually held.
    ///
    /// `waiting` tickets stand before a new one, `slots` are served side by side: (waiting + 1) · hold / slots,
    /// within 1 … 60.
    package static func retryAfterSeconds(waiting: Int, slots: Int, holdSeconds: Double) -> Int {
        let wait = Double(waiting + 1) * holdSeconds / Double(max(slots, 1))
        return Int(min(max(wait.rounded(.up), 1), 60))
    }
}
