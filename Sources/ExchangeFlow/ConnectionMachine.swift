/// The order of things on one client connection or HTTP/2 stream: one request at a time, whoever answers it.
///
///     idle ─► lane(requestOpen, responseOpen) ─► idle
///       └───► routed(requestOpen, responseOpen) ─► idle        closing   output finished, input thrown away
///
/// Two answerers share a connection, the lane in our stack and the router in a task of its own, and HTTP/1 knows only
/// order. So the next head is looked at when the answer before it has its `.end` written and flushed *and* the request
/// before it has its `.end` read; what arrives earlier is kept, within bounds. The simple way, letting both answer as
/// they finish, mixes two answers on one wire as soon as a client pipelines.
///
/// Promises kept here: L1 order, L2 whole requests to the router, L3 one exchange, L8 bounds, L9 nothing that makes
/// the framework close the channel while an exchange is open.
package import Determinism

package struct ConnectionMachine: Sendable, Hashable {
    package enum Transport: Equatable, Sendable { case http1, http2 }
    package enum Stage: Equatable, Sendable {
        case idle, lane, routed
        /// Our output is finished or about to be; what still arrives is thrown away.
        case closing
        /// The channel is gone or told to go.
        case closed
    }
    /// A close from behind that waits for the end of our answer.
    enum KeptClose: Sendable { case none, output, all }

    package let transport: Transport
    package let limits: ConnectionLimits
    package internal(set) var stage = Stage.idle

    // The open request and its answer.
    var isRequestOpen = false
    var isResponseOpen = false
    /// The final head is out, so what it said about the connection stands.
    var isHeadOut = false
    /// The answer's `.end` was written and not flushed: nothing is released before the flush.
    var isEndUnflushed = false
    /// The open or last request went to the router.
    var isRouted = false
    var owesContinue = false
    var hasOpenedExchange = false
    /// -1 when only the end of the body tells.
    var declaredBytes = 0
    var bodyBytes = 0

    // The connection's future.
    /// The open answer is the last one.
    var closesAfter = false
    var isQuiescing = false
    /// A FIN kept under `half_close: finish`.
    var isInputClosed = false
    var keptClose = KeptClose.none
    /// The framework was told of a parser error and will say 400 by itself.
    var mayRouterRefuse = false
    /// After an upgrade request the decoder no longer parses, and unread bytes would pile up in it.
    var isUpgradeAsked = false
    var isEndWatched = false
    var isEndWritten = false

    // What waits its turn. The driver holds the parts; the machine counts them.
    package internal(set) var heldParts = 0
    package internal(set) var heldBytes = 0
    var discardedBytes = 0

    // Reads.
    var isReadRemembered = false
    var doesExchangeHoldReads = false
    var isReadPending = true

    // Clocks. `quietSince` is the start of idleness or the last sign of the request's body.
    var isWritable = true
    var quietSince: Instant
    var stalledSince = Instant.zero
    var closingSince = Instant.zero

    package init(_ transport: Transport, limits: ConnectionLimits, at now: Instant) {
        self.transport = transport
        self.limits = limits
        quietSince = now
    }

    package mutating func handle(
        _ input: ConnectionInput, at now: Instant, into effects: inout [ConnectionEffect]
    ) {
        switch input {
        case .part(let part, let origin): take(part, from: origin, at: now, into: &effects)
        case .readWanted: readWanted(at: now, into: &effects)
        case .readCompleted: isReadPending = false
        case .readsHeld(let hold): holdReads(hold, at: now, into: &effects)
        case .routedPart(let part): routerSpoke(part, into: &effects)
        case .flushed: flushed(at: now, into: &effects)
        case .quiesce: quiesce(at: now, into: &effects)
        case .inputClosed: inputClosed(at: now, into: &effects)
        case .parserError: parserFailed(at: now, into: &effects)
        case .otherError: channelFailed(at: now, into: &effects)
        case .inactive: becameInactive(into: &effects)
        case .closeWanted(let side): closeWanted(side, at: now, into: &effects)
        case .writability(let writable): writabilityChanged(writable, at: now, into: &effects)
        case .exchangeOpened:
            hasOpenedExchange = true
            sayContinueIfOwed(into: &effects)
        case .exchangeEnded: exchangeEnded(into: &effects)
        case .exchangeCut: exchangeCut(into: &effects)
        case .endWritten: endWritten(at: now, into: &effects)
        case .tick: tick(at: now, into: &effects)
        }
        if isReadRemembered, !isReadGated, stage != .closed {
            isReadRemembered = false
            pass(read: now)
            effects.append(.read)
        }
    }

    /// The part at the front of what is kept may be taken now. `isHead` says which kind it is.
    package func accepts(isHead: Bool) -> Bool {
        switch stage {
        case .closing, .closed: false
        case .idle: !isEndUnflushed
        case .lane, .routed: !isHead && isRequestOpen
        }
    }

    package var isIdle: Bool { stage == .idle && !isEndUnflushed && heldParts == 0 }
    package var hasOpenExchange: Bool { stage == .lane && isResponseOpen }

    // MARK: Reads

    /// Reading goes on while an exchange is open, since that is how a FIN is seen; only a bound closes the gate.
    var isReadGated: Bool {
        if heldParts >= ConnectionLimits.heldPartsMax || heldBytes >= ConnectionLimits.heldBytesMax { return true }
        if isUpgradeAsked && !isRequestOpen { return true }
        if stage == .closing && discardedBytes > ConnectionLimits.lingerBytesMax { return true }
        return doesExchangeHoldReads && stage == .lane && isRequestOpen && isResponseOpen
    }

    private mutating func readWanted(at now: Instant, into effects: inout [ConnectionEffect]) {
        if isReadGated {
            isReadRemembered = true
        } else {
            pass(read: now)
            effects.append(.read)
        }
    }

    /// The client's silence counts from the moment we listen.
    private mutating func pass(read now: Instant) {
        if !isReadPending, isRequestOpen { quietSince = now }
        isReadPending = true
    }

    private mutating func holdReads(_ hold: Bool, at now: Instant, into effects: inout [ConnectionEffect]) {
        guard stage == .lane, isResponseOpen else { return }
        doesExchangeHoldReads = hold
        if !hold {
            quietSince = now
            sayContinueIfOwed(into: &effects)
        }
    }

    /// `100 Continue`, once the head was accepted and there is room for what it will bring.
    mutating func sayContinueIfOwed(into effects: inout [ConnectionEffect]) {
        guard owesContinue, hasOpenedExchange, !doesExchangeHoldReads, isResponseOpen, !isHeadOut else { return }
        owesContinue = false
        effects.append(.sayContinue)
    }
}
