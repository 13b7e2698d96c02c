/// Why that worker, and why not the others: the last choices of one event loop, kept as they were made.
///
/// What was seen is kept, not what was concluded: scores are computed when somebody asks. The loop writes once per attempt.
package import Balancing
package import Determinism
import ReplicaCore
import Synchronization

/// What a worker of the model was, when a request was placed.
package enum PlacementReason: UInt8, Sendable {
    case candidate, unfit, ignores, tried, loading, draining, down, breakerOpen, full, reserved, worseState, notResident
    case loadFailed, absent

    /// Half a sentence.
    package var text: String {
        switch self {
        case .candidate: "it could have been chosen"
        case .unfit: "its kind cannot do what is asked"
        case .ignores: "its kind ignores a parameter that others obey"
        case .tried: "it was tried before"
        case .loading: "it loads a model, or has not proved itself yet"
        case .draining: "an operator took it out"
        case .down: "it is down"
        case .breakerOpen: "it failed again and again with this model and is left alone"
        case .full: "it has no free slot"
        case .reserved: "it is kept for a request that has to be alone"
        case .worseState: "others are in better health"
        case .notResident: "the model is not in its memory"
        case .absent: "it does not list the model"
        case .loadFailed: "it could not load the model a moment ago"
        }
    }
}

package struct PlacementDecision: Sendable {
    package fileprivate(set) var requestID: String
    package fileprivate(set) var at: Instant
    package fileprivate(set) var attempt: Int
    /// As it was; the model's workers stand in it.
    fileprivate(set) var view: RoutingView
    fileprivate(set) var modelPosition: Int
    package fileprivate(set) var query: PlacementQuery
    /// Position in `workers`.
    package fileprivate(set) var chosen: Int
    /// By the order of the model's workers.
    package fileprivate(set) var reasons: [PlacementReason] = []
    /// Who could be chosen, and where each stands in `workers`.
    package fileprivate(set) var candidates: [Candidate] = []
    package fileprivate(set) var positions: [Int] = []

    package var strategy: StrategyName { view.strategy }
    package var model: String { view.models[modelPosition].name }
    package var workers: [WorkerID] { view.models[modelPosition].placements.map { view.workers[$0.position].id } }
}

package final class DecisionLog: Sendable {
    /// Choices that one event loop remembers.
    package static let kept = 256

    private struct Ring: Sendable {
        var decisions: [PlacementDecision] = []
        var next = 0
    }

    private let ring = Mutex(Ring())

    /// Elements are copied into the place of the oldest choice, whose arrays are there already: sharing the loop's own would
    /// make it allocate new ones for the next request.
    func note(_ choice: PlacementDecision, _ reasons: [PlacementReason], _ candidates: [Candidate], _ positions: [Int])
    {
        ring.withLock { ring in
            if ring.decisions.count < Self.kept { ring.decisions.append(choice) }
            ring.decisions[ring.next].take(choice, reasons, candidates, positions)
            ring.next = (ring.next + 1) % Self.kept
        }
    }

    /// The attempts of one request, the first first.
    package func decisions(for requestID: String) -> [PlacementDecision] {
        ring.withLock { $0.decisions.filter { $0.requestID == requestID } }.sorted { $0.at < $1.at }
    }
}

extension PlacementDecision {
    fileprivate mutating func take(
        _ other: PlacementDecision, _ reasons: [PlacementReason], _ candidates: [Candidate], _ positions: [Int]
    ) {
        requestID = other.requestID
        at = other.at
        attempt = other.attempt
        view = other.view
        modelPosition = other.modelPosition
        query = other.query
        chosen = other.chosen
        self.reasons.removeAll(keepingCapacity: true)
        self.reasons.append(contentsOf: reasons)
        self.candidates.removeAll(keepingCapacity: true)
        self.candidates.append(contentsOf: candidates)
        self.positions.removeAll(keepingCapacity: true)
        self.positions.append(contentsOf: positions)
    }
}
