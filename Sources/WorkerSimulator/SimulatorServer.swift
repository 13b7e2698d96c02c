import NIOCore
import NIOHTTP1
import NIOPosix
import SimulatedWorker

/// A simulated worker that listens, and what it takes to stop it again.
package final class SimulatorServer: Sendable {
    package let port: Int
    package let controlPort: Int?
    private let group: MultiThreadedEventLoopGroup
    private let stopped: EventLoopPromise<Void>

    /// Why it could not listen.
    package struct CannotListen: Error, CustomStringConvertible {
        package let description: String
    }

    private init(group: MultiThreadedEventLoopGroup, port: Int, controlPort: Int?) {
        self.group = group
        self.port = port
        self.controlPort = controlPort
        stopped = group.next().makePromise()
    }

    package static func start(_ settings: SimulatorSettings) async throws(CannotListen) -> SimulatorServer {
        // One loop: the machine is shared by all connections and would only wait for itself on more.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        do {
            let box = try await loop.submit { NIOLoopBound(SimulatorHost(settings, loop: loop), eventLoop: loop) }.get()
            let worker = try await bind(settings.host, settings.port, group, settings.flavor.backlog) { channel in
                try channel.pipeline.syncOperations.addHandlers([
                    ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)),
                    WorkerConnection(host: box.value),
                ])
            }
            let port = worker.localAddress?.port ?? settings.port
            try await loop.submit {
                box.value.listener = worker
                box.value.reopen = {
                    Self.bootstrap(group, settings.flavor.backlog) { channel in
                        try channel.pipeline.syncOperations.addHandlers([
                            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)),
                            WorkerConnection(host: box.value),
                        ])
                    }.bind(host: settings.host, port: port)
                }
            }.get()
            var control: (any Channel)?
            if let controlPort = settings.controlPort {
                control = try await bind(settings.host, controlPort, group, 64) { channel in
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    try channel.pipeline.syncOperations.addHandler(ControlConnection(host: box.value))
                }
            }
            return SimulatorServer(
                group: group, port: port, controlPort: control.map { $0.localAddress?.port ?? 0 })
        } catch {
            try? await group.shutdownGracefully()
            throw error as? CannotListen ?? CannotListen(description: "\(error)")
        }
    }

    /// Closes everything and waits until it is closed.
    package func stop() async {
        stopped.succeed()
        try? await group.shutdownGracefully()
    }

    /// Returns once somebody has called `stop`.
    package func waitUntilStopped() async { try? await stopped.futureResult.get() }

    private static func bind(
        _ host: String, _ port: Int, _ group: MultiThreadedEventLoopGroup, _ backlog: Int32,
        _ prepare: @escaping @Sendable (any Channel) throws -> Void
    ) async throws(CannotListen) -> any Channel {
        do {
            return try await bootstrap(group, backlog, prepare).bind(host: host, port: port).get()
        } catch {
            throw CannotListen(
                description:
                    "cannot listen on \(host) port \(port): \(error). Choose another port, or 0 for a free one.")
        }
    }

    private static func bootstrap(
        _ group: MultiThreadedEventLoopGroup, _ backlog: Int32,
        _ prepare: @escaping @Sendable (any Channel) throws -> Void
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel) }
            }
    }
}
