/// Sockets of a test: they send, and wait for what comes.
import NIOCore
import NIOPosix

/// A UDP socket as a replica has one.
final class TestPeer: Sendable {
    let channel: any Channel
    private let packets: AsyncStream<AddressedEnvelope<ByteBuffer>>

    var port: Int { channel.localAddress!.port! }
    var address: String { "127.0.0.1:\(port)" }
    func close() async { try? await channel.close() }

    init() async throws {
        let (packets, feed) = AsyncStream.makeStream(of: AddressedEnvelope<ByteBuffer>.self)
        self.packets = packets
        channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PacketFeed(feed))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
    }

    func send(_ text: String, to address: String) async throws {
        try await send(Array(text.utf8), to: address)
    }

    func send(_ bytes: [UInt8], to address: String) async throws {
        let parts = address.split(separator: ":")
        let target = try SocketAddress(ipAddress: String(parts[0]), port: Int(parts[1])!)
        try await channel.writeAndFlush(AddressedEnvelope(remoteAddress: target, data: ByteBuffer(bytes: bytes)))
    }

    /// The next packet's bytes and sender.
    func next() async -> (text: String, from: String) {
        for await packet in packets {
            return (String(buffer: packet.data), "127.0.0.1:\(packet.remoteAddress.port!)")
        }
        return ("the socket is closed", "")
    }
}

private final class PacketFeed: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let feed: AsyncStream<AddressedEnvelope<ByteBuffer>>.Continuation

    init(_ feed: AsyncStream<AddressedEnvelope<ByteBuffer>>.Continuation) { self.feed = feed }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { feed.yield(unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { feed.finish() }
}

/// What one end of a connection saw.
enum StreamSight: Equatable, Sendable {
    case bytes(String)
    case end
    case reset
    case closed
}

/// One end of a TCP connection.
final class TestStream: Sendable {
    let channel: any Channel
    private let sights: AsyncStream<StreamSight>

    init(_ channel: any Channel, _ sights: AsyncStream<StreamSight>) {
        self.channel = channel
        self.sights = sights
    }

    static func dial(_ address: String) async throws -> TestStream {
        let (sights, feed) = AsyncStream.makeStream(of: StreamSight.self)
        let parts = address.split(separator: ":")
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamFeed(feed))
                }
            }.connect(host: String(parts[0]), port: Int(parts[1])!).get()
        return TestStream(channel, sights)
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }
    func close() async { try? await channel.close() }
    func sendEnd() async throws { try await channel.close(mode: .output) }

    /// The next thing that happens; bytes gathered until there are `count`.
    func next(_ count: Int = 1) async -> StreamSight {
        var text = ""
        for await sight in sights {
            guard case .bytes(let more) = sight else { return text.isEmpty ? sight : .bytes(text) }
            text += more
            if text.utf8.count >= count { return .bytes(text) }
        }
        return .closed
    }
}

/// A replica's TCP side: hands out what is dialled.
final class TestListener: Sendable {
    let channel: any Channel
    private let streams: AsyncStream<TestStream>

    init(port: Int = 0) async throws {
        let (streams, feed) = AsyncStream.makeStream(of: TestStream.self)
        self.streams = streams
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (sights, sightFeed) = AsyncStream.makeStream(of: StreamSight.self)
                    try channel.pipeline.syncOperations.addHandler(StreamFeed(sightFeed))
                    feed.yield(TestStream(channel, sights))
                }
            }.bind(host: "127.0.0.1", port: port).get()
    }

    var port: Int { channel.localAddress!.port! }
    func close() async { try? await channel.close() }

    func next() async -> TestStream? {
        for await stream in streams { return stream }
        return nil
    }
}

private final class StreamFeed: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let feed: AsyncStream<StreamSight>.Continuation

    init(_ feed: AsyncStream<StreamSight>.Continuation) { self.feed = feed }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        feed.yield(.bytes(String(buffer: unwrapInboundIn(data))))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { feed.yield(.end) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { feed.yield(.reset) }

    func channelInactive(context: ChannelHandlerContext) {
        feed.yield(.closed)
        feed.finish()
    }
}
