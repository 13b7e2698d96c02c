import ExchangeFlow
/// What the router's side says: its answers, its reads, its closes.
import HTTPTypes
package import NIOCore
import NIOHTTPTypes

extension LaneHandler {
    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part = unwrapOutboundIn(data)
        let name: ResponsePart =
            switch part {
            case .head(let head): head.status.code < 200 ? .informationalHead : .head
            case .body: .body
            case .end: .end
            }
        tell(.routedPart(name), .routed(part, data, promise))
    }

    package func flush(context: ChannelHandlerContext) { tell(.flushed, .nothing) }

    package func read(context: ChannelHandlerContext) { tell(.readWanted, .nothing) }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        let side: CloseSide =
            switch mode {
            case .input: .input
            case .output: .output
            case .all: .all
            }
        tell(.closeWanted(side), .close(mode, promise))
    }
}
