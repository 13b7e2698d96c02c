/// Answers: the exchange's, the router's and our own, and what follows their end.
import Determinism

extension ConnectionMachine {
    // MARK: The exchange

    /// The final head goes out now; true when it has to say `Connection: close`. Synchronous, since the head is
    /// stamped while it is written; it changes facts only and lists nothing.
    package mutating func finalHeadSent() -> Bool {
        guard hasOpenExchange else { return false }
        decideAtHead()
        return transport == .http1 && closesAfter
    }

    private mutating func decideAtHead() {
        isHeadOut = true
        // Without its 100 the client may or may not send the body: what comes next could be either.
        if owesContinue {
            owesContinue = false
            closesAfter = true
        }
        if isRequestOpen, !isRestSmall { closesAfter = true }
        if isQuiescing || (isInputClosed && heldParts == 0) { closesAfter = true }
    }

    private var isRestSmall: Bool {
        transport == .http1 && declaredBytes >= 0 && declaredBytes - bodyBytes <= ConnectionLimits.discardBytesMax
    }

    /// The exchange wants this answer to be the last.
    package mutating func closeAfterAnswer() {
        if hasOpenExchange { closesAfter = true }
    }

    mutating func exchangeEnded(into effects: inout [ConnectionEffect]) {
        guard hasOpenExchange else { return Fault.report("L1: an exchange ended an answer that was not open") }
        isResponseOpen = false
        isEndUnflushed = true
        if isRequestOpen, !isRestSmall { closesAfter = true }
        isEndWatched = endsNow
        effects.append(.writeEnd(watched: isEndWatched))
    }

    mutating func exchangeCut(into effects: inout [ConnectionEffect]) {
        guard hasOpenExchange else { return Fault.report("L1: an exchange cut an answer that was not open") }
        isResponseOpen = false
        stage = .closed
        dropHeld(into: &effects)
        effects.append(.flush)
        effects.append(transport == .http1 ? .close(.all) : .resetStream(.internalError))
    }

    // MARK: Our own

    /// Writes a whole answer, flushes it, and closes.
    mutating func answer(_ own: OwnAnswer, at now: Instant, into effects: inout [ConnectionEffect]) {
        isHeadOut = true
        isResponseOpen = false
        closesAfter = true
        owesContinue = false
        isEndWatched = true
        effects.append(.answer(own, saysClose: transport == .http1))
        startClosing(at: now, into: &effects)
    }

    // MARK: The router

    mutating func routerSpoke(_ part: ResponsePart, into effects: inout [ConnectionEffect]) {
        if stage == .closed || (stage == .closing && isRouted) {
            // Its own close, or a clock, came first: what it says goes nowhere, and it learns that from its write.
            return effects.append(.passRouted(saysClose: false, watched: false))
        }
        if mayRouterRefuse, stage != .lane, !isResponseOpen {
            // The framework's 400 after a parser error it was told of.
            return effects.append(.passRouted(saysClose: false, watched: false))
        }
        guard stage == .routed, isResponseOpen else {
            Fault.report("L3: the router answered a request it was not given")
            return effects.append(.refuseRouted)
        }
        switch part {
        case .informationalHead, .body: effects.append(.passRouted(saysClose: false, watched: false))
        case .head:
            isHeadOut = true
            effects.append(.passRouted(saysClose: closesAfter && transport == .http1, watched: false))
        case .end:
            isResponseOpen = false
            isEndUnflushed = true
            isEndWatched = endsNow
            effects.append(.passRouted(saysClose: false, watched: isEndWatched))
        }
    }

    // MARK: After the end

    /// Nothing follows the answer that just ended. A quiescing routed connection is closed by the state handler.
    var endsNow: Bool {
        if closesAfter || keptClose != .none { return true }
        if isQuiescing { return stage == .lane && transport == .http1 }
        if isInputClosed { return heldParts == 0 }
        return false
    }

    mutating func flushed(at now: Instant, into effects: inout [ConnectionEffect]) {
        effects.append(.flush)
        guard isEndUnflushed else { return }
        isEndUnflushed = false
        guard stage == .lane || stage == .routed else { return }
        if endsNow {
            startClosing(at: now, into: &effects)
        } else if !isRequestOpen {
            becomeIdle(at: now, into: &effects)
        }
    }

    /// The answer is complete as far as we are concerned; output ends when it has left the process.
    mutating func startClosing(at now: Instant, into effects: inout [ConnectionEffect]) {
        stage = .closing
        closingSince = now
        discardedBytes = 0
        dropHeld(into: &effects)
        if !isAwaitingEnd { finishOutput(at: now, into: &effects) }
    }

    var isAwaitingEnd: Bool { isEndWatched && !isEndWritten }

    mutating func endWritten(at now: Instant, into effects: inout [ConnectionEffect]) {
        guard isAwaitingEnd else { return }
        isEndWritten = true
        if stage == .closing { finishOutput(at: now, into: &effects) }
    }

    /// Half a close first: closing with unread input makes the kernel send RST, which can destroy the answer on its
    /// way. A socket whose input has ended already closes wholly, and so does one that was told to stop, once the end
    /// is known to be out. A stream ends by its own `.end`; only a request still coming has to be stopped.
    private mutating func finishOutput(at now: Instant, into effects: inout [ConnectionEffect]) {
        closingSince = now
        switch transport {
        case .http2 where keptClose != .none:
            stage = .closed
            effects.append(.close(.all))
        case .http2:
            if isRequestOpen { effects.append(.resetStream(.noError)) }
        case .http1:
            let isStopped = keptClose == .all && isEndWatched
            if isInputClosed || isStopped || discardedBytes > ConnectionLimits.lingerBytesMax {
                stage = .closed
                effects.append(.close(.all))
            } else {
                effects.append(.close(.output))
            }
        }
    }
}
