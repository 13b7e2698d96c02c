/// What all that was said of a worker means for choosing it here. `Decisions/WhoseWordCounts.md` has the reasons.
package enum WorkerVerdict: UInt8, CaseIterable, Sendable {
    /// Nothing is said against it, or this replica has seen better since.
    case trusted
    /// Down by the own evidence, but others, enough of them, have seen it well since.
    case vouched
    /// One other replica says that it is down, or says that it works badly.
    case doubted
    /// Two other replicas say that it is down.
    case outvoted
    /// This replica saw it itself.
    case condemned

    /// Quarters of its weight that are left for a model. `isPanic`: the words of others would take away more than half of the
    /// model's workers, so they count for nothing there (M19).
    package func quarters(isPanic: Bool) -> Int {
        switch self {
        case .trusted, .vouched: 4
        case .doubted: isPanic ? 4 : 1
        case .outvoted: isPanic ? 4 : 0
        case .condemned: 0
        }
    }
}
