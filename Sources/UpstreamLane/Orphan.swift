/// An answer that a worker computes on for nobody, because it does not notice that its client has left. Its bytes are read
/// and dropped; the worker's slot is given back when it ends, since until then the worker is busy.
import Balancing
import Determinism
import ExchangeFlow
import NIOCore
import ReplicaCore

final class Orphan: UpstreamUser, DeadlineTarget {
    private let placed: ExchangeDriver.PlacedWorker
    /// Nil once it ended, which also breaks the cycle with the connection.
    private var connection: UpstreamConnection?
    private let loop: LoopContext
    private let view: RoutingView
    /// The exchange's own end: no answer takes longer.
    private let deadline: Instant
    var wheelPlace = WheelPlace.none

    init(
        _ placed: ExchangeDriver.PlacedWorker, _ connection: UpstreamConnection, loop: LoopContext, view: RoutingView,
        until deadline: Instant
    ) {
        self.placed = placed
        self.connection = connection
        self.loop = loop
        self.view = view
        self.deadline = deadline
    }

    func begin() {
        loop.wheel.arm(self, at: deadline)
        connection?.handOver(to: self)
        connection?.pause(false)
    }

    private func end() {
        guard connection != nil else { return }
        connection = nil
        loop.wheel.disarm(self)
        loop.freeSlot(of: placed, in: view, at: loop.now())
    }

    func deadlinePassed(at now: Instant) -> Instant {
        guard now >= deadline else { return deadline }
        connection?.abandon()
        end()
        return .never
    }

    func upstreamConnected() {}
    func upstreamHead(_ head: ResponseHead, bytes: ByteBuffer) {}
    func upstreamBody(_ bytes: ByteBuffer) {}
    func upstreamReadComplete() {}
    func upstreamEnd(byEOF: Bool) { end() }
    func upstreamFailed(_ failure: UpstreamFailure) { end() }
}
