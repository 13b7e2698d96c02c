/// What operators ordered of workers, on this replica or another, and how it is obeyed here.
import Balancing
import HTTPEdge
import ReplicaCore
import Synchronization
import UpstreamLane
import WireCoding

final class OrderedWorkers: Sendable {
    private let routing: RoutingTable
    private let board: WorkerBoard
    private let obeyed = Mutex<[WorkerShortID: WorkerOrderNews.Order]>([:])

    init(routing: RoutingTable, board: WorkerBoard) {
        self.routing = routing
        self.board = board
    }

    /// By an operator here. Nil: there is no such worker.
    func order(_ id: WorkerID, _ order: WorkerOrderNews.Order) -> WorkerShortID? {
        guard routing.knows(id) else { return nil }
        let short = WorkerShortID(of: id.rawValue)
        obey(id, short, order)
        return short
    }

    /// By the flock: what holds for the worker now.
    func told(_ short: WorkerShortID, _ order: WorkerOrderNews.Order) {
        let known = obeyed.withLock { $0[short] ?? .resume }
        guard known != order, let id = routing.workerID(of: short) else { return }
        obey(id, short, order)
    }

    private func obey(_ id: WorkerID, _ short: WorkerShortID, _ order: WorkerOrderNews.Order) {
        obeyed.withLock { $0[short] = order }
        guard let index = board.index(for: id) else { return }
        let now = LoopClock.now()
        switch order {
        case .drain, .remove:
            board.tellHealth(index, .drain, at: now)
            board.tellIfDrained(index, at: now)
        case .resume: board.tellHealth(index, .resume, at: now)
        }
        routing.setRemoved(id, order == .remove)
    }
}
