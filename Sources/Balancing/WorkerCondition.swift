/// What this replica believes of a worker: the five states of health, and why it is not well.

package enum WorkerCondition: Hashable, Sendable {
    /// Seen, not proven yet: it takes work when nobody proven has room.
    case loading
    case healthy
    /// Works, worse than it should: it takes work when no healthy one has room.
    case degraded(Why)
    /// Finishes what runs and takes nothing new.
    case draining
    case down(Why)

    package enum Why: String, CaseIterable, Sendable {
        /// No token came for too long although exchanges were open.
        case stalled
        /// Decodes far below its own usual rate.
        case slow
        /// Memory is nearly full.
        case pressure
        /// Probes fail now and then, or a breaker of one of its models is open.
        case flaky
        /// It refused a connection.
        case refused
        /// Probe after probe failed.
        case unreachable
        /// An answer said that its engine is dead.
        case dead
        /// The smallest request possible was not answered.
        case canary
        /// Loading a model took longer than any model may.
        case load
        /// An operator took it out.
        case drained
    }

    /// The word in `/metrics` and in the status.
    package var word: String {
        switch self {
        case .loading: "loading"
        case .healthy: "healthy"
        case .degraded: "degraded"
        case .draining: "draining"
        case .down: "down"
        }
    }

    /// All values of `word`.
    package static let words = ["loading", "healthy", "degraded", "draining", "down"]

    /// One word of reason, where there is one.
    package var why: String? {
        switch self {
        case .degraded(let why), .down(let why): why.rawValue
        case .loading, .healthy, .draining: nil
        }
    }

    /// The condition as one number, for a cell that many threads read.
    package var code: Int {
        switch self {
        case .loading: 0
        case .healthy: 1
        case .draining: 2
        case .degraded(let why): 16 + why.ordinal
        case .down(let why): 32 + why.ordinal
        }
    }

    /// Nil for a number that `code` never gives.
    package init?(code: Int) {
        let reasons = Why.allCases
        switch code {
        case 0: self = .loading
        case 1: self = .healthy
        case 2: self = .draining
        case 16..<(16 + reasons.count): self = .degraded(reasons[code - 16])
        case 32..<(32 + reasons.count): self = .down(reasons[code - 32])
        default: return nil
        }
    }
}

extension WorkerCondition.Why {
    /// Position in `allCases`, without the search.
    fileprivate var ordinal: Int {
        switch self {
        case .stalled: 0
        case .slow: 1
        case .pressure: 2
        case .flaky: 3
        case .refused: 4
        case .unreachable: 5
        case .dead: 6
        case .canary: 7
        case .load: 8
        case .drained: 9
        }
    }
}
