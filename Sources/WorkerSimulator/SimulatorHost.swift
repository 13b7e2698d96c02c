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
    var reopen: (() -> EventLoopFuture<any Channel>)?
    var listener: (any Channel)?
    private var isReopening = false

    init(_ settings: SimulatorSettings, loop: any EventLoop) {
        self.settings = settings
        self.loop = loop
        reader = AskReader(
            flavor: settings.flavor, models: settings.models, contextTokens: settings.contextTokens,
            slots: settings.slots ?? settings.flavor.defaultSlots)
        machine = settings.makeMachine()
        clock = SimulatorClock(timeScale: settings.timeScale, isManual: settings.isManual)
    }

    var isVanished: Bool { machine.holds(.vanish) }
    var nextNumber: Int { machine.counters.accepted + 1 }

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
            connection.exchange = id
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

    // The machine

    /// Lets the machine do something at the present moment, then everything that follows from it.
    func run<Result>(_ body: (inout WorkerMachine, Determinism.Instant) -> Result) -> Result {
        let monotonic = clock.monotonic()
        machine.monotonic = monotonic
        let result = body(&machine, clock.now(monotonic: monotonic))
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
            guard let id = output.exchange else {
                // As after SIGKILL: no goodbye, and the kernel closes what was open.
                kill(getpid(), SIGKILL)
                return
            }
            guard let connection = exchanges[id.rawValue] else { continue }
            connection.take(output)
            if touched.last !== connection { touched.append(connection) }
        }
        for connection in touched { connection.flush() }
    }

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

    /// Closes or opens the worker's port, and stops or resumes reading, as the faults of the moment want it.
    private func syncPort() {
        for connection in connections.values where connection.isMuted != isVanished { connection.mute(isVanished) }
        let wanted = !machine.holds(.closeListener)
        if !wanted, let open = listener {
            listener = nil
            open.close(promise: nil)
        } else if wanted, listener == nil, !isReopening, let reopen {
            isReopening = true
            reopen().assumeIsolated().whenComplete { [unowned self] result in
                isReopening = false
                switch result {
                case .success(let channel): listener = channel
                case .failure:
                    // Somebody may still hold the port for a moment.
                    loop.assumeIsolated().scheduleTask(in: .milliseconds(50)) { [unowned self] in syncPort() }
                }
            }
        }
    }
}

extension Output {
    var exchange: ExchangeID? {
        switch self {
        case .head(let id), .progress(let id, _, _), .tokens(let id, _), .finish(let id, _), .refuse(let id, _, _),
            .hangUp(let id, _), .errorEvent(let id), .silentEnd(let id):
            id
        case .processDies: nil
        }
    }
}
