/// What happens to the connection itself: quiescing, half-closure, errors, closes from behind, the end.
import Determinism

extension ConnectionMachine {
    /// An answer of the lane is being made, or its end is written and waits for the flush.
    private var isLaneBusy: Bool { stage == .lane && (isResponseOpen || isEndUnflushed) }

    mutating func quiesce(at now: Instant, into effects: inout [ConnectionEffect]) {
        // A stream is told of GOAWAY by its connection; the state handler would reset it (section 14).
        guard transport == .http1 else { return }
        isQuiescing = true
        switch stage {
        case .lane:
            dropHeld(into: &effects)
            if !isLaneBusy { startClosing(at: now, into: &effects) }
        case .idle, .routed:
            dropHeld(into: &effects)
            effects.append(.forward)
        case .closing: break
        case .closed: effects.append(.forward)
        }
    }

    mutating func inputClosed(at now: Instant, into effects: inout [ConnectionEffect]) {
        switch stage {
        case .idle:
            if heldParts > 0, limits.halfClose == .finish { isInputClosed = true } else { leave(at: now, &effects) }
        case .lane:
            if isLaneBusy, !isRequestOpen, limits.halfClose == .finish {
                isInputClosed = true
            } else {
                abandonExchange(into: &effects)
                leave(at: now, &effects)
            }
        case .routed:
            if heldParts > 0, limits.halfClose == .finish {
                isInputClosed = true
            } else {
                dropHeld(into: &effects)
                effects.append(.forward)
            }
        case .closing:
            isInputClosed = true
            if isAwaitingEnd { return }
            stage = .closed
            effects.append(.forward)
            effects.append(.close(.all))
        case .closed: effects.append(.forward)
        }
    }

    /// Bytes that are not HTTP. Nothing more will be parsed on this connection.
    mutating func parserFailed(at now: Instant, into effects: inout [ConnectionEffect]) {
        // One comes with every further read; the first said it all.
        guard !mayRouterRefuse, stage != .closing, stage != .closed else { return }
        switch stage {
        case .idle where heldParts == 0 && !isEndUnflushed:
            mayRouterRefuse = true
            effects.append(.forward)
        case .routed where heldParts == 0:
            mayRouterRefuse = true
            effects.append(.forward)
        case .idle, .routed:
            // Requests wait between the open answer and the broken one, so a 400 now would answer the wrong one.
            closesAfter = true
            dropHeld(into: &effects)
        case .lane:
            closesAfter = true
            dropHeld(into: &effects)
            guard isRequestOpen else { return }
            isRequestOpen = false
            if isResponseOpen, !isHeadOut {
                effects.append(.cancelExchange)
                answer(.malformed, at: now, into: &effects)
            } else if isResponseOpen {
                effects.append(.endExchange)
            } else if !isEndUnflushed {
                startClosing(at: now, into: &effects)
            }
        case .closing, .closed: break
        }
    }

    mutating func channelFailed(at now: Instant, into effects: inout [ConnectionEffect]) {
        if stage == .lane { abandonExchange(into: &effects) }
        dropHeld(into: &effects)
        effects.append(.forward)
        if stage == .idle || stage == .lane { linger(from: now) }
    }

    mutating func becameInactive(into effects: inout [ConnectionEffect]) {
        if stage == .lane { abandonExchange(into: &effects) }
        dropHeld(into: &effects)
        stage = .closed
        effects.append(.forward)
    }

    mutating func closeWanted(_ side: CloseSide, at now: Instant, into effects: inout [ConnectionEffect]) {
        if isLaneBusy || (stage == .closing && isAwaitingEnd) {
            let isFirst = keptClose == .none
            if side == .output, keptClose != .all { keptClose = .output } else { keptClose = .all }
            // The task behind us has no request open: whatever it asks for, it is being stopped.
            if isLaneBusy { keptClose = .all }
            effects.append(.keepClose)
            if isFirst, hasOpenExchange {
                closingSince = now
                dropHeld(into: &effects)
                effects.append(.endExchange)
            }
            return
        }
        dropHeld(into: &effects)
        effects.append(.passClose)
        switch side {
        case .all: stage = .closed
        case .output: if stage != .closed { linger(from: now) }
        case .input: break
        }
    }

    mutating func writabilityChanged(_ writable: Bool, at now: Instant, into effects: inout [ConnectionEffect]) {
        guard writable != isWritable else { return }
        isWritable = writable
        if !writable { stalledSince = now }
        if stage == .closing { closingSince = now }
        if hasOpenExchange { effects.append(.exchangeWritable(writable)) }
    }

    /// The exchange is cancelled; its answer stays the prefix that it is. The caller moves to another stage.
    func abandonExchange(into effects: inout [ConnectionEffect]) {
        if hasOpenExchange { effects.append(.cancelExchange) }
    }

    /// The client has nothing more to say and gets nothing more: the framework behind us closes, and if it does not,
    /// the linger clock does.
    private mutating func leave(at now: Instant, _ effects: inout [ConnectionEffect]) {
        dropHeld(into: &effects)
        isInputClosed = true
        effects.append(.forward)
        linger(from: now)
    }

    private mutating func linger(from now: Instant) {
        stage = .closing
        isResponseOpen = false
        isEndUnflushed = false
        isEndWatched = false
        closingSince = now
        discardedBytes = 0
    }
}
