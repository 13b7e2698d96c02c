/// A faulty network for real processes, on loopback, without privileges: a UDP socket and a TCP listener in front of each
/// replica, and a control connection that says what happens to whom.
///
/// Its seed fixes the draws for each link, not the outcome: real processes send when they like.
import NIOCore
package import NIOPosix

package final class Relay: Sendable {
    package struct Front: Equatable, Sendable {
        package let name: String
        /// What the replica advertises: `127.0.0.1:40001`.
        package let address: String
    }

    /// In the order of the options.
    package let fronts: [Front]
    package let controlPort: Int

    private let board: NIOLoopBound<Switchboard>
    private let channels: [any Channel]

    /// Everything runs on one loop of `group`.
    package static func start(
        _ options: RelayOptions, group: MultiThreadedEventLoopGroup = .singleton
    ) async throws(RelayFailure) -> Relay {
        try check(options)
        let loop = group.next()
        do {
            let board = try await loop.submit {
                NIOLoopBound(Switchboard(options, loop: loop.assumeIsolated()), eventLoop: loop)
            }.get()
            var opened: [(name: String, front: OpenFront)] = []
            for (index, front) in options.fronts.enumerated() {
                opened.append((front.name, try await OpenFront.open(front, index, board, loop)))
            }
            let fronts = opened
            try await loop.submit {
                board.value.install(
                    try zip(options.fronts, fronts).map { told, open in
                        let bind = try told.bind.map { try SocketAddress(ipAddress: $0.host, port: $0.port) }
                        return Switchboard.Front(
                            name: told.name, address: open.front.address, bind: bind,
                            datagrams: open.front.datagrams, listener: open.front.listener)
                    })
                board.value.listen = { OpenFront.listenAgain($0, board) }
            }.get()
            let control = try await ControlConnection.listen(options.controlPort, board, loop)
            return Relay(
                fronts: fronts.map { Front(name: $0.name, address: $0.front.text) },
                controlPort: control.localAddress?.port ?? 0, board: board,
                channels: fronts.map(\.front.datagrams) + [control])
        } catch let failure as RelayFailure {
            throw failure
        } catch {
            throw RelayFailure(description: "the relay cannot listen: \(error)")
        }
    }

    private init(fronts: [Front], controlPort: Int, board: NIOLoopBound<Switchboard>, channels: [any Channel]) {
        self.fronts = fronts
        self.controlPort = controlPort
        self.board = board
        self.channels = channels
    }

    /// One line of JSON, as over the control connection; the answer without its newline.
    package func tell(_ line: String) async -> String {
        let board = board
        let answer = try? await channels[0].eventLoop.submit { board.value.answer(to: Array(line.utf8)) }.get()
        return answer.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    package func stop() async {
        let board = board
        let listeners = try? await channels[0].eventLoop.submit {
            for pair in Array(board.value.pairs.values) { pair.end() }
            board.value.listen = nil
            return board.value.fronts.compactMap(\.listener)
        }.get()
        for channel in channels + (listeners ?? []) { try? await channel.close() }
    }

    private static func check(_ options: RelayOptions) throws(RelayFailure) {
        guard (1...RelayOptions.frontsMax).contains(options.fronts.count) else {
            throw RelayFailure(description: "a relay stands before 1 to \(RelayOptions.frontsMax) replicas")
        }
        var names: Set<String> = ["*", "other"]
        for front in options.fronts where !names.insert(front.name).inserted || front.name.isEmpty {
            throw RelayFailure(description: "\"\(front.name)\" cannot be the name of one replica")
        }
    }
}

/// The sockets of one front.
struct OpenFront: Sendable {
    /// Two sockets of one number are wanted; with a port of the system's choice the second may be taken.
    static let attemptsMax = 16

    let address: SocketAddress
    let datagrams: any Channel
    let listener: any Channel

    var text: String {
        let host = address.ipAddress ?? ""
        return RelayOptions.Endpoint(host: host, port: address.port ?? 0).text
    }

    static func open(
        _ front: RelayOptions.Front, _ index: Int, _ board: NIOLoopBound<Switchboard>, _ loop: any EventLoop
    ) async throws -> OpenFront {
        var attempt = 1
        while true {
            let datagrams = try await DatagramBootstrap(group: loop)
                .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
                .channelOption(.socketOption(.so_rcvbuf), value: 4 << 20)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(DatagramFront(board.value, index))
                    }
                }.bind(host: front.front.host, port: front.front.port).get()
            let address = datagrams.localAddress!
            do {
                return OpenFront(
                    address: address, datagrams: datagrams,
                    listener: try await listener(index, board, loop).bind(to: address).get())
            } catch {
                try? await datagrams.close()
                guard front.front.port == 0, attempt < attemptsMax else { throw error }
                attempt += 1
            }
        }
    }

    static func listener(
        _ index: Int, _ board: NIOLoopBound<Switchboard>, _ loop: any EventLoop
    ) -> ServerBootstrap {
        ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 1_024)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let board = board.value
                    guard board.pairs.count < board.options.streamsMax else {
                        throw RelayFailure(description: "too many streams")
                    }
                    let source = board.source(of: channel.remoteAddress?.ipAddress)
                    let pair = StreamPair(board, dialler: channel, from: source, to: index)
                    try channel.pipeline.syncOperations.addHandler(StreamEnd(pair, .dialler))
                }
            }
    }

    /// At once; when the port is not free yet, the next sign of life tries again.
    static func listenAgain(_ index: Int, _ board: NIOLoopBound<Switchboard>) {
        let loop = board.eventLoop
        let address = board.value.fronts[index].address
        board.value.listen = nil
        listener(index, board, loop).bind(to: address).assumeIsolated().whenComplete { result in
            if case .success(let channel) = result { board.value.setListener(index, channel) }
            board.value.listen = { listenAgain($0, board) }
        }
    }
}

/// Hands every packet of a front to the table.
final class DatagramFront: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let board: Switchboard
    private let index: Int

    init(_ board: Switchboard, _ index: Int) {
        self.board = board
        self.index = index
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        board.received(envelope.data, from: envelope.remoteAddress, at: index)
    }

    /// A port behind us that nobody holds answers by ICMP; that is no reason to stop.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
