/// What every event loop counts on workers: slots, tokens ahead, dials, health, breakers. One cell per worker.
///
/// Numbers are atomics, one each and not one stripe per loop: a slot is taken by compare-and-exchange up to the cap, and
/// a sum of stripes could overshoot it. Health and breakers change seldom and are behind a lock, with an atomic before it
/// that the usual case reads instead.
package import Balancing
package import Determinism
import Synchronization

package final class WorkerBoard: Sendable {
    /// Different workers in the life of a process. Cells are never given to another worker.
    package static let workersMax = 256

    /// What workers do besides, for others.
    package let loads = LoadBoard()
    /// What other replicas say of them.
    package let flock = FlockBoard()
    private let cells: [WorkerCell]
    private let reservations = Atomic<Int>(0)
    private let claimed = Mutex<[WorkerID: WorkerIndex]>([:])

    package init() { cells = (0..<Self.workersMax).map { WorkerCell(seed: UInt64($0)) } }

    /// The worker's cell, claimed at the first call; nil when all are taken.
    package func index(for id: WorkerID) -> WorkerIndex? {
        claimed.withLock { claimed in
            if let known = claimed[id] { return known }
            guard claimed.count < Self.workersMax else { return nil }
            let index = WorkerIndex(rawValue: claimed.count)
            claimed[id] = index
            return index
        }
    }

    // MARK: Slots

    /// Takes a slot if fewer than `cap` are taken.
    package func tryTakeSlot(_ worker: WorkerIndex, cap: Int) -> Bool { Self.tryRaise(self[worker].running, cap) }

    package func releaseSlot(_ worker: WorkerIndex) { Self.lower(self[worker].running, "slot", worker) }

    /// Slots taken by this replica now.
    package func running(_ worker: WorkerIndex) -> Int { self[worker].running.load(ordering: .relaxed) }

    /// Exchanges there that are not this replica's: as the worker tells, or as other replicas do; whatever is more, since
    /// the worker's count has theirs in it.
    package func foreign(_ worker: WorkerIndex, at now: Instant) -> Int {
        foreign(worker, others: flock.others(worker), at: now)
    }

    /// The same for whoever has read already what others have there.
    package func foreign(_ worker: WorkerIndex, others: FlockLoad, at now: Instant) -> Int {
        max(loads.foreign(worker, at: now) ?? 0, others.running)
    }

    // MARK: Orphans

    /// Exchanges of a worker that will compute on if their client leaves.
    package static let orphansMax = 1

    /// A place for one more exchange whose answer goes on without a client.
    package func tryTakeOrphanPlace(_ worker: WorkerIndex) -> Bool {
        Self.tryRaise(self[worker].orphans, Self.orphansMax)
    }

    package func releaseOrphanPlace(_ worker: WorkerIndex) {
        Self.lower(self[worker].orphans, "place for an orphan", worker)
    }

    package func hasOrphanPlace(_ worker: WorkerIndex) -> Bool {
        self[worker].orphans.load(ordering: .relaxed) < Self.orphansMax
    }

    // MARK: Riding alone

    /// Exchanges there that have no token yet.
    package func raiseUnproven(_ worker: WorkerIndex) {
        self[worker].unproven.add(1, ordering: .sequentiallyConsistent)
    }

    package func lowerUnproven(_ worker: WorkerIndex) {
        Self.lower(self[worker].unproven, "exchange without a token", worker)
    }

    package func unproven(_ worker: WorkerIndex) -> Int {
        self[worker].unproven.load(ordering: .sequentiallyConsistent)
    }

    /// Keeps new exchanges away from a worker, for one that is to be alone with it. At most `limit` workers at a time are
    /// kept so: the others carry the traffic.
    package func tryReserve(_ worker: WorkerIndex, limit: Int) -> Bool {
        guard Self.tryRaise(reservations, limit) else { return false }
        if Self.tryRaise(self[worker].reserved, 1) { return true }
        reservations.subtract(1, ordering: .sequentiallyConsistent)
        return false
    }

    package func endReservation(_ worker: WorkerIndex) {
        Self.lower(self[worker].reserved, "reservation", worker)
        reservations.subtract(1, ordering: .sequentiallyConsistent)
    }

    package func isReserved(_ worker: WorkerIndex) -> Bool {
        self[worker].reserved.load(ordering: .sequentiallyConsistent) > 0
    }

    // MARK: Deaths

    /// Rises each time the worker comes back to life.
    package func incarnation(_ worker: WorkerIndex) -> Int { self[worker].incarnation.load(ordering: .relaxed) }

    package func noteCasualty(_ worker: WorkerIndex) { self[worker].casualties.add(1, ordering: .relaxed) }
    package func casualties(_ worker: WorkerIndex) -> Int { self[worker].casualties.load(ordering: .relaxed) }

    // MARK: Dials

    /// A dial may begin if fewer than `cap` are under way.
    package func tryBeginConnect(_ worker: WorkerIndex, cap: Int) -> Bool {
        Self.tryRaise(self[worker].connecting, cap)
    }

    package func endConnect(_ worker: WorkerIndex) { Self.lower(self[worker].connecting, "dial", worker) }

    // MARK: Tokens ahead

    package func addTokens(_ worker: WorkerIndex, prompt: Int, output: Int) {
        self[worker].prompt.add(prompt, ordering: .relaxed)
        self[worker].output.add(output, ordering: .relaxed)
    }

    package func removeTokens(_ worker: WorkerIndex, prompt: Int, output: Int) {
        self[worker].prompt.subtract(prompt, ordering: .relaxed)
        self[worker].output.subtract(output, ordering: .relaxed)
    }

    package func promptTokens(_ worker: WorkerIndex) -> Int { self[worker].prompt.load(ordering: .relaxed) }
    package func outputTokens(_ worker: WorkerIndex) -> Int { self[worker].output.load(ordering: .relaxed) }

    // MARK: Health

    package func condition(_ worker: WorkerIndex) -> WorkerCondition {
        WorkerCondition(code: self[worker].condition.load(ordering: .acquiring)) ?? .loading
    }

    /// Tells the worker's state machine something and publishes what it believes after it.
    package func tellHealth(_ worker: WorkerIndex, _ input: WorkerHealth.Input, at now: Instant) {
        let cell = self[worker]
        let effects = cell.health.withLock { health in
            let effects = health.handle(input, at: now)
            cell.condition.store(health.condition.code, ordering: .releasing)
            return effects
        }
        if effects.contains(.wantsCanary) { cell.wantsCanary.store(true, ordering: .releasing) }
        for case .changed(from: .down(let why), to: let next) in effects where why != .drained {
            if case .down = next { continue }
            cell.incarnation.add(1, ordering: .relaxed)
            emptied(worker)
        }
        switch input {
        case .canaryClean: cell.canaryClean.store(now.nanoseconds, ordering: .releasing)
        case .canaryFailed, .connectRefused, .deadVerdict:
            cell.canaryFailed.store(now.nanoseconds, ordering: .releasing)
        default: break
        }
    }

    // MARK: Signs of life

    /// A token of any exchange came, or progress in a prompt.
    package func noteToken(_ worker: WorkerIndex, at now: Instant) {
        self[worker].lastToken.store(now.nanoseconds, ordering: .relaxed)
    }

    /// `.zero`: none ever came.
    package func lastToken(_ worker: WorkerIndex) -> Instant {
        Instant(nanoseconds: self[worker].lastToken.load(ordering: .relaxed))
    }

    /// When it last answered a canary, and when it last failed one or proved to be gone.
    package func canaries(_ worker: WorkerIndex) -> (clean: Instant, failed: Instant) {
        let cell = self[worker]
        return (
            Instant(nanoseconds: cell.canaryClean.load(ordering: .acquiring)),
            Instant(nanoseconds: cell.canaryFailed.load(ordering: .acquiring))
        )
    }

    // MARK: Rates

    /// What its answers showed of its speed with this model; nil before the first.
    package func rates(_ worker: WorkerIndex, model: ModelIndex) -> MeasuredRates? {
        let cell = self[worker]
        guard cell.hasRates.load(ordering: .acquiring) else { return nil }
        return cell.rates.withLock { $0[model] }
    }

    package func noteRates(_ worker: WorkerIndex, model: ModelIndex, _ change: (inout MeasuredRates) -> Void) {
        let cell = self[worker]
        cell.rates.withLock { change(&$0[model, default: MeasuredRates()]) }
        cell.hasRates.store(true, ordering: .releasing)
    }

    /// A draining worker is drained with its last exchange. Told after each release of a slot, and after the order itself.
    package func tellIfDrained(_ worker: WorkerIndex, at now: Instant) {
        guard condition(worker) == .draining, running(worker) == 0 else { return }
        tellHealth(worker, .idle, at: now)
    }

    /// Whether the worker should be asked for one token; true once per wish.
    package func takeCanaryWish(_ worker: WorkerIndex) -> Bool {
        self[worker].wantsCanary.exchange(false, ordering: .acquiringAndReleasing)
    }

    // MARK: Breakers

    /// Whether an exchange of this model may go there. A `.probe` is a permit for one and must be answered by
    /// `recordBreaker(…, wasProbe: true, …)`.
    package func breakerAllows(_ worker: WorkerIndex, model: ModelIndex, at now: Instant) -> Admission {
        let cell = self[worker]
        guard cell.openBreakers.load(ordering: .acquiring) > 0 else { return .closed }
        return cell.withBreakers { breakers in
            guard var breaker = breakers.byModel[model] else { return .closed }
            let admission = breaker.admit(at: now)
            breakers.byModel[model] = breaker
            return admission
        }
    }

    /// What `breakerAllows` would say, without taking a permit: for who only looks.
    package func breakerRefuses(_ worker: WorkerIndex, model: ModelIndex, at now: Instant) -> Bool {
        let cell = self[worker]
        guard cell.openBreakers.load(ordering: .acquiring) > 0 else { return false }
        return cell.withBreakers { breakers in
            breakers.byModel[model]?.refuses(at: now) ?? false
        }
    }

    package func recordBreaker(
        _ worker: WorkerIndex, model: ModelIndex, _ outcome: Outcome, wasProbe: Bool, at now: Instant
    ) {
        let cell = self[worker]
        // Nothing ever failed there: a success says nothing new, and most exchanges end here.
        if outcome != .failure, !wasProbe, cell.troubledBreakers.load(ordering: .acquiring) == 0 { return }
        let hasOpened = cell.withBreakers { breakers in
            var breaker = breakers.byModel[model] ?? CircuitBreaker()
            breaker.record(outcome, wasProbe: wasProbe, at: now, jitter: breakers.random.fraction())
            // A breaker without a failure in sight is as good as none, and the fast way is open again.
            breakers.byModel[model] = breaker.isPristine ? nil : breaker
            return outcome == .failure && breaker.refuses(at: now)
        }
        if hasOpened { tellHealth(worker, .impaired(.flaky), at: now) }
    }

    /// What an open breaker says of the whole worker: it is flaky until a trial may go there again. Told in each round of
    /// probes. It does not last until the trial went well, since a flaky worker gets none while others have room.
    package func tellBreakers(_ worker: WorkerIndex, at now: Instant) {
        let cell = self[worker]
        let refuses =
            cell.openBreakers.load(ordering: .acquiring) > 0
            && cell.withBreakers { $0.byModel.values.contains { $0.refuses(at: now) } }
        if refuses {
            tellHealth(worker, .impaired(.flaky), at: now)
        } else if condition(worker) == .degraded(.flaky) {
            tellHealth(worker, .relieved(.flaky), at: now)
        }
    }

    /// 0 closed, 1 half open, 2 open.
    package func breakerLevel(_ worker: WorkerIndex, model: ModelIndex) -> Int {
        let cell = self[worker]
        guard cell.openBreakers.load(ordering: .acquiring) > 0 else { return 0 }
        return cell.withBreakers { $0.byModel[model]?.level ?? 0 }
    }

    // MARK: Cells

    subscript(worker: WorkerIndex) -> WorkerCell { cells[worker.rawValue] }

    private static func tryRaise(_ counter: borrowing Atomic<Int>, _ cap: Int) -> Bool {
        var seen = counter.load(ordering: .relaxed)
        while seen < cap {
            let (exchanged, original) = counter.weakCompareExchange(
                expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing)
            if exchanged { return true }
            seen = original
        }
        return false
    }

    private static func lower(_ counter: borrowing Atomic<Int>, _ what: StaticString, _ worker: WorkerIndex) {
        let after = counter.subtract(1, ordering: .acquiringAndReleasing).newValue
        if after < 0 { Fault.report("a \(what) of worker \(worker.rawValue) was given back twice") }
    }
}

/// One worker's numbers. An object of its own, so that two workers do not share a cache line.
final class WorkerCell: Sendable {
    struct Breakers: Sendable {
        var byModel: [ModelIndex: CircuitBreaker] = [:]
        var random: SeededGenerator
    }

    let running = Atomic<Int>(0)
    let orphans = Atomic<Int>(0)
    let unproven = Atomic<Int>(0)
    let reserved = Atomic<Int>(0)
    let incarnation = Atomic<Int>(0)
    let casualties = Atomic<Int>(0)
    let connecting = Atomic<Int>(0)
    let prompt = Atomic<Int>(0)
    let output = Atomic<Int>(0)
    let condition = Atomic<Int>(WorkerCondition.loading.code)
    let wantsCanary = Atomic<Bool>(false)
    let lastToken = Atomic<Int64>(0)
    let canaryClean = Atomic<Int64>(0)
    let canaryFailed = Atomic<Int64>(0)
    let hasRates = Atomic<Bool>(false)
    /// At most one for each model of the routing view, whose number is bounded there.
    let rates = Mutex<[ModelIndex: MeasuredRates]>([:])
    /// Breakers that are not closed, and breakers that remember a failure.
    let openBreakers = Atomic<Int>(0)
    let troubledBreakers = Atomic<Int>(0)
    let health = Mutex(WorkerHealth())
    /// Whether models come and go there; until then nobody looks further.
    let tellsModelsApart = Atomic<Bool>(false)
    let models = Mutex(ModelsInMemory())
    let introductions = Mutex(Introductions())
    private let breakers: Mutex<Breakers>

    init(seed: UInt64) { breakers = Mutex(Breakers(random: SeededGenerator(seed: seed))) }

    func withBreakers<Result: Sendable>(_ change: (inout Breakers) -> Result) -> Result {
        breakers.withLock { breakers in
            let result = change(&breakers)
            openBreakers.store(breakers.byModel.values.count { $0.level > 0 }, ordering: .releasing)
            troubledBreakers.store(breakers.byModel.count, ordering: .releasing)
            return result
        }
    }
}
