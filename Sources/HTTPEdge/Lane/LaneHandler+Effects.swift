/// Performs what the machine decided, one effect at a time.
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP2
import UpstreamLane

extension LaneHandler {
    func perform(_ effect: ConnectionEffect, _ input: ConnectionInput, _ hand: Hand) {
        guard let context else { return cancelAlone(effect) }
        switch effect {
        case .openExchange: openExchange(hand)
        case .toExchange:
            switch hand {
            case .body(let bytes, _): exchange?.body(bytes)
            case .end: exchange?.end()
            default: break
            }
        case .toRouter: passToRouter(input, hand, context)
        case .keep:
            if !held.append(Told(input: input, hand: hand)) { Fault.report("L8: the machine kept more than its bound") }
        case .discard: break
        case .release: isReleasing = true
        case .dropHeld: held = BoundedQueue(bound: ConnectionLimits.heldPartsMax)
        case .answer(let own, let saysClose): answer(own, saysClose: saysClose, hand, context)
        case .sayContinue:
            writeHead(HTTPResponse(status: .continue))
            flushNow()
        case .writeEnd(let watched): writeEnd(watched: watched)
        case .flush: factory.flushSoon(self)
        case .passRouted(let saysClose, let watched): passRouted(hand, saysClose, watched, context)
        case .refuseRouted: if case .routed(_, _, let promise) = hand { promise?.fail(ChannelError.ioOnClosedChannel) }
        case .forward: forward(hand, context)
        case .cancelExchange:
            let cancelled = exchange
            exchange = nil
            isEndTold = false
            cancelled?.clientGone()
        case .endExchange: exchange?.endTruthfully()
        case .exchangeWritable(let writable): exchange?.clientWritable(writable)
        case .read: context.read()
        case .close(let side): close(side, context)
        case .passClose: if case .close(let mode, let promise) = hand { context.close(mode: mode, promise: promise) }
        case .keepClose: if case .close(_, let promise?) = hand { keptCloses.append(promise) }
        case .resetStream(let code):
            let reset = NIOHTTP2FramePayloadToHTTPEvent.reset(code: code == .noError ? .noError : .internalError)
            context.triggerUserOutboundEvent(reset, promise: nil)
        }
    }

    /// The handler has left its pipeline: all that can still be done is to free what runs for this client.
    private func cancelAlone(_ effect: ConnectionEffect) {
        switch effect {
        case .cancelExchange:
            let cancelled = exchange
            exchange = nil
            cancelled?.clientGone()
        case .dropHeld: held = BoundedQueue(bound: ConnectionLimits.heldPartsMax)
        default: break
        }
    }

    private func openExchange(_ hand: Hand) {
        guard case .head(let head, let route?, let isOld, _) = hand, let context else { return }
        watch?.answersOldClient = isOld
        let facts =
            connection
            ?? ConnectionFacts(
                peer: context.channel.remoteAddress, isTLS: isTLS, isHTTP2: codec == nil, channel: context.channel)
        connection = facts
        isOpening = true
        let made = factory.makeExchange(head, route: route, facts: facts, client: self)
        made.begin()
        isOpening = false
        // It may have answered already; then its end waits in the queue, and it is over.
        if !hasEndedWhileOpening { exchange = made }
        hasEndedWhileOpening = false
        tell(.exchangeOpened, .nothing)
    }

    private func passToRouter(_ input: ConnectionInput, _ hand: Hand, _ context: ChannelHandlerContext) {
        if case .part(_, from: .held) = input { owesReadComplete = true }
        switch hand {
        case .head(_, _, let isOld, let data):
            watch?.answersOldClient = isOld
            context.fireChannelRead(data)
        case .body(_, let data), .end(let data): context.fireChannelRead(data)
        default: break
        }
    }

    private func passRouted(
        _ hand: Hand, _ saysClose: Bool, _ watched: Bool, _ context: ChannelHandlerContext
    ) {
        guard case .routed(let part, let data, let promise) = hand else { return }
        if saysClose, case .head(var head) = part {
            head.headerFields[.connection] = "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        } else {
            context.write(data, promise: watched ? watchedPromise(promise) : promise)
        }
    }

    private func forward(_ hand: Hand, _ context: ChannelHandlerContext) {
        switch hand {
        case .event(let event): context.fireUserInboundEventTriggered(event)
        case .error(let error): context.fireErrorCaught(error)
        case .inactive: context.fireChannelInactive()
        default: break
        }
    }

    private func close(_ side: CloseSide, _ context: ChannelHandlerContext) {
        let mode: CloseMode = side == .output ? .output : .all
        flushNow()
        guard !keptCloses.isEmpty else { return context.close(mode: mode, promise: nil) }
        let closed = context.eventLoop.makePromise(of: Void.self)
        for promise in keptCloses { closed.futureResult.cascade(to: promise) }
        keptCloses.removeAll()
        context.close(mode: mode, promise: closed)
    }

    /// A whole answer of our own, flushed. A `HEAD` gets no body, and its length all the same.
    private func answer(_ own: OwnAnswer, saysClose: Bool, _ hand: Hand, _ context: ChannelHandlerContext) {
        var isBodyless = false
        if case .head(let head, _, let isOld, _) = hand {
            watch?.answersOldClient = isOld
            isBodyless = head.method == .head
        }
        let body = ErrorBody.json(message: own.message, type: "invalid_request_error", param: nil, code: own.code)
        var fields = HTTPFields()
        fields[.contentType] = "application/json"
        fields[.contentLength] = String(body.count)
        if saysClose { fields[.connection] = "close" }
        writeHead(HTTPResponse(status: .init(code: own.status), headerFields: fields))
        if !isBodyless { writeBody(ByteBuffer(bytes: body)) }
        writeEnd(watched: true)
        flushNow()
    }
}
