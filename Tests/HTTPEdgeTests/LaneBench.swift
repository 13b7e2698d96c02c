/// The lane between its real neighbours, on a loop whose clock the test moves: real decoder, encoder, codec and state
/// handler; a socket and a router that write down what they are told; exchanges that do what the test says.
import Determinism
import ExchangeFlow
import HTTPEdge
import HTTPTypes
import HummingbirdCore
import InferenceDialect
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOHTTPTypesHTTP2
import UpstreamLane

final class LaneBench {
    let channel = EmbeddedChannel()
    let socket = SocketStandIn()
    let router = RouterStandIn()
    let factory: FakeExchanges
    private(set) var output = ""

    init(
        limits: ConnectionLimits = .init(), headerBytesMax: Int = 32_768, hosts: TrustedHosts = .any,
        isHTTP2: Bool = false
    ) throws {
        factory = FakeExchanges(loop: channel.embeddedEventLoop)
        let settings = LaneSettings(limits: limits, headerBytesMax: headerBytesMax, trustedHosts: hosts)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(socket)
        if isHTTP2 {
            try pipeline.addHandler(HTTP2FramePayloadToHTTPServerCodec())
        } else {
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false)
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        }
        try pipeline.addHandler(LaneHandler(settings: settings, factory: factory, isTLS: false))
        try pipeline.addHandler(HTTPConnectionStateHandler(idleTimeout: nil, logger: Logger(label: "bench")))
        try pipeline.addHandler(router)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
    }

    var exchanges: [FakeExchange] { factory.made }
    var isOpen: Bool { channel.isActive }

    func receive(_ text: String) throws {
        guard channel.isActive else { return }
        try channel.writeInbound(ByteBuffer(string: text))
        collect()
    }

    func receive(_ frame: HTTP2Frame.FramePayload) throws { try channel.writeInbound(frame) }

    func event(_ event: any Sendable) {
        channel.pipeline.fireUserInboundEventTriggered(event)
        collect()
    }

    func fin() { event(ChannelEvent.inputClosed) }
    func quiesce() { event(ChannelShouldQuiesceEvent()) }

    func pass(_ time: Duration) {
        factory.clock = factory.clock + time
        channel.embeddedEventLoop.advanceTime(by: .nanoseconds(time.wholeNanoseconds))
        collect()
    }

    /// Everything written so far.
    @discardableResult
    func collect() -> String {
        while let bytes = try? channel.readOutbound(as: ByteBuffer.self) { output += String(buffer: bytes) }
        return output
    }

    func takeOutput() -> String {
        collect()
        defer { output = "" }
        return output
    }

    func finish() { _ = try? channel.finish(acceptAlreadyClosed: true) }
}

/// The head of the pipeline. `EmbeddedChannel` knows only whole closes, so half ones end here.
final class SocketStandIn: ChannelDuplexHandler {
    typealias InboundIn = Any
    typealias OutboundIn = Any

    private(set) var closes: [String] = []
    private(set) var reads = 0

    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .all:
            closes.append("all")
            context.close(mode: .all, promise: promise)
        case .output:
            closes.append("output")
            promise?.succeed()
            context.fireUserInboundEventTriggered(ChannelEvent.outputClosed)
        case .input:
            closes.append("input")
            promise?.succeed()
        }
    }
}

/// The router's task, reduced to a handler: it writes down parts and answers whole requests when told.
final class RouterStandIn: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private(set) var parts: [String] = []
    private(set) var events: [String] = []
    private(set) var errors: [any Error] = []
    private(set) var isInactive = false
    /// Parts that arrived since the last `channelReadComplete`: the real one delivers none of them.
    private(set) var undelivered = 0
    var answersAtOnce = true
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        undelivered += 1
        switch unwrapInboundIn(data) {
        case .head(let head): parts.append("\(head.method) \(head.path ?? "")")
        case .body(let bytes): parts.append(String(buffer: bytes))
        case .end:
            parts.append("end")
            if answersAtOnce { answer("routed") }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { undelivered = 0 }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        events.append(String(describing: type(of: event)) + "." + String(describing: event))
    }

    /// As Hummingbird's task does: a parser error is answered 400 and the output closed.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errors.append(error)
        guard error is HTTPParserError else { return }
        answer("", status: .badRequest)
        context.close(mode: .output, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { isInactive = true }

    func answer(_ text: String, status: HTTPResponse.Status = .ok) {
        guard let context else { return }
        let head = HTTPResponse(status: status, headerFields: [.contentLength: String(text.utf8.count)])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !text.isEmpty { context.write(wrapOutboundOut(.body(ByteBuffer(string: text))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func writeHeadOnly() {
        context?.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .ok))), promise: nil)
    }

    func close(_ mode: CloseMode) -> Bool {
        guard let context else { return false }
        let promise = context.eventLoop.makePromise(of: Void.self)
        var isDone = false
        promise.futureResult.assumeIsolated().whenComplete { _ in isDone = true }
        context.close(mode: mode, promise: promise)
        return isDone
    }
}

final class FakeExchanges: LaneExchangeFactory {
    let wheel: DeadlineWheel
    private let time: Time
    private(set) var made: [FakeExchange] = []
    /// Runs inside `makeExchange`, before it returns.
    var whenMade: (FakeExchange) -> Void = { _ in }
    /// Runs when the request's end was read.
    var whenWhole: (FakeExchange) -> Void = { _ in }

    final class Time { var now = Instant.zero }

    init(loop: EmbeddedEventLoop) {
        let time = Time()
        self.time = time
        wheel = DeadlineWheel(eventLoop: loop, clock: { time.now })
    }

    var clock: Instant {
        get { time.now }
        set { time.now = newValue }
    }

    func now() -> Instant { time.now }

    /// The bench looks at what was written right after each call, so turns end at once here.
    func flushSoon(_ target: any FlushTarget) { target.flushNow() }

    func makeExchange(
        _ head: HTTPRequest, route: InferenceRoute, facts: ConnectionFacts, client: any ExchangeClient
    ) -> any LaneExchange {
        let exchange = FakeExchange(path: head.path ?? "", isHTTP2: facts.isHTTP2, client: client, owner: self)
        made.append(exchange)
        return exchange
    }
}

final class FakeExchange: LaneExchange {
    let path: String
    let isHTTP2: Bool
    let client: any ExchangeClient
    private unowned let owner: FakeExchanges
    private(set) var seen: [String] = []

    init(path: String, isHTTP2: Bool, client: any ExchangeClient, owner: FakeExchanges) {
        self.path = path
        self.isHTTP2 = isHTTP2
        self.client = client
        self.owner = owner
    }

    func begin() { owner.whenMade(self) }

    func body(_ bytes: ByteBuffer) {
        if let last = seen.last, last.hasPrefix("body ") {
            seen[seen.count - 1] = last + String(buffer: bytes)
        } else {
            seen.append("body " + String(buffer: bytes))
        }
    }

    func end() {
        seen.append("end")
        owner.whenWhole(self)
    }

    func clientGone() { seen.append("gone") }
    func clientWritable(_ writable: Bool) { seen.append(writable ? "writable" : "full") }
    func endTruthfully() {
        seen.append("stop")
        answer("stopped", status: .serviceUnavailable)
    }

    /// A whole answer of known length.
    func answer(_ text: String, status: HTTPResponse.Status = .ok) {
        head(status: status, length: text.utf8.count)
        client.sendBody(ByteBuffer(string: text))
        finish()
    }

    func head(status: HTTPResponse.Status = .ok, length: Int? = nil) {
        var fields = HTTPFields()
        if let length { fields[.contentLength] = String(length) }
        client.sendHead(HTTPResponse(status: status, headerFields: fields))
    }

    func finish() {
        client.sendEnd()
        client.sendFlush()
    }
}
