/// Connections of one event loop to all workers: kept ones by `UpstreamPoolMachine`'s word, fresh ones by dialling.
///
/// Dials to one worker are counted for the whole replica (`WorkerBoard`): a small server's accept queue holds five, and
/// what does not fit waits seconds for a repeated SYN. A connection that stands may lie in that queue for a while, and is
/// counted until the worker's first byte or for as long as accepting usually takes. A dial over the bound waits here for its turn, on the
/// exchange's own connect clock.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import ReplicaCore

final class UpstreamPool: DeadlineTarget {
    private let eventLoop: any EventLoop
    private let shared: LaneShared
    private let flushes: FlushList
    private let rests: RestList
    /// Set once the loop's wheel exists.
    unowned var wheel: DeadlineWheel!
    var wheelPlace = WheelPlace.none

    private var machine = UpstreamPoolMachine()
    private var idle: [UpstreamPoolMachine.ConnectionID: UpstreamConnection] = [:]
    private var waitingDials: [(worker: Worker, backlog: Int, exchange: ExchangeDriver)] = []
    private var admitted: [WorkerIndex: UpstreamPoolMachine.Rules] = [:]
    private var addresses: [WorkerIndex: (host: String, port: Int, address: SocketAddress?)] = [:]
    private var idleConnectionsMax = 0
    private var connectTimeout = TimeAmount.seconds(2)
    private var closing: [UpstreamPoolMachine.ConnectionID] = []

    init(eventLoop: any EventLoop, shared: LaneShared, flushes: FlushList) {
        self.eventLoop = eventLoop
        self.flushes = flushes
        rests = RestList(eventLoop: eventLoop, clock: LoopClock.now)
        self.shared = shared
    }

    func configure(_ configuration: LaneConfiguration) {
        idleConnectionsMax = configuration.idleConnectionsMax
        // The exchange's clock rings first; this one is for a dial whose exchange is gone.
        connectTimeout = .nanoseconds(configuration.policy.connect.wholeNanoseconds) + .seconds(1)
    }

    // MARK: Kept connections

    var idleCount: Int { idle.count }

    func reuse(_ worker: WorkerIndex) -> UpstreamConnection? {
        closing.removeAll(keepingCapacity: true)
        let lease = machine.lease(worker, at: LoopClock.now(), closing: &closing)
        closeListed()
        guard case .reuse(let id) = lease else { return nil }
        return idle.removeValue(forKey: id)
    }

    private func returned(_ connection: UpstreamConnection) {
        guard let id = connection.poolID else { return connection.abandon() }
        let now = LoopClock.now()
        switch machine.returned(id, .clean, at: now) {
        case .keep:
            idle[id] = connection
            wheel.arm(self, at: now + .seconds(1))
        case .close: connection.abandon()
        }
    }

    private func closed(_ connection: UpstreamConnection) {
        guard let id = connection.poolID else { return }
        idle[id] = nil
        _ = machine.spokeOrEnded(id)
    }

    private func closeListed() {
        for id in closing { idle.removeValue(forKey: id)?.abandon() }
        closing.removeAll(keepingCapacity: true)
    }

    func closeAll() {
        machine.closeIdle(closing: &closing)
        closeListed()
    }

    // MARK: Dialling

    func dial(_ worker: Worker, backlog: Int, for exchange: ExchangeDriver) {
        guard shared.board.tryBeginConnect(worker.index, cap: backlog) else {
            waitingDials.append((worker, backlog, exchange))
            return wheel.arm(self, at: LoopClock.now())
        }
        begin(worker, for: exchange)
    }

    /// The exchange no longer wants the connection it waits for.
    func cancelDial(of exchange: ExchangeDriver) {
        guard !waitingDials.isEmpty else { return }
        waitingDials.removeAll { $0.exchange === exchange }
    }

    private func serveWaitingDials() {
        var place = 0
        while place < waitingDials.count {
            let (worker, backlog, exchange) = waitingDials[place]
            if shared.board.tryBeginConnect(worker.index, cap: backlog) {
                waitingDials.remove(at: place)
                begin(worker, for: exchange)
            } else {
                place += 1
            }
        }
    }

    private func begin(_ worker: Worker, for exchange: ExchangeDriver) {
        let now = LoopClock.now()
        admit(worker)
        let connection = UpstreamConnection(isTLS: worker.useTLS, flushes: flushes, rests: rests)
        exchange.dialing(connection)
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        let tls = worker.useTLS ? tlsContext(of: worker) : nil
        if worker.useTLS, tls == nil {
            shared.board.endConnect(worker.index)
            return connection.dialFailed(.connect("no TLS context for worker '\(worker.id.rawValue)'"))
        }
        let serverName = IPAddress(worker.host) == nil ? worker.host : nil
        // A name may be dialled at several addresses side by side, each with a pipeline of its own: there the one that
        // answered gets the handler.
        let address = address(of: worker)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    if address != nil {
                        try pipeline.addHandler(bound.value)
                    } else {
                        try bound.value.dialing(channel)
                    }
                }
            }
        let future: EventLoopFuture<any Channel> =
            if let address {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: worker.host, port: worker.port)
            }
        let acceptMilliseconds = Self.traits(of: worker).acceptMilliseconds
        future.assumeIsolated().whenComplete { [self] result in
            if case .success = result, acceptMilliseconds > 0 {
                // The kernel took it; whether the worker did nobody can see.
                connection.onAccepted = { [unowned self] in dialEnded(worker.index) }
                eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(acceptMilliseconds))) {
                    connection.accepted()
                }
            } else {
                shared.board.endConnect(worker.index)
            }
            switch result {
            case .success(let channel):
                connection.poolID = machine.opened(worker.index, at: now)
                connection.onIdle = { [unowned self] in returned($0) }
                connection.onClosed = { [unowned self] in closed($0) }
                if address == nil { try? channel.pipeline.syncOperations.addHandler(connection) }
                connection.dialed()
            case .failure(let error):
                if case ChannelError.connectTimeout = error {
                    connection.dialFailed(.connectTimedOut)
                } else {
                    connection.dialFailed(.connect(Self.reason(error, worker)))
                }
            }
            if !waitingDials.isEmpty { serveWaitingDials() }
        }
    }

    private func dialEnded(_ worker: WorkerIndex) {
        shared.board.endConnect(worker)
        if !waitingDials.isEmpty { serveWaitingDials() }
    }

    private static func traits(of worker: Worker) -> WorkerTraits {
        (WorkerDialect.named(worker.kind.rawValue) ?? .openAI).traits
    }

    private static func reason(_ error: any Error, _ worker: Worker) -> String {
        let place = "\(worker.host):\(worker.port)"
        if let failure = error as? IOError {
            switch failure.errnoCode {
            case ECONNREFUSED: return "\(place) refused the connection"
            case EHOSTUNREACH, ENETUNREACH: return "\(place) is unreachable"
            default: return "\(place): error \(failure.errnoCode)"
            }
        }
        if let failure = error as? NIOConnectionError {
            if let first = failure.connectionErrors.first { return reason(first.error, worker) }
            return "the name \(worker.host) was not found"
        }
        return "\(place): \(error)"
    }

    /// Numeric hosts are parsed once; names are resolved by NIO's resolver when a dial needs them.
    private func address(of worker: Worker) -> SocketAddress? {
        if let known = addresses[worker.index], known.host == worker.host, known.port == worker.port {
            return known.address
        }
        let parsed = try? SocketAddress(ipAddress: worker.host, port: worker.port)
        addresses[worker.index] = (worker.host, worker.port, parsed)
        return parsed
    }

    private var tlsView: [String: NIOSSLContext] = [:]
    private var tlsSeen = UInt64.max
    private func tlsContext(of worker: Worker) -> NIOSSLContext? {
        shared.workerTLS.refresh(&tlsView, seen: &tlsSeen)
        return tlsView[worker.id.rawValue]
    }

    private func admit(_ worker: Worker) {
        let traits = Self.traits(of: worker)
        let rules = UpstreamPoolMachine.Rules(
            poolsConnections: traits.poolsConnections, idleConnectionsMax: idleConnectionsMax,
            idle: .seconds(traits.idleSecondsMax), requestsMax: traits.requestsPerConnectionMax)
        guard admitted[worker.index] != rules else { return }
        admitted[worker.index] = rules
        machine.admit(worker.index, rules: rules)
    }

    // MARK: Clock

    func deadlinePassed(at now: Instant) -> Instant {
        machine.expire(at: now, closing: &closing)
        closeListed()
        serveWaitingDials()
        return waitingDials.isEmpty ? machine.nextDeadline : now
    }
}
