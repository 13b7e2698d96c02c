/// A replica's part in the flock, running: its sockets, its files, its clock and its machine.
///
/// Everything that changes anything happens on the gossip's own loop; what is shown here are copies.
import Crypto
import Determinism
package import Logging
import Membership
import NIOCore
import NIOPosix
package import ReplicaCore
import Synchronization
package import WireCoding

package final class GossipService: Sendable {
    /// Inputs that wait for the loop; a loop that is further behind takes no more [ours].
    static let waitingMax = 4_096
    /// Threads that may block: one writes files, the others look names up.
    private static let lookupThreads = 2
    /// Beyond what the machine itself waits for receipts of its goodbye [ours].
    private static let leaveGrace = TimeAmount.seconds(1)

    /// What others are told: where datagrams and streams reach this replica.
    package let address: PeerAddress
    /// The number that UDP and TCP listen on.
    package let port: UInt16

    private let shared: GossipShared
    private let group: MultiThreadedEventLoopGroup
    let gossip: NIOLoopBound<GossipLoop>
    private let files: NIOThreadPool
    private let names: NIOThreadPool
    private let leaveWithin: TimeAmount
    private let waiting = Atomic<Int>(0)
    private let isDown = Atomic<Bool>(false)

    // MARK: What it shows

    package var members: Published<MembersView> { shared.members }
    package var flock: Published<FlockView> { shared.flock }
    package var keyring: Published<[KeyLine]> { shared.keyring }
    package var counts: GossipCounts { shared.counters.value }

    /// Smoothed time of an answer by UDP; nil before the first.
    package func roundTrip(to peer: ReplicaShortID) -> Duration? {
        let trip = shared.trips.withLock { $0[peer] }
        return trip.flatMap { $0.smoothedMicroseconds > 0 ? .microseconds($0.smoothedMicroseconds) : nil }
    }

    package func inspect() async -> GossipInspection {
        let look = gossip.eventLoop.submit { self.gossip.value.inspect() }
        return (try? await look.get()) ?? GossipInspection()
    }

    /// From now on. A reader that is far behind misses some, and the count says so.
    package func events() -> AsyncStream<GossipEvent> { shared.events() }

    // MARK: What it is told

    /// False when the loop is so far behind that it takes no more.
    @discardableResult
    package func submit(_ input: ReplicaInput) -> Bool {
        guard waiting.add(1, ordering: .relaxed).newValue <= Self.waitingMax else {
            waiting.subtract(1, ordering: .relaxed)
            return false
        }
        gossip.eventLoop.execute {
            self.waiting.subtract(1, ordering: .relaxed)
            self.gossip.value.tell(input)
        }
        return true
    }

    /// The same, and returns when what is shown has followed.
    package func obey(_ input: ReplicaInput) async {
        let done = gossip.eventLoop.submit { self.gossip.value.tell(input) }
        try? await done.get()
    }

    /// What an operator orders about keys; nil when the ring took it.
    package func order(_ command: KeyringCommand) async -> Keyring.Refusal? {
        let refusal = gossip.eventLoop.submit { self.gossip.value.order(command) }
        return try? await refusal.get()
    }

    /// Looks a name up now, on a thread that may block.
    package func addresses(of name: String, port: UInt16) async -> [PeerAddress] {
        let found = try? await names.runIfActive { SeedLookup.addresses(of: name, port: port) }
        return found ?? []
    }

    /// Says goodbye, and returns when it was heard or its time is over. The sockets stay open until `shutdown`.
    package func leave() async {
        let promise = gossip.eventLoop.makePromise(of: Void.self)
        gossip.eventLoop.execute {
            let gossip = self.gossip.value
            guard !gossip.hasEnded else { return promise.succeed() }
            gossip.leavers.append(promise)
            gossip.tell(.membership(.command(.leave)))
            gossip.loop.scheduleTask(in: self.leaveWithin) { promise.succeed() }
        }
        try? await promise.futureResult.get()
    }

    /// Closes everything. Others find out by themselves unless `leave` came first.
    package func shutdown() async {
        guard !isDown.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let closed = gossip.eventLoop.flatSubmit {
            let gossip = self.gossip.value
            gossip.end()
            let channels = [gossip.reader, gossip.listener].compactMap { $0 }
            let (lastWrites, directory) = (gossip.lastWrites(), gossip.directory)
            return EventLoopFuture.andAllComplete(channels.map { $0.close() }, on: gossip.loop).map {
                (lastWrites, directory)
            }
        }
        let last = try? await closed.get()
        try? await files.shutdownGracefully()
        if let (lastWrites, directory) = last {
            try? lastWrites()
            directory.giveBack()
        }
        try? await names.shutdownGracefully()
        try? await group.shutdownGracefully()
    }

    // MARK: Starting

    /// Throws a `GossipFailure` whose sentence names place and remedy.
    package static func start(
        _ configuration: GossipConfiguration, hooks: GossipHooks = GossipHooks(), logger: Logger
    ) async throws -> GossipService {
        guard
            let secrets = ClusterSecrets(clusterName: configuration.clusterName, secrets: configuration.secrets)
        else {
            throw GossipFailure(
                .secret, "a cluster has one or two secrets, and a name of at most \(ClusterSecrets.nameBytesMax) bytes")
        }
        let directory = try DataDirectory(configuration.dataDirectory)
        let clock = GossipClock()
        let kept = try IdentityFile.load(from: directory)
        let now = clock.now
        let wall = clock.wallMilliseconds(at: now)
        let keyring = try KeyringFile.load(from: directory, secrets, wallMilliseconds: wall)
        let sockets = try BoundSocket.pair(host: configuration.host, port: configuration.port)
        let address: PeerAddress
        do {
            address = try OwnAddress.told(configuration, port: sockets.port)
        } catch {
            sockets.stream.close()
            sockets.datagram.close()
            throw error
        }

        var generator = SystemRandomNumberGenerator()
        let own = MemberRecord(
            id: kept?.id ?? .drawn(from: &generator),
            session: SessionID(rawValue: UInt64.random(in: 1 ... .max, using: &generator)),
            incarnation: Incarnation(rawValue: 0), agreement: configuration.agreement, keyIDs: keyring.keyIDs,
            httpPort: configuration.httpPort, address: address, versionMajor: configuration.versionMajor,
            versionMinor: configuration.versionMinor, name: ShortText(clipping: configuration.name))
        let start = ReplicaStart(
            own: own, persisted: kept?.incarnation, unixSecondsAtZero: clock.unixSecondsAtZero,
            hasSeeds: !configuration.seeds.isEmpty, knownAddresses: KnownMembersFile.load(from: directory),
            keyring: keyring, timing: configuration.timing, bounds: configuration.bounds,
            gateBounds: configuration.gateBounds, seed: UInt64.random(in: .min ... .max, using: &generator))

        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let files = NIOThreadPool(numberOfThreads: 1)
        let names = NIOThreadPool(numberOfThreads: lookupThreads)
        files.start()
        names.start()
        let board = KeyBoard()
        let machine = ReplicaMachine(start, sealing: PacketSeal(secrets, board: board), at: now)
        let shared = GossipShared(
            MembersView(
                own: machine.membership.own, startedAt: now, unixMillisecondsAtZero: clock.wallMilliseconds(at: .zero)),
            keyring)
        let loop = group.next()
        let gossip = try await loop.submit {
            let log = GossipLog(logger)
            let lookup = SeedLookup(
                configuration.seeds, loop: loop, pool: names, isIPv6: sockets.datagram.isIPv6)
            let parts = GossipParts(
                loop: loop, secrets: secrets, board: board, directory: directory, files: files, lookup: lookup,
                log: log, hooks: hooks, bounds: configuration.bounds,
                source: OwnAddress.bound(configuration))
            log.started(address, own.id, own.session, isNew: kept == nil)
            let gossip = GossipLoop(parts, shared: shared, machine: machine, clock: clock, startedAt: now)
            return NIOLoopBound(gossip, eventLoop: loop)
        }.get()
        let service = GossipService(
            address: address, port: sockets.port, shared: shared, group: group, gossip: gossip, files: files,
            names: names, leaveWithin: .nanoseconds(configuration.timing.leaveWait.rawValue) + leaveGrace)
        do {
            try await GossipListening.begin(
                gossip, stream: sockets.stream, datagram: sockets.datagram, host: configuration.host, port: sockets.port
            )
        } catch {
            await service.shutdown()
            throw error
        }
        gossip.eventLoop.execute { gossip.value.tell(.membership(.tick)) }
        return service
    }

    private init(
        address: PeerAddress, port: UInt16, shared: GossipShared, group: MultiThreadedEventLoopGroup,
        gossip: NIOLoopBound<GossipLoop>, files: NIOThreadPool, names: NIOThreadPool, leaveWithin: TimeAmount
    ) {
        self.address = address
        self.port = port
        self.shared = shared
        self.group = group
        self.gossip = gossip
        self.files = files
        self.names = names
        self.leaveWithin = leaveWithin
    }
}

extension ReplicaID {
    static func drawn(from generator: inout SystemRandomNumberGenerator) -> ReplicaID {
        while true {
            let id = ReplicaID(high: generator.next(), low: generator.next())
            if id.short.isDrawable { return id }
        }
    }
}
