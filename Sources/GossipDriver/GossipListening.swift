/// Puts the two sockets of a replica on its loop.
import NIOCore
import NIOPosix

enum GossipListening {
    /// After a socket was closed by the system [ours].
    static let retry = TimeAmount.seconds(1)

    static func begin(
        _ gossip: NIOLoopBound<GossipLoop>, stream: BoundSocket, datagram: BoundSocket, host: String, port: UInt16
    ) async throws {
        let loop = gossip.eventLoop
        try await read(datagram, gossip, host: host, port: port).get()
        let listener = try await ServerBootstrap(group: loop)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                gossip.value.accept(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .withBoundSocket(stream.descriptor).get()
        try await loop.submit {
            gossip.value.listener = listener
        }.get()
    }

    private static func read(
        _ datagram: BoundSocket, _ gossip: NIOLoopBound<GossipLoop>, host: String, port: UInt16
    ) -> EventLoopFuture<Void> {
        DatagramBootstrap(group: gossip.eventLoop)
            .channelOption(.datagramVectorReadMessageCount, value: DatagramReader.perCall)
            .channelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: DatagramSocket.bufferBytes * DatagramReader.perCall)
            )
            .channelOption(.maxMessagesPerRead, value: DatagramReader.callsPerTurn)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let reader = DatagramReader(gossip.value) { closed(gossip, host: host, port: port) }
                    try channel.pipeline.syncOperations.addHandler(reader)
                }
            }
            .withBoundSocket(datagram.descriptor).map { channel in
                gossip.value.reader = channel
                gossip.value.socket = DatagramSocket(datagram)
            }
    }

    /// The number of the closed socket may be another file's by now: nothing may be sent on it.
    private static func closed(_ gossip: NIOLoopBound<GossipLoop>, host: String, port: UInt16) {
        guard !gossip.value.hasEnded else { return }
        if gossip.value.socket != nil { gossip.value.log.readerClosed() }
        gossip.value.reader = nil
        gossip.value.socket = nil
        gossip.value.loop.scheduleTask(in: retry) {
            guard !gossip.value.hasEnded else { return }
            do {
                let socket = try BoundSocket.datagram(host: host, port: port)
                read(socket, gossip, host: host, port: port).whenFailure { _ in
                    closed(gossip, host: host, port: port)
                }
            } catch {
                closed(gossip, host: host, port: port)
            }
        }
    }
}
