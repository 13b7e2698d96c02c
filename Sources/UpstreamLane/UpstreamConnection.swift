/// One connection to one worker: bytes out, facts in, and a firm opinion on when it may be used again.
///
/// It stands alone in its pipeline (behind TLS, where a worker has it): our requests are written as the bytes they are,
/// and the answer is parsed where it lies. It serves one exchange at a time and calls it directly, on the same loop.
import Determinism
import ExchangeFlow
import NIOCore
import NIOTLS
import ReplicaCore

/// The exchange's ear. Every call is the last thing the connection does in that turn of its reading, so a user may give
/// the connection up inside any of them.
protocol UpstreamUser: AnyObject {
    func upstreamConnected()
    /// A final head; its ranges are offsets into `bytes`.
    func upstreamHead(_ head: ResponseHead, bytes: ByteBuffer)
    func upstreamBody(_ bytes: ByteBuffer)
    /// The answer ended by its framing (or by EOF where that is its framing). The connection is no longer the user's.
    func upstreamEnd(byEOF: Bool)
    /// All bytes of this read were given: the moment to flush.
    func upstreamReadComplete()
    /// The connection is gone, or its bytes are not HTTP. It is no longer the user's.
    func upstreamFailed(_ failure: UpstreamFailure)
}

/// Why an upstream connection ended under an exchange.
enum UpstreamFailure: Error {
    /// Nothing was sent: refused, unreachable, no such name, TLS refused.
    case connect(String)
    case connectTimedOut
    /// Closed or reset. `sawByte`: something of the answer had come. `wasReused`: it had served before.
    case closed(sawByte: Bool, wasReused: Bool)
    case notHTTP(String)
}

final class UpstreamConnection: ChannelInboundHandler, ChannelOutboundHandler, FlushTarget, RestingReader {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Tells the pool what becomes of a connection.
    var onIdle: ((UpstreamConnection) -> Void)?
    var onClosed: ((UpstreamConnection) -> Void)?

    /// Called once, when the worker is known or believed to have accepted it.
    var onAccepted: (() -> Void)?

    /// Its name in the pool, once the dial ended well.
    var poolID: UpstreamPoolMachine.ConnectionID?
    private let isTLS: Bool
    private let flushes: FlushList
    private let rests: RestList
    private var isReady = false
    /// Dials by name that are under way, as many as the name has addresses at most; the first to succeed is ours.
    private var dials: [any Channel] = []
    private var lastError: String?
    private(set) var requestsServed = 0
    /// Strong while leased; every ending lets go of it, so the cycle with the exchange lives as long as the lease.
    private var user: (any UpstreamUser)?
    private var context: ChannelHandlerContext?
    private var parser = UpstreamResponseParser()
    /// Bytes of a head that is not whole yet; bounded by the parser's own head limit.
    private var partialHead: ByteBuffer?
    private var sawByte = false
    private var isPaused = false
    private var burstRest = BurstRest()
    private var isResting = false
    private var wantsRead = false
    private var isClosed = false
    private var mayBeKept = false

    /// Request bodies up to here are copied behind their head.
    static let copiedBytesMax = 8 << 10

    init(isTLS: Bool, flushes: FlushList, rests: RestList) {
        self.isTLS = isTLS
        self.flushes = flushes
        self.rests = rests
    }

    var isConnected: Bool { context?.channel.isActive ?? false }

    // MARK: The exchange's side

    func lease(to user: any UpstreamUser) {
        self.user = user
        sawByte = false
        isPaused = false
        burstRest = BurstRest()
        parser.startNext()
    }

    /// Another ear for the answer that is under way.
    func handOver(to user: any UpstreamUser) { self.user = user }

    /// Writes one whole request and flushes. The worker has it once the kernel has.
    func send(_ head: ByteBuffer, _ body: [ByteBuffer]) {
        guard let context else { return }
        let bodyBytes = body.reduce(0) { $0 + $1.readableBytes }
        if bodyBytes <= Self.copiedBytesMax {
            // One buffer is one cheaper system call.
            var whole = head
            for piece in body { whole.writeImmutableBuffer(piece) }
            context.write(wrapOutboundOut(whole), promise: nil)
        } else {
            context.write(wrapOutboundOut(head), promise: nil)
            for piece in body { context.write(wrapOutboundOut(piece), promise: nil) }
        }
        flushes.flushSoon(self)
    }

    func flushNow() { context?.flush() }

    /// Ends it now, whatever it does: the only way to tell a worker that nobody listens any more.
    func abandon() {
        user = nil
        isClosed = true
        context?.close(mode: .all, promise: nil)
        for channel in dials { channel.close(mode: .all, promise: nil) }
        dials = []
    }

    /// Withholds `read()` while the client cannot take more.
    func pause(_ paused: Bool) {
        isPaused = paused
        readIfWanted()
    }

    /// Bytes of an event stream were read at `now`, and more of the same are expected: quick ones are read together.
    func restIfBurst(at now: Instant) {
        guard !isResting, burstRest.bytesCame(at: now) else { return }
        isResting = true
        rests.rest(self)
    }

    func restEnded(at now: Instant) {
        isResting = false
        burstRest.ended(at: now)
        readIfWanted()
    }

    private func readIfWanted() {
        guard !isPaused, !isResting, wantsRead, let context else { return }
        wantsRead = false
        context.read()
    }

    /// Whether the dialect and this answer allow another request after this one.
    func keepAfterAnswer(_ keep: Bool) { mayBeKept = keep }

    // MARK: The channel's side

    /// One of the addresses of the worker's name is about to be dialled.
    func dialing(_ channel: any Channel) throws {
        if isClosed { throw ChannelError.alreadyClosed }
        dials.append(channel)
    }

    /// The peer accepted. Behind TLS the connection is ready only after the handshake.
    func dialed() {
        dials = []
        guard !isTLS, !isClosed else { return }
        ready()
    }

    func accepted() {
        guard let onAccepted else { return }
        self.onAccepted = nil
        onAccepted()
    }

    private func ready() {
        isReady = true
        user?.upstreamConnected()
    }

    /// The dial failed: nothing was sent.
    func dialFailed(_ failure: UpstreamFailure) {
        dials = []
        isClosed = true
        takeUser()?.upstreamFailed(failure)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if isClosed { context.close(mode: .all, promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Whether the kernel has the whole request. An answer may come before that, and then the rest would go to whoever
    /// uses the connection next.
    private func hasWrittenAll(_ context: ChannelHandlerContext) -> Bool {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 == 0
    }

    func read(context: ChannelHandlerContext) {
        if isPaused || isResting { wantsRead = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard user != nil else {
            // Bytes nobody asked for: whatever they are, this connection's framing is in doubt (L11).
            close(context)
            return
        }
        sawByte = true
        accepted()
        if var partial = partialHead {
            partial.writeBuffer(&bytes)
            partialHead = nil
            bytes = partial
        }
        parse(bytes, context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        user?.upstreamReadComplete()
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        accepted()
        if let user = takeUser() {
            if !isReady {
                user.upstreamFailed(.connect(whyNotReady))
            } else if lastError == nil, partialHead == nil, parser.endOfBytes() {
                user.upstreamEnd(byEOF: true)
            } else {
                user.upstreamFailed(.closed(sawByte: sawByte, wasReused: requestsServed > 0))
            }
        }
        onClosed?(self)
        onClosed = nil
        onIdle = nil
        context.fireChannelInactive()
    }

    private var whyNotReady: String {
        guard let lastError else { return "the connection ended before it was ready" }
        return isTLS ? TLSFailureText.reason(lastError) ?? "the TLS handshake failed" : lastError
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset, or TLS that ended without its goodbye: `channelInactive` follows the close and tells the user.
        lastError = "\(error)"
        close(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { ready() }
        context.fireUserInboundEventTriggered(event)
    }

    private func takeUser() -> (any UpstreamUser)? {
        defer {
            user = nil
        }
        return user
    }

    private func close(_ context: ChannelHandlerContext) {
        isClosed = true
        context.close(mode: .all, promise: nil)
    }

    private func parse(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        var offset = 0
        let start = bytes.readerIndex
        while user != nil {
            let event = bytes.withUnsafeReadableBytes { parser.next(in: $0, at: &offset) }
            switch event {
            case .needMore:
                if offset < bytes.readableBytes {
                    partialHead = bytes.getSlice(at: start + offset, length: bytes.readableBytes - offset)
                }
                return
            case .head(let head, _):
                user?.upstreamHead(head, bytes: bytes)
            case .body(let range):
                if range.lowerBound == 0, range.upperBound == bytes.readableBytes {
                    user?.upstreamBody(bytes)
                } else if let slice = bytes.getSlice(at: start + range.lowerBound, length: range.count) {
                    user?.upstreamBody(slice)
                }
            case .end(let isReusable):
                finish(keep: isReusable && offset == bytes.readableBytes, context)
                return
            case .failed(let reason):
                let failed = takeUser()
                close(context)
                failed?.upstreamFailed(.notHTTP(reason))
                return
            }
        }
    }

    private func finish(keep: Bool, _ context: ChannelHandlerContext) {
        requestsServed += 1
        let ended = takeUser()
        if keep, mayBeKept, !isClosed, context.channel.isActive, !isPaused, hasWrittenAll(context) {
            onIdle?(self)
        } else {
            close(context)
        }
        ended?.upstreamEnd(byEOF: false)
    }
}
