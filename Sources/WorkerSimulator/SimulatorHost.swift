import Determinism
import Foundation
import NIOCore
import NIOPosix
import SimulatedWorker

/// The machine on an event loop: hands it requests and the time, carries its outputs to connections, wakes it up.
///
/// Everything happens on one loop, so nothing is locked. It costs one timer for the whole worker, whatever decodes.
final class SimulatorHost {
    let settings: SimulatorSettings
    let reader: AskReader
    let loop: any EventLoop
    private(set) var machine: WorkerMachine
    private(set) var clock: SimulatorClock
    private var exchanges: [Int: WorkerConnection] = [:]
    private var connections: [ObjectIdentifier: WorkerConnection] = [:]
    private var timer: (at: Determinism.Instant, task: Scheduled<Void>)?
    /// Opens the worker's port again after a fault closed it.
    var reopen: ((Door) -> EventLoopFuture<any Channel>)?
    /// Tells whoever waits that the process would end now.
    var ended: (() -> Void)?
    private var door = Door.open
    /// Our own connections that fill the accept queue.
    private var callers: [any Channel] = []
    var listener: (any Channel)?
    private var isReopening = false

    init(_ settings: SimulatorSettings, loop: any EventLoop) {
        self.settings = settings
        self.loop = loop
        reader = settings.reader
        machine = settings.makeMachine()
        clock = SimulatorClock(timeScale: settings.timeScale, isManual: settings.isManual)
    }

    var isVanished: Bool { machine.holds(.vanish) }

    // Connections

    func opened(_ connection: WorkerConnection) { connections[ObjectIdentifier(connection)] = connection }

    func closed(_ connection: WorkerConnection, _ exchange: ExchangeID?) {
        connections[ObjectIdentifier(connection)] = nil
        guard let exchange else { return }
        exchanges[exchange.rawValue] = nil
        run { machine, now in machine.clientLeft(exchange, at: now) }
    }

    func accept(_ ask: Ask, from connection: WorkerConnection) {
        run { machine, now in
            let id = machine.accept(ask, at: now)
            exchanges[id.rawValue] = connection
            return id
        } before: { id in
            connection.begin(ask, id)
        }
    }

    func accept(_ refusal: Refusal, from connection: WorkerConnection) {
        run { machine, now in
            let id = machine.accept(refusal, at: now)
            exchanges[id.rawValue] = connection
            connection.exchange = id
        }
    }

    /// An answer is over for the wire.
    func ended(_ exchange: ExchangeID) { exchanges[exchange.rawValue] = nil }

    /// What somebody wants of the worker on one of its own routes.
    func carryOut(_ order: InformationPages.Order) {
        run { machine, now in
            switch order {
            case .load(let model): machine.load(model, at: now)
            case .unload(let model): machine.unload(model, at: now)
            case .cancel(let id): machine.cancel(id, at: now)
            }
        }
    }

    // The machine

    /// Lets the machine do something at the present moment, then everything that follows from it.
    @discardableResult
    func run<Result>(
        _ body: (inout WorkerMachine, Determinism.Instant) -> Result, before delivery: (Result) -> Void = { _ in }
    ) -> Result {
        let monotonic = clock.monotonic()
        machine.monotonic = monotonic
        let result = body(&machine, clock.now(monotonic: monotonic))
        delivery(result)
        deliver()
        wakeInTime()
        syncPort()
        return result
    }

    func advance(_ duration: Duration) -> Bool {
        guard clock.advance(duration) else { return false }
        run { machine, now in machine.advance(to: now) }
        return true
    }

    private func deliver() {
        var touched: [WorkerConnection] = []
        for output in machine.takeOutputs() {
            switch output {
            case .processDies: return die()
            case .processEnds: return end()
            case .closeConnections: closeAllConnections()
            default: break
            }
            guard let id = output.exchange, let connection = exchanges[id.rawValue] else { continue }
            connection.take(output)
            if touched.last !== connection { touched.append(connection) }
        }
        for connection in touched { connection.flush() }
    }

    /// As after SIGKILL: no goodbye, and the kernel closes what was open. A worker of a fleet dies alone.
    private func die() {
        guard settings.sharesProcess else {
            kill(getpid(), SIGKILL)
            return
        }
        closeAllConnections()
    }

    /// SIGTERM has been obeyed.
    private func end() {
        for connection in connections.values { connection.flush() }
        closeAllConnections()
        ended?()
    }

    /// The port is there: the machine may do what its scenario says of the first moment.
    func begin() { run { machine, now in machine.advance(to: now) } }

    /// SIGTERM.
    func terminate() { run { machine, now in machine.terminate(at: now) } }

    private func wakeInTime() {
        guard let next = machine.nextDeadline, let deadline = clock.deadline(for: next) else { return }
        // A timer that comes earlier looks again by itself.
        if let timer {
            guard next < timer.at else { return }
            timer.task.cancel()
        }
        let task = loop.assumeIsolated().scheduleTask(deadline: deadline) { [unowned self] in
            timer = nil
            run { machine, now in machine.advance(to: now) }
        }
        timer = (next, task)
    }

    // The port

    func closeAllConnections() {
        for connection in connections.values { connection.hangUp(rudely: false) }
    }

    /// What the machine wants of the port at this moment.
    private var wantedDoor: Door {
        if machine.isClosed { return .closed }
        return machine.holds(.backlogFull) ? .stuffed : .open
    }

    /// Closes or opens the worker's port, and stops or resumes reading, as the faults of the moment want it.
    private func syncPort() {
        for connection in connections.values where connection.isMuted != isVanished { connection.mute(isVanished) }
        guard let reopen, !isReopening, door != wantedDoor else { return }
        let wanted = wantedDoor
        listener?.close(promise: nil)
        listener = nil
        callers.forEach { $0.close(promise: nil) }
        callers = []
        door = .closed
        guard wanted != .closed else { return }
        isReopening = true
        reopen(wanted).assumeIsolated().whenComplete { [unowned self] result in
            isReopening = false
            switch result {
            case .success(let channel):
                listener = channel
                door = wanted
                if door == .stuffed { stuff(channel) }
                syncPort()
            case .failure:
                // Somebody may still hold the port for a moment.
                loop.assumeIsolated().scheduleTask(in: .milliseconds(50)) { [unowned self] in syncPort() }
            }
        }
    }

    /// Takes the few places of an accept queue that nobody empties, so that the next connect finds it full.
    private func stuff(_ channel: any Channel) {
        guard let address = channel.localAddress else { return }
        for _ in 0...Int(Door.stuffedBacklog) {
            ClientBootstrap(group: loop).connect(to: address).assumeIsolated().whenSuccess { [weak self] caller in
                self?.callers.append(caller)
            }
        }
    }
}

extension Output {
    var exchange: ExchangeID? {
        switch self {
        case .head(let id), .cached(let id, _), .progress(let id, _, _), .tokens(let id, _), .finish(let id, _),
            .refuse(let id, _, _),
            .hangUp(let id, _), .errorEvent(let id), .silentEnd(let id), .comment(let id):
            id
        case .processDies, .processEnds, .closeConnections: nil
        }
    }
}
