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
        /// The worker is silent for longer than was forecast: look into it, and say what follows.
        case silent
        case writeStallExpired
        case keepaliveDue
    }

    package var nextDeadline: Instant {
        guard phase != .settled else { return .never }
        let phaseClock = isHoldingWorker && phase == .answering ? Instant.never : phaseDeadline
        return min(min(phaseClock, keepaliveAt), min(totalDeadline, writeDeadline), isHoldingWorker ? .never : askAt)
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
        if now >= askAt, !isHoldingWorker, phase == .sent || phase == .answering {
            askAt = .never
            return .silent
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
            phaseDeadline = max(phaseDeadline, now + clocks.stall)
            if let asking = clocks.asking { askAt = now + asking.betweenEvents }
        }
    }

    // MARK: Silence

    /// Times that a silent worker may prove that it lives without a word for this exchange.
    package static let asksMax = 2
    /// While its answer to our question is awaited, how often we look for it.
    static let answerLook = Duration.milliseconds(250)

    /// Its silence is explained, for now: the same patience again.
    package mutating func waitOn(at now: Instant) {
        guard let asking = clocks.asking else { return }
        askedAt = .never
        answerDue = .never
        askAt = now + (answersByEvents ? (isBeforeContent ? asking.progress : asking.betweenEvents) : asking.whole)
    }

    /// The worker is asked for a token; what it says is looked for until `answerDue`.
    package mutating func asked(at now: Instant) {
        guard let asking = clocks.asking else { return }
        timesAsked += 1
        askedAt = now
        answerDue = now + asking.answer
        askAt = min(answerDue, now + Self.answerLook)
    }

    /// It has not answered yet, and has time.
    package mutating func awaitAnswer(at now: Instant) { askAt = min(answerDue, now + Self.answerLook) }

    /// Seconds an honest `Retry-After` may name, given how long a slot is usually held.
    ///
    /// `waiting` tickets stand before a new one, `slots` are served side by side: (waiting + 1) · hold / slots,
    /// within 1 … 60.
    package static func retryAfterSeconds(waiting: Int, slots: Int, holdSeconds: Double) -> Int {
        let wait = Double(waiting + 1) * holdSeconds / Double(max(slots, 1))
        return Int(min(max(wait.rounded(.up), 1), 60))
    }
}
