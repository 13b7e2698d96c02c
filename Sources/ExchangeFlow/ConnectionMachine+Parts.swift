/// Requests: who gets the next head, where its parts go, and what waits.
import Determinism

extension ConnectionMachine {
    mutating func take(
        _ part: RequestPart, from origin: PartOrigin, at now: Instant, into effects: inout [ConnectionEffect]
    ) {
        if origin == .held { letGo(of: part) }
        guard stage != .closing, stage != .closed else {
            throwAway(part, into: &effects)
            return
        }
        switch part {
        case .head(let facts):
            if stage == .idle, !isEndUnflushed, origin == .held || heldParts == 0 {
                dispatch(facts, at: now, into: &effects)
            } else {
                keep(part, into: &effects)
            }
        case .body(let bytes):
            guard isRequestOpen, origin == .held || heldParts == 0 else { return keep(part, into: &effects) }
            quietSince = now
            bodyBytes += bytes
            owesContinue = false
            effects.append(placeOfOwnPart)
        case .end:
            guard isRequestOpen, origin == .held || heldParts == 0 else { return keep(part, into: &effects) }
            isRequestOpen = false
            owesContinue = false
            effects.append(placeOfOwnPart)
            if !isResponseOpen, !isEndUnflushed { becomeIdle(at: now, into: &effects) }
        }
    }

    private var placeOfOwnPart: ConnectionEffect {
        if stage == .routed { return .toRouter }
        return isResponseOpen ? .toExchange : .discard
    }

    private mutating func dispatch(
        _ facts: RequestFacts, at now: Instant, into effects: inout [ConnectionEffect]
    ) {
        isRequestOpen = true
        isResponseOpen = true
        isHeadOut = false
        isEndWatched = false
        isEndWritten = false
        hasOpenedExchange = false
        doesExchangeHoldReads = false
        declaredBytes = facts.declaredBytes ?? -1
        bodyBytes = 0
        quietSince = now
        isRouted = !facts.goesToLane && facts.refusal == nil
        isUpgradeAsked = facts.asksUpgrade
        owesContinue = facts.expectsContinue
        if facts.closesAfter || facts.asksUpgrade || isQuiescing { closesAfter = true }
        if let refusal = facts.refusal {
            stage = .lane
            answer(refusal, at: now, into: &effects)
        } else if facts.goesToLane {
            stage = .lane
            effects.append(.openExchange)
        } else {
            stage = .routed
            if owesContinue {
                owesContinue = false
                effects.append(.sayContinue)
            }
            effects.append(.toRouter)
        }
    }

    /// Keeps a part for later. Past the bound the open answer becomes the last: an unanswered pipelined request is
    /// the client's to repeat.
    private mutating func keep(_ part: RequestPart, into effects: inout [ConnectionEffect]) {
        let isStray: Bool
        if case .head = part { isStray = false } else { isStray = heldParts == 0 }
        guard !isLastAnswer, !isStray, transport == .http1 else {
            effects.append(.discard)
            return
        }
        let bytes = Self.weight(of: part)
        guard heldParts < ConnectionLimits.heldPartsMax, heldBytes + bytes <= ConnectionLimits.heldBytesMax else {
            closesAfter = true
            dropHeld(into: &effects)
            effects.append(.discard)
            return
        }
        heldParts += 1
        heldBytes += bytes
        effects.append(.keep)
    }

    /// What is decided about the answer that is open now, or was last: nothing follows it.
    var isLastAnswer: Bool { closesAfter || isQuiescing || keptClose != .none || mayRouterRefuse }

    private mutating func letGo(of part: RequestPart) {
        precondition(heldParts > 0, "L8: a part came back that was never kept")
        heldParts -= 1
        heldBytes -= Self.weight(of: part)
    }

    private static func weight(of part: RequestPart) -> Int {
        switch part {
        case .head(let facts): facts.headBytes
        case .body(let bytes): bytes
        case .end: 0
        }
    }

    mutating func dropHeld(into effects: inout [ConnectionEffect]) {
        guard heldParts > 0 else { return }
        heldParts = 0
        heldBytes = 0
        effects.append(.dropHeld)
    }

    /// Lingering: bytes are read so that closing does not make the kernel reset what we just said, but not for ever.
    private mutating func throwAway(_ part: RequestPart, into effects: inout [ConnectionEffect]) {
        effects.append(.discard)
        if case .end = part { isRequestOpen = false }
        guard stage == .closing, transport == .http1 else { return }
        discardedBytes += Self.weight(of: part)
        if discardedBytes > ConnectionLimits.lingerBytesMax, !isAwaitingEnd {
            stage = .closed
            effects.append(.close(.all))
        }
    }

    mutating func becomeIdle(at now: Instant, into effects: inout [ConnectionEffect]) {
        if endsNow { return startClosing(at: now, into: &effects) }
        stage = .idle
        quietSince = now
        if heldParts > 0 { effects.append(.release) }
    }
}
