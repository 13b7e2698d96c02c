/// Remembers which requests were HTTP/1.0, and answers them as such.
///
/// The codec behind it forgets the version, and the encoder before it would then chunk an answer that an old client
/// cannot read. Requests are decoded ahead of their turn, so the version of the latest head is not the version of the
/// answer at hand: the watch keeps the number of the first old head (no head after it is ever answered, since the
/// connection closes then) and the lane says whose answer is being written.
import NIOCore
import NIOHTTP1

final class ProtocolVersionWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var headsSeen = 0
    private var firstOldHead = Int.max
    /// The answer at hand belongs to an HTTP/1.0 request.
    var answersOldClient = false

    /// Counted from 1, in order of arrival.
    func isOld(head number: Int) -> Bool { number >= firstOldHead }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data) {
            headsSeen += 1
            if head.version == .http1_0 || head.version == .http0_9 { firstOldHead = min(firstOldHead, headsSeen) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard answersOldClient, case .head(var head) = unwrapOutboundIn(data) else {
            return context.write(data, promise: promise)
        }
        head.version = .http1_0
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}
