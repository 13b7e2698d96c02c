import NIOCore
import NIOHTTP1
package import NIOPosix
import SimulatedWorker

/// A simulated worker that listens, and what it takes to stop it again.
package final class SimulatorServer: Sendable {
    package let port: Int
    package let controlPort: Int?
    private let host: NIOLoopBound<SimulatorHost>
    private let group: MultiThreadedEventLoopGroup
    /// Several workers share one group, and who made it ends it.
    private let ownsGroup: Bool
    private let stopped: EventLoopPromise<Void>

    /// Why it could not listen.
    package struct CannotListen: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    private init(
        host: NIOLoopBound<SimulatorHost>, group: MultiThreadedEventLoopGroup, ownsGroup: Bool, port: Int,
        controlPort: Int?, stopped: EventLoopPromise<Void>
    ) {
        self.host = host
        self.group = group
        self.ownsGroup = ownsGroup
        self.port = port
        self.controlPort = controlPort
        self.stopped = stopped
    }

    /// Starts a worker on a loop of its own, or on that of a fleet.
    package static func start(
        _ settings: SimulatorSettings, on shared: MultiThreadedEventLoopGroup? = nil
    ) async throws(CannotListen) -> SimulatorServer {
        // One loop: the machine is shared by all connections and would only wait for itself on more.
        let group = shared ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let stopped = loop.makePromise(of: Void.self)
        do {
            let box = try await loop.submit { NIOLoopBound(SimulatorHost(settings, loop: loop), eventLoop: loop) }.get()
            let worker = try await bind(settings.host, settings.port) {
                Self.workerBootstrap(loop, settings, .open, box)
            }
            let port = worker.localAddress?.port ?? settings.port
            try await loop.submit {
                box.value.listener = worker
                box.value.ended = { stopped.succeed() }
                box.value.reopen = { door in
                    Self.workerBootstrap(loop, settings, door, box).bind(host: settings.host, port: port)
                }
                box.value.begin()
            }.get()
            var control: (any Channel)?
            if let controlPort = settings.controlPort {
                control = try await bind(settings.host, controlPort) {
                    Self.bootstrap(loop, 64) { channel in
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                        try channel.pipeline.syncOperations.addHandler(ControlConnection(host: box.value))
                    }
                }
            }
            return SimulatorServer(
                host: box, group: group, ownsGroup: shared == nil, port: port,
                controlPort: control.map { $0.localAddress?.port ?? 0 }, stopped: stopped)
        } catch {
            stopped.fail(error)
            if shared == nil { try? await group.shutdownGracefully() }
            throw error as? CannotListen ?? CannotListen(description: "\(error)")
        }
    }

    /// SIGTERM: it ends in the manner of its kind, and `waitUntilStopped` returns when it has.
    package func terminate() {
        let host = host
        group.next().execute { host.value.terminate() }
    }

    /// Closes everything and waits until it is closed. A fleet's group is its owner's.
    package func stop() async {
        stopped.succeed()
        if ownsGroup { try? await group.shutdownGracefully() }
    }

    /// Returns once it has ended by SIGTERM, or somebody has called `stop`.
    package func waitUntilStopped() async { try? await stopped.futureResult.get() }

    private static func bind(
        _ host: String, _ port: Int, _ bootstrap: () -> ServerBootstrap
    ) async throws(CannotListen) -> any Channel {
        do {
            return try await bootstrap().bind(host: host, port: port).get()
        } catch {
            throw CannotListen(
                description:
                    "cannot listen on \(host) port \(port): \(error). Choose another port, or 0 for a free one.")
        }
    }

    private static func workerBootstrap(
        _ loop: any EventLoop, _ settings: SimulatorSettings, _ door: Door, _ box: NIOLoopBound<SimulatorHost>
    ) -> ServerBootstrap {
        let backlog = door == .stuffed ? Door.stuffedBacklog : settings.flavor.backlog
        return bootstrap(loop, backlog) { channel in
            try channel.pipeline.syncOperations.addHandlers([
                ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)),
                WorkerConnection(host: box.value),
            ])
        }.serverChannelOption(.autoRead, value: door == .open)
    }

    private static func bootstrap(
        _ loop: any EventLoop, _ backlog: Int32, _ prepare: @escaping @Sendable (any Channel) throws -> Void
    ) -> ServerBootstrap {
        ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel) }
            }
    }
}
