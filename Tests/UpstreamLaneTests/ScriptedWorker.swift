import NIOCore
import NIOPosix

/// A worker in this process on a loopback port, which does what a test tells it, byte for byte. Touched on its loop only.
final class ScriptedWorker {
    /// A request as it came over the wire.
    struct Request {
        let head: String
        let body: String

        func field(_ name: String) -> String? {
            for line in head.split(separator: "\r\n").dropFirst() {
                let halves = line.split(separator: ":", maxSplits: 1)
                if halves[0].lowercased() == name { return halves[1].drop { $0 == " " }.description }
            }
            return nil
        }
    }

    /// One accepted connection.
    final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private unowned let worker: ScriptedWorker
        private var received = ByteBuffer()
        private(set) var channel: (any Channel)!
        private(set) var requests: [Request] = []
        /// The gateway ended its side, or all of it.
        private(set) var isEnded = false
        var isReading = true

        init(_ worker: ScriptedWorker) { self.worker = worker }

        func say(_ text: String) { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }
        func close() { channel.close(mode: .all, promise: nil) }

        /// Ends with RST instead of FIN: what is unsent is lost, and the peer reads an error.
        func reset() {
            let options = channel as? any SocketOptionProvider
            options?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { [channel] _ in
                channel?.close(promise: nil)
            }
        }

        func handlerAdded(context: ChannelHandlerContext) { channel = context.channel }

        func channelActive(context: ChannelHandlerContext) {
            worker.connections.append(self)
            worker.whenAccepted?(self)
        }

        func read(context: ChannelHandlerContext) { if isReading { context.read() } }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            received.writeBuffer(&bytes)
            while let request = takeRequest() {
                requests.append(request)
                worker.requests.append(request)
                worker.whenAsked?(self, request)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { isEnded = true }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func takeRequest() -> Request? {
            let text = String(decoding: received.readableBytesView, as: UTF8.self)
            guard let end = text.range(ofFirst: "\r\n\r\n") else { return nil }
            let head = String(text[..<end.lowerBound])
            let request = Request(head: head, body: "")
            let length = request.field("content-length").flatMap { Int($0) } ?? 0
            let headBytes = head.utf8.count + 4
            guard received.readableBytes >= headBytes + length else { return nil }
            received.moveReaderIndex(forwardBy: headBytes)
            return Request(head: head, body: received.readString(length: length) ?? "")
        }
    }

    private(set) var connections: [Connection] = []
    private(set) var requests: [Request] = []
    var whenAsked: ((Connection, Request) -> Void)?
    var whenAccepted: ((Connection) -> Void)?
    private(set) var port = 0
    private var listener: (any Channel)?

    /// Listens at once: binding to a loopback address waits for nothing.
    init(on loop: any EventLoop, whenAsked: ((Connection, Request) -> Void)? = nil) {
        self.whenAsked = whenAsked
        let bound = NIOLoopBound(self, eventLoop: loop)
        let starting = ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(bound.value))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
        starting.assumeIsolated().whenSuccess { [self] channel in
            listener = channel
            port = channel.localAddress?.port ?? 0
        }
    }

    var open: [Connection] { connections.filter { !$0.isEnded } }

    /// Nobody listens there any more; a dial is refused.
    func stop() {
        listener?.close(promise: nil)
        listener = nil
        for connection in open { connection.close() }
    }
}

extension String {
    /// The first place of `part`, byte by byte.
    func range(ofFirst part: String) -> Range<String.Index>? {
        var start = utf8.startIndex
        let wanted = Array(part.utf8)
        while let found = utf8[start...].firstIndex(of: wanted[0]) {
            if utf8[found...].prefix(wanted.count).elementsEqual(wanted) {
                return found..<utf8.index(found, offsetBy: wanted.count)
            }
            start = utf8.index(after: found)
        }
        return nil
    }
}

/// Answers as workers write them.
enum Reply {
    static func plain(_ body: String, status: String = "200 OK", _ fields: String = "") -> String {
        "HTTP/1.1 \(status)\r\ncontent-type: application/json\r\ncontent-length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }

    static let streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    static func chunk(_ text: String) -> String {
        text.isEmpty ? "" : String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n"
    }

    static let lastChunk = "0\r\n\r\n"

    static let role = #"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"# + "\n\n"
    static func content(_ text: String) -> String {
        #"data: {"choices":[{"index":0,"delta":{"content":"\#(text)"}}]}"# + "\n\n"
    }
    static let finish = #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"# + "\n\n"
    static let usage =
        #"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"# + "\n\n"
    static let error = #"data: {"error":{"message":"it broke","type":"server_error"}}"# + "\n\n"
    static let done = "data: [DONE]\n\n"

    static let completion =
        #"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"#
        + #""usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#

    static func stream(_ events: String) -> String { streamHead + chunk(events) + lastChunk }
}
