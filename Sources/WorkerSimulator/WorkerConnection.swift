import Foundation
import NIOCore
import NIOHTTP1
import SimulatedWorker

/// One connection to the pretended worker: reads requests, writes answers, and tells the host when its client leaves.
final class WorkerConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    /// Bytes of one request body. More is a 413 and the connection's end.
    static let bodyBytesMax = 64 << 20
    /// Requests of one connection that arrived while an earlier one was being answered. More end the connection.
    static let pipelinedMax = 8

    private struct Request {
        let head: HTTPRequestHead
        var body: [UInt8] = []
    }

    private struct Answer {
        let stream: Bool
        var keepAlive: Bool
        var writer: AnswerWriter?
        var headSent = false
    }

    private let host: SimulatorHost
    private var context: ChannelHandlerContext?
    private var incoming: Request?
    private var waiting: [Request] = []
    private var answer: Answer?
    private var out = ByteBuffer()
    private var closesAfterFlush = false
    private var served = 0
    private var lastActivity = NIODeadline.now()
    private(set) var isMuted = false
    /// Set by the host as soon as the machine has given the request its number.
    var exchange: ExchangeID?

    init(host: SimulatorHost) { self.host = host }

    private var flavor: Flavor { host.settings.flavor }

    // Coming and going

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        host.opened(self)
        if host.isVanished { mute(true) }
        watchIdleness()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        let left = exchange
        exchange = nil
        answer = nil
        host.closed(self, left)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Neither reads nor writes, as a machine that fell asleep.
    func mute(_ muted: Bool) {
        isMuted = muted
        context?.channel.setOption(.autoRead, value: !muted).whenComplete { _ in }
        if !muted { flush() }
    }

    func hangUp(rudely: Bool) {
        guard let context else { return }
        if rudely, let options = context.channel as? any SocketOptionProvider {
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    /// One timer per connection that looks at the latest activity; requests themselves arm nothing.
    private func watchIdleness() {
        guard let context, let seconds = flavor.idleSeconds else { return }
        let due = lastActivity + .seconds(Int64(seconds))
        context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { [weak self] in
            guard let self, let context = self.context else { return }
            if exchange == nil, incoming == nil, lastActivity + .seconds(Int64(seconds)) <= .now() {
                context.close(promise: nil)
            } else {
                if exchange != nil { lastActivity = .now() }
                watchIdleness()
            }
        }
    }

    // Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            incoming = Request(head: head)
            if flavor != .mlxLM, head.headers.first(name: "expect")?.lowercased() == "100-continue" {
                context.writeAndFlush(
                    wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
            }
        case .body(let part):
            guard let count = incoming?.body.count, count + part.readableBytes <= Self.bodyBytesMax else {
                return context.close(promise: nil)
            }
            incoming?.body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let request = incoming else { return }
            incoming = nil
            guard exchange != nil || answer != nil else { return handle(request) }
            guard waiting.count < Self.pipelinedMax else { return context.close(promise: nil) }
            waiting.append(request)
        }
    }

    private func handle(_ request: Request) {
        served += 1
        lastActivity = .now()
        let head = request.head
        let keepAlive =
            head.isKeepAlive && !flavor.closesAfterAnswer && served < flavor.requestsPerConnectionMax
        let path = String(head.uri.prefix { flavor == .mlxLM || $0 != "?" })
        // ollama's guard against pages that rebind their name to this machine.
        if flavor == .ollama, !Self.isLocal(head.headers.first(name: "host") ?? "") {
            return answerPlainly(403, [], keepAlive: keepAlive)
        }
        if let key = host.settings.apiKey, !InformationPages.isPublic(flavor, path),
            head.headers.first(name: "authorization") != "Bearer \(key)", flavor.asksForKeys
        {
            return answerPlainly(401, ErrorText.wrongKey(flavor), keepAlive: keepAlive)
        }
        guard head.method == .POST, let route = flavor.route(path) else {
            let pages = InformationPages(
                settings: host.settings, machine: host.machine, created: host.clock.epochSeconds())
            let page = pages.page(head.method, path, String(head.uri.dropFirst(path.count)), request.body)
            if let order = page.order { host.carryOut(order) }
            return answerPlainly(page.status, page.body, type: page.type, keepAlive: keepAlive)
        }
        if flavor == .mlxLM, head.headers.first(name: "content-length") == nil {
            return answerPlainly(411, ErrorText.flat("Content-Length header is required"), keepAlive: false)
        }
        do throws(Refusal) {
            let ask = try host.reader.read(route, request.body, in: host.machine.temperatureOfBatch)
            answer = Answer(
                stream: ask.stream, keepAlive: keepAlive && !(ask.stream && flavor.closesAfterStream))
            host.accept(ask, from: self)
        } catch {
            answer = Answer(stream: false, keepAlive: keepAlive)
            host.accept(error, from: self)
        }
    }

    private static func isLocal(_ host: String) -> Bool {
        let name = host.hasPrefix("[") ? host : String(host.prefix { $0 != ":" })
        return name == "localhost" || name.hasPrefix("[") || name.allSatisfy { $0.isNumber || $0 == "." }
            || [".localhost", ".local", ".internal"].contains { name.hasSuffix($0) }
    }

    /// The machine has taken the request: what it says from now on is written by this.
    func begin(_ ask: Ask, _ id: ExchangeID) {
        exchange = id
        let twin = host.machine.holds(.duplicateIdentity)
        answer?.writer = AnswerWriter(
            flavor: flavor, ask: ask, number: twin ? 0 : id.rawValue, created: host.clock.epochSeconds(),
            wrongModel: host.machine.wrongModelExchange == id, version: host.machine.version)
    }

    private func answerPlainly(
        _ status: Int, _ body: [UInt8], type: String = "application/json", keepAlive mayStay: Bool
    ) {
        // llama.cpp closes the connection of whoever it refuses something.
        let keepAlive = mayStay && !(flavor == .llamaCpp && status >= 400)
        append(AnswerHead.bytes(flavor, status: status, type: type, framing: .length(body.count), keepAlive: keepAlive))
        append(body)
        closesAfterFlush = !keepAlive
        flush()
        next()
    }

    // Answers

    /// Something for the answer that is under way. `flush` sends it.
    func take(_ output: Output) {
        guard var current = answer else { return }
        // The copy in the property goes, so that the writer is changed in place.
        answer = nil
        var text = JSONText()
        switch output {
        case .head:
            if current.stream { sendStreamHead(&current, AnswerHead.eventStream) }
            if !current.stream, flavor.sendsPlainHeadEarly { sendStreamHead(&current, "application/json") }
            current.writer?.begin(into: &text)
        case .cached(_, let tokens): current.writer?.cachedTokens = tokens
        case .progress(_, let done, let total): current.writer?.progress(done: done, of: total, into: &text)
        case .tokens(_, let count): current.writer?.tokens(count, into: &text)
        case .errorEvent:
            guard current.stream else {
                return end(current, 500, ErrorText.failed(flavor))
            }
            current.writer?.errorEvent(into: &text)
            return endStream(current, text)
        case .silentEnd:
            guard current.stream else { return end(current, 200, []) }
            return endStream(current, text)
        case .finish(_, let cached):
            guard current.stream else { return end(current, 200, current.writer?.plain(cachedTokens: cached) ?? []) }
            current.writer?.finish(cachedTokens: cached, into: &text)
            return endStream(current, text)
        case .refuse(_, let status, let body): return end(current, status, body)
        case .hangUp(_, let rudely):
            flush()
            return hangUp(rudely: rudely)
        case .comment: current.writer?.comment(into: &text)
        case .processDies, .processEnds, .closeConnections: break
        }
        appendPart(text.bytes, current)
        answer = current
    }

    private func sendStreamHead(_ current: inout Answer, _ type: String) {
        current.headSent = true
        append(
            AnswerHead.bytes(
                flavor, status: 200, type: type, framing: .open, keepAlive: current.keepAlive,
                isMessages: current.writer?.route == .messages))
    }

    /// A piece of a stream, in a chunk where the server sends chunks.
    private func appendPart(_ bytes: [UInt8], _ current: Answer) {
        guard !bytes.isEmpty, current.stream else { return }
        guard flavor != .mlxLM else { return append(bytes) }
        out.writeString(String(bytes.count, radix: 16) + "\r\n")
        append(bytes)
        out.writeStaticString("\r\n")
    }

    private func endStream(_ current: Answer, _ text: JSONText) {
        appendPart(text.bytes, current)
        if flavor != .mlxLM { out.writeStaticString("0\r\n\r\n") }
        end(keepAlive: current.keepAlive)
    }

    private func end(_ current: Answer, _ status: Int, _ body: [UInt8]) {
        if current.headSent, !current.stream, status == 200 {
            append(Array("\(String(body.count, radix: 16))\r\n".utf8) + body + Array("\r\n0\r\n\r\n".utf8))
            return end(keepAlive: current.keepAlive)
        }
        // A refusal may come late, when the head is out: then only the connection's end can tell.
        guard !current.headSent else { return end(keepAlive: false) }
        let type = body.first == UInt8(ascii: "{") ? "application/json" : "text/plain; charset=utf-8"
        let keepAlive = current.keepAlive && !(flavor == .llamaCpp && status >= 400)
        append(
            AnswerHead.bytes(flavor, status: status, type: type, framing: .length(body.count), keepAlive: keepAlive))
        append(body)
        end(keepAlive: keepAlive)
    }

    private func end(keepAlive: Bool) {
        if let exchange { host.ended(exchange) }
        exchange = nil
        answer = nil
        closesAfterFlush = !keepAlive
        lastActivity = .now()
        guard !waiting.isEmpty, let context else { return }
        // Not from inside the host's delivery, which is walking over outputs.
        context.eventLoop.assumeIsolated().execute { [weak self] in self?.next() }
    }

    private func next() {
        guard exchange == nil, answer == nil, !waiting.isEmpty, !closesAfterFlush else { return }
        handle(waiting.removeFirst())
    }

    private func append(_ bytes: [UInt8]) { out.writeBytes(bytes) }

    func flush() {
        guard let context, !isMuted, out.readableBytes > 0 || closesAfterFlush else { return }
        let buffer = out
        out = ByteBuffer()
        guard closesAfterFlush else { return context.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { [weak self] _ in self?.context?.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: promise)
    }
}
