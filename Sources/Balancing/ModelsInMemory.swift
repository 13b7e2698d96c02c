/// Which models of one worker are in its memory, which are on their way in or out, and how many exchanges use each.
///
/// A worker that says nothing of its memory is believed to have all its models there. One that tells, or that keeps only the
/// model that was asked for last, has a state per model; a model may also be one that it has not got at all. Exchanges begin only with a model that is resident, and a model is
/// given up only when no exchange runs with it: both are decided here, in one place, so that neither can overtake the other.
package import Determinism

package enum ModelState: UInt8, Sendable, CaseIterable {
    /// The worker does not list it, and would answer with another or fetch it from somewhere: nothing is sent there.
    case absent
    /// Not in memory; it can be loaded.
    case available
    /// This replica has it loaded.
    case loading
    case resident
    /// Exchanges that run with it end, and no new one begins: its place is wanted.
    case evicting
    /// A load failed a moment ago.
    case failed

    package var word: String {
        switch self {
        case .absent: "absent"
        case .available: "available"
        case .loading: "loading"
        case .resident: "resident"
        case .evicting: "evicting"
        case .failed: "failed"
        }
    }
}

package struct ModelsInMemory: Sendable {
    /// After a load that failed, clients are told so for this long; then the next one may try again.
    package static let failureHolds = Duration.seconds(30)

    private struct Entry: Sendable {
        var state: ModelState
        var running = 0
        /// When it came into memory, as far as this replica had it loaded; others protect nothing.
        var since = Instant(nanoseconds: .min)
        var lastUsed = Instant(nanoseconds: .min)
        var failedAt = Instant(nanoseconds: .min)
    }

    /// False until the worker told what it has: then everything is believed to be there.
    package private(set) var isSelective = false
    /// At most one for each model of the routing view, whose number is bounded there; likewise those it does not list.
    private var entries: [ModelIndex: Entry] = [:]
    package private(set) var absent: Set<ModelIndex> = []
    /// Whether a model may be anything but resident.
    package var tellsApart: Bool { isSelective || !absent.isEmpty }

    package init() {}

    package func state(of model: ModelIndex, at now: Instant) -> ModelState {
        if absent.contains(model) { return .absent }
        guard isSelective, let entry = entries[model] else { return isSelective ? .available : .resident }
        if entry.state == .failed, now >= entry.failedAt + Self.failureHolds { return .available }
        return entry.state
    }

    package func running(_ model: ModelIndex) -> Int { entries[model]?.running ?? 0 }
    package func residentSince(_ model: ModelIndex) -> Instant { entries[model]?.since ?? Instant(nanoseconds: .min) }
    package func lastUsed(_ model: ModelIndex) -> Instant { entries[model]?.lastUsed ?? Instant(nanoseconds: .min) }
    /// In no order.
    package var resident: [ModelIndex] { entries.filter { $0.value.state == .resident }.map(\.key) }

    // MARK: What the worker tells

    /// Its list has none of these, and has all the others.
    package mutating func toldAbsent(_ models: Set<ModelIndex>) { absent = models }

    /// All its models are there.
    package mutating func toldAll() {
        guard isSelective else { return }
        isSelective = false
        for model in entries.keys { entries[model]?.state = .resident }
    }

    /// These are there and no others, as of the moment when it was asked.
    package mutating func told(_ models: Set<ModelIndex>, askedAt: Instant) {
        isSelective = true
        for model in models {
            var entry = entries[model] ?? Entry(state: .available)
            // One that is given up is still listed until it is gone.
            if entry.state != .evicting { entry.state = .resident }
            entries[model] = entry
        }
        for (model, entry) in entries where !models.contains(model) {
            switch entry.state {
            case .resident where entry.since <= askedAt: entries[model]?.state = .available
            case .resident, .loading, .failed, .available, .evicting, .absent: break
            }
        }
    }

    // MARK: Exchanges

    /// Whether an exchange may begin with this model; then it counts until `end`.
    package mutating func begin(_ model: ModelIndex, at now: Instant) -> Bool {
        guard state(of: model, at: now) == .resident else { return false }
        entries[model, default: Entry(state: .resident)].running += 1
        entries[model]?.lastUsed = now
        return true
    }

    /// False when none ran: a bug of the caller's.
    package mutating func end(_ model: ModelIndex, at now: Instant) -> Bool {
        guard let running = entries[model]?.running, running > 0 else { return false }
        entries[model]?.running = running - 1
        entries[model]?.lastUsed = now
        return true
    }

    // MARK: Loads

    /// No exchange begins with these any more.
    package mutating func giveUp(_ models: [ModelIndex]) {
        for model in models where entries[model]?.state == .resident { entries[model]?.state = .evicting }
    }

    /// They stay after all.
    package mutating func keep(_ models: [ModelIndex]) {
        for model in models where entries[model]?.state == .evicting { entries[model]?.state = .resident }
    }

    package mutating func beginLoad(_ model: ModelIndex) {
        isSelective = true
        entries[model, default: Entry(state: .available)].state = .loading
    }

    /// `evicted` are gone for it.
    package mutating func endLoad(_ model: ModelIndex, evicted: [ModelIndex], succeeded: Bool, at now: Instant) {
        for model in evicted where entries[model]?.state == .evicting { entries[model]?.state = .available }
        var entry = entries[model] ?? Entry(state: .available)
        entry.state = succeeded ? .resident : .failed
        if succeeded { entry.since = now } else { entry.failedAt = now }
        entries[model] = entry
    }

    /// It proved by a token that it has this one, which nobody here had loaded.
    package mutating func proved(_ model: ModelIndex, only: Bool) {
        isSelective = true
        // What is on its way in or out says more than a proof that was asked for before.
        guard !entries.values.contains(where: { $0.state == .loading || $0.state == .evicting }) else { return }
        if only {
            for other in entries.keys where other != model && entries[other]?.state == .resident {
                entries[other]?.state = .available
            }
        }
        entries[model, default: Entry(state: .available)].state = .resident
    }

    /// The worker died: nothing is in its memory. Exchanges that ran there end by themselves.
    package mutating func emptied() {
        guard isSelective else { return }
        for (model, entry) in entries {
            switch entry.state {
            case .resident, .evicting: entries[model]?.state = .available
            case .available, .loading, .failed, .absent: break
            }
        }
    }
}
