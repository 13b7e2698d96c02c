/// Hands datagrams from the channel to the gossip's loop: all of a burst, then one conclusion.
import NIOCore

final class DatagramReader: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    /// Datagrams that one call to the system may bring, and calls in one turn of the loop [ours].
    static let perCall = 16
    static let callsPerTurn: UInt = 16

    private unowned let gossip: GossipLoop
    private let onClose: () -> Void

    init(_ gossip: GossipLoop, onClose: @escaping () -> Void) {
        self.gossip = gossip
        self.onClose = onClose
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let source = SystemAddress.address(envelope.remoteAddress) else { return }
        envelope.data.withUnsafeReadableBytes { gossip.receive($0, from: source) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { gossip.conclude() }

    /// ICMP's complaints arrive as errors: no reason to stop reading.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}

    func channelInactive(context: ChannelHandlerContext) { onClose() }
}
