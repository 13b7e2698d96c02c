import Determinism
/// The lane's place in the pipeline: names what arrived, asks `ConnectionMachine`, performs the answer.
///
///     socket ⇄ [TLS] ⇄ encoder ⇄ decoder ⇄ codec ⇄ LaneHandler ⇄ state handler ⇄ the router's task
///
/// An inference request is answered right here on the event loop, by an exchange; every other request passes on to the
/// router. The handler owns the bytes and decides nothing about them: an `if` about protocol state belongs in the
/// machine. NIO calls back inside calls (a write may change writability, a close fires `channelInactive`), so an input
/// that arrives while effects are performed waits in `waiting` until they are done.
import ExchangeFlow
import HTTPTypes
import InferenceDialect
package import NIOCore
import NIOHTTP1
package import NIOHTTPTypes
import NIOHTTPTypesHTTP1
package import UpstreamLane

package final class LaneHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    /// What an input is about; the machine's "at hand".
    enum Hand {
        case nothing
        case head(HTTPRequest, InferenceRoute?, isOld: Bool, NIOAny)
        case body(ByteBuffer, NIOAny)
        case end(NIOAny)
        case routed(HTTPResponsePart, NIOAny, EventLoopPromise<Void>?)
        case event(Any)
        case error(any Error)
        case inactive
        case close(CloseMode, EventLoopPromise<Void>?)
    }

    struct Told {
        let input: ConnectionInput
        let hand: Hand
    }

    let settings: LaneSettings
    let factory: any LaneExchangeFactory
    let isTLS: Bool

    var machine: ConnectionMachine
    var effects: [ConnectionEffect] = []
    /// What the machine told us to keep: requests ahead of their turn.
    var held = BoundedQueue<Told>(bound: ConnectionLimits.heldPartsMax)
    /// Inputs that arrived while effects were performed. Bounded by what NIO calls back within one call.
    var waiting: [Told] = []
    var waitingStart = 0
    var isPerforming = false
    var isReleasing = false
    /// The router got parts outside a read, and delivers none before the next `channelReadComplete`.
    var owesReadComplete = false

    var exchange: (any LaneExchange)?
    var isOpening = false
    var hasEndedWhileOpening = false
    var isEndTold = false

    var context: ChannelHandlerContext?
    /// HTTP/1: the codec's place, and the encoder's, below which our own answers start.
    var codec: ChannelHandlerContext?
    var encoderPlace: ChannelHandlerContext?
    var encoder = AnswerEncoder()
    var watch: ProtocolVersionWatch?
    var connection: ConnectionFacts?
    var headsArrived = 0
    /// Closes from behind that wait for the truthful end.
    var keptCloses: [EventLoopPromise<Void>] = []

    package var wheelPlace = WheelPlace.none
    var armedFor = Instant.never

    package init(settings: LaneSettings, factory: any LaneExchangeFactory, isTLS: Bool) {
        self.settings = settings
        self.factory = factory
        self.isTLS = isTLS
        machine = ConnectionMachine(.http2, limits: settings.limits, at: factory.now())
        effects.reserveCapacity(8)
    }

    /// Which protocol this is, asked once: is there an HTTP/1 codec before us? (An HTTP/2 stream channel stops the
    /// process on a channel option it does not know.) After ALPN the channel is active already.
    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let pipeline = context.pipeline.syncOperations
        codec = try? pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self)
        encoderPlace = codec == nil ? nil : try? pipeline.context(handlerType: HTTPResponseEncoder.self)
        if let codec, let handler = codec.handler as? HTTP1ToHTTPServerCodec {
            let watch = ProtocolVersionWatch()
            do {
                try pipeline.addHandler(watch, position: .before(handler))
                self.watch = watch
            } catch {
                context.fireErrorCaught(error)
            }
        }
        machine = ConnectionMachine(codec == nil ? .http2 : .http1, limits: settings.limits, at: factory.now())
        arm()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        if machine.stage != .closed { tell(.inactive, .nothing) }
        factory.wheel.disarm(self)
        for promise in keptCloses { promise.succeed() }
        keptCloses.removeAll()
        self.context = nil
        codec = nil
        encoderPlace = nil
        watch = nil
    }

    // MARK: What arrives

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            headsArrived += 1
            let isOld = watch?.isOld(head: headsArrived) ?? false
            let reading = LaneRoute(head, isHTTP2: codec == nil, isVersion10: isOld, settings: settings)
            tell(
                .part(.head(reading.facts), from: .wire), .head(head, reading.route, isOld: isOld, data))
        case .body(let bytes): tell(.part(.body(bytes: bytes.readableBytes), from: .wire), .body(bytes, data))
        case .end: tell(.part(.end, from: .wire), .end(data))
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        tell(.readCompleted, .nothing)
        context.fireChannelReadComplete()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent: tell(.quiesce, .event(event))
        case let event as ChannelEvent where event == .inputClosed: tell(.inputClosed, .event(event))
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        tell(error is HTTPParserError ? .parserError : .otherError, .error(error))
    }

    package func channelInactive(context: ChannelHandlerContext) { tell(.inactive, .inactive) }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        tell(.writability(context.channel.isWritable), .nothing)
        context.fireChannelWritabilityChanged()
    }

    // MARK: The door

    func tell(_ input: ConnectionInput, _ hand: Hand) {
        guard !isPerforming else {
            waiting.append(Told(input: input, hand: hand))
            return
        }
        isPerforming = true
        run(input, hand)
        while let next = nextTold() { run(next.input, next.hand) }
        isPerforming = false
        arm()
        if owesReadComplete {
            owesReadComplete = false
            context?.fireChannelReadComplete()
        }
    }

    private func run(_ input: ConnectionInput, _ hand: Hand) {
        machine.handle(input, at: factory.now(), into: &effects)
        guard !effects.isEmpty else { return }
        // Effects are performed from the buffer they were listed in: whatever calls back meanwhile only waits.
        var index = 0
        while index < effects.count {
            perform(effects[index], input, hand)
            index += 1
        }
        effects.removeAll(keepingCapacity: true)
    }

    /// First what called back, then what was kept: a kept request may be answered at once and free the next.
    private func nextTold() -> Told? {
        if waitingStart < waiting.count {
            let next = waiting[waitingStart]
            waitingStart += 1
            if waitingStart == waiting.count {
                waiting.removeAll(keepingCapacity: true)
                waitingStart = 0
            }
            return next
        }
        guard isReleasing, let next = held.first, case .part(let part, _) = next.input else {
            isReleasing = false
            return nil
        }
        let isHead = if case .head = part { true } else { false }
        guard machine.accepts(isHead: isHead) else {
            isReleasing = false
            return nil
        }
        _ = held.popFirst()
        return Told(input: .part(part, from: .held), hand: next.hand)
    }
}

@available(*, unavailable)
extension LaneHandler: Sendable {}
