/// What the lane relies on in other projects' inner ways, line by line of the design page's section 2. An upgrade that
/// changes one of them fails here and not in production.
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Synchronization
import Testing

@Suite("Neighbours: state handler, codec, decoder")
struct NeighbourTests {
    private func stateHandlerAlone(idleTimeout: Duration? = nil) throws -> (EmbeddedChannel, EventRecorder) {
        let channel = EmbeddedChannel()
        let behind = EventRecorder()
        try channel.pipeline.syncOperations.addHandler(
            HTTPConnectionStateHandler(idleTimeout: idleTimeout, logger: Logger(label: "neighbour")))
        try channel.pipeline.syncOperations.addHandler(behind)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
        return (channel, behind)
    }

    @Test("the state handler closes at once on quiesce when it counts no request, and swallows the event")
    func quiesceIdle() throws {
        let (channel, behind) = try stateHandlerAlone()
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(!channel.isActive)
        #expect(behind.events.isEmpty)
    }

    @Test("it waits for the end of a request it saw, and closes with the end's write")
    func quiesceBusy() throws {
        let (channel, behind) = try stateHandlerAlone()
        let head = HTTPRequest(method: .get, scheme: "http", authority: "a", path: "/")
        channel.pipeline.fireChannelRead(HTTPRequestPart.head(head))
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(channel.isActive && behind.events.isEmpty)
        channel.write(HTTPResponsePart.head(HTTPResponse(status: .ok)), promise: nil)
        #expect(channel.isActive)
        channel.write(HTTPResponsePart.end(nil), promise: nil)
        #expect(!channel.isActive)
    }

    @Test("it swallows channelInactive")
    func inactive() throws {
        let (channel, behind) = try stateHandlerAlone()
        channel.pipeline.fireChannelInactive()
        #expect(!behind.sawInactive)
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    @Test("without an idle timeout it has no clock of its own")
    func noClock() throws {
        let (channel, _) = try stateHandlerAlone()
        channel.embeddedEventLoop.advanceTime(by: .hours(24))
        #expect(channel.isActive)
        _ = try channel.finish()
    }

    private func http1() throws -> (EmbeddedChannel, PartRecorder) {
        let channel = EmbeddedChannel()
        let parts = PartRecorder()
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false)
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        try channel.pipeline.syncOperations.addHandler(parts)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80), promise: nil)
        return (channel, parts)
    }

    @Test("the codec says http, takes the first Host, leaves a second as a field, and forgets the version")
    func codec() throws {
        let (channel, parts) = try http1()
        try channel.writeInbound(ByteBuffer(string: "GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"))
        let head = try #require(parts.heads.first)
        #expect(head.scheme == "http" && head.authority == "a")
        #expect(head.headerFields[HTTPField.Name("host")!] == "b")
        channel.write(HTTPResponsePart.head(HTTPResponse(status: .ok)), promise: nil)
        channel.flush()
        let bytes = try #require(try channel.readOutbound(as: ByteBuffer.self))
        #expect(String(buffer: bytes).hasPrefix("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"))
        _ = try channel.finish()
    }

    @Test("after an upgrade request the decoder parses nothing more, and keeps what it is fed")
    func upgradeStops() throws {
        let (channel, parts) = try http1()
        let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        try channel.writeInbound(ByteBuffer(string: upgrade + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
        try channel.writeInbound(ByteBuffer(string: "GET /after HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(parts.heads.map(\.path) == ["/"])
        #expect(parts.ends == 1)
        _ = try? channel.finish(acceptAlreadyClosed: true)
    }

    @Test("one read may decode many requests: gating reads does not gate parts")
    func manyAtOnce() throws {
        let (channel, parts) = try http1()
        try channel.writeInbound(
            ByteBuffer(string: String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 100)))
        #expect(parts.heads.count == 100 && parts.ends == 100)
        _ = try channel.finish()
    }

    @Test("the encoder frames a 100 and the final head each by itself")
    func continueThenFinal() throws {
        let (channel, _) = try http1()
        for status in [HTTPResponse.Status.continue, .ok] {
            channel.write(HTTPResponsePart.head(HTTPResponse(status: status)), promise: nil)
        }
        channel.write(HTTPResponsePart.end(nil), promise: nil)
        channel.flush()
        var output = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { output += String(buffer: bytes) }
        #expect(
            output == "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        _ = try channel.finish()
    }

    @Test("a response part, of either kind, fits NIOAny without a box of its own")
    func partSize() {
        #expect(MemoryLayout<HTTPServerResponsePart>.size <= 24)
        #expect(MemoryLayout<HTTPResponsePart>.size <= 24)
    }
}

/// The framework's own pipeline and task, with a recorder where the lane stands.
@Suite("Neighbours: the framework's task", .serialized)
struct FrameworkTaskTests {
    /// Runs Hummingbird's HTTP/1 child channel on a testing channel and hands both to the story.
    private func withTask(
        _ story: (NIOAsyncTestingChannel, Log) async throws -> Void
    ) async throws -> Log {
        let log = Log()
        let child = HTTP1Channel(
            responder: { request, writer, _ in
                log.add("task: \(request.uri.path)")
                let body = try await writer.writeHead(HTTPResponse(status: .ok))
                try await body.finish(nil)
            },
            configuration: .init(additionalChannelHandlers: [PlaceRecorder(log: log)]))
        let channel = NIOAsyncTestingChannel()
        let logger = Logger(label: "neighbour")
        let loop = channel.testingEventLoop
        let value = try await loop.executeInContext { child.setup(channel: channel, logger: logger) }.get()
        try await channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 80)).get()
        let task = Task { await child.handle(value: value, logger: logger) }
        try await story(channel, log)
        task.cancel()
        _ = await task.value
        return log
    }

    private func output(_ channel: NIOAsyncTestingChannel, until marker: String) async throws -> String {
        var output = ""
        while !output.contains(marker) {
            output += String(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
        }
        return output
    }

    @Test("our place is between the codec and the state handler")
    func place() async throws {
        _ = try await withTask { channel, _ in
            let names = try await channel.testingEventLoop.executeInContext { channel.pipeline.debugDescription }
            let expected = ["HTTP1ToHTTPServerCodec", "PlaceRecorder", "HTTPConnectionStateHandler", "NIOAsyncChannel"]
            let lines = names.split(separator: "\n")
            let order = expected.map { name in lines.firstIndex { $0.contains(name) } }
            #expect(order.allSatisfy { $0 != nil })
            #expect(order.compactMap { $0 } == order.compactMap { $0 }.sorted())
        }
    }

    @Test("parts reach the task on channelReadComplete and not before")
    func deliveryOnReadComplete() async throws {
        let log = try await withTask { channel, log in
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/held", headers: ["Host": "a"])
            try await channel.testingEventLoop.executeInContext {
                let decoder = try channel.pipeline.syncOperations.context(
                    handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
                decoder.fireChannelRead(NIOAny(HTTPServerRequestPart.head(head)))
                decoder.fireChannelRead(NIOAny(HTTPServerRequestPart.end(nil)))
            }
            for _ in 0..<100 { await Task.yield() }
            #expect(!log.all.contains("task: /held"))
            try await channel.testingEventLoop.executeInContext { channel.pipeline.fireChannelReadComplete() }
            #expect(try await output(channel, until: "\r\n0\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        }
        #expect(log.all.contains("task: /held"))
    }

    @Test("on a parser error the task writes a 400 with close by itself")
    func parserError() async throws {
        _ = try await withTask { channel, _ in
            // The embedded channel throws what the decoder found, after it told the pipeline.
            _ = try? await channel.writeInbound(ByteBuffer(string: "not http at all\r\n\r\n"))
            let answer = try await output(channel, until: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(answer.contains("Connection: close"))
        }
    }

    @Test("the task ends on inputClosed and closes the channel")
    func inputClosed() async throws {
        let log = try await withTask { channel, _ in
            try await channel.testingEventLoop.executeInContext {
                channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            }
            try await channel.closeFuture.get()
        }
        #expect(log.all.contains { $0.hasPrefix("close") })
    }

    @Test("the task ends on any error and closes the channel")
    func anyError() async throws {
        let log = try await withTask { channel, _ in
            try await channel.testingEventLoop.executeInContext {
                channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
            }
            try await channel.closeFuture.get()
        }
        #expect(log.all.contains { $0.hasPrefix("close") })
    }

    @Test("after a routed Connection: close the task half-closes first")
    func halfClose() async throws {
        let log = try await withTask { channel, _ in
            try await channel.writeInbound(
                ByteBuffer(string: "GET /bye HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
            _ = try await output(channel, until: "\r\n0\r\n\r\n")
            try await channel.closeFuture.get()
        }
        #expect(log.all.first { $0.hasPrefix("close") } == "close output")
    }

    @Test("cancelled, the task asks for close(.input) first")
    func cancelled() async throws {
        let log = try await withTask { _, _ in for _ in 0..<20 { await Task.yield() } }
        #expect(log.all.first { $0.hasPrefix("close") } == "close input")
    }
}

final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

/// Stands where the lane will stand and writes down what comes from behind.
private final class PlaceRecorder: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    private let log: Log

    init(log: Log) { self.log = log }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        log.add("close \(mode)")
        context.close(mode: mode, promise: promise)
    }
}

private final class EventRecorder: ChannelInboundHandler {
    typealias InboundIn = Any
    private(set) var events: [String] = []
    private(set) var sawInactive = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) { events.append("\(event)") }
    func channelInactive(context: ChannelHandlerContext) { sawInactive = true }
}

private final class PartRecorder: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    private(set) var heads: [HTTPRequest] = []
    private(set) var ends = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): heads.append(head)
        case .body: break
        case .end: ends += 1
        }
    }
}
