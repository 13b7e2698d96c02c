/// Which model is loaded where, and when: the gateway's decision, never a client's.
///
/// A model that somebody waits for is loaded once, however many wait, and on one worker at a time. Where its place is taken,
/// those who wait for the model that is there go first, until none is left or another model's first in line has waited for
/// `swapPatience`: so two models cannot push each other out with every request. A model that generates is never pushed out:
/// its exchanges end first, and new ones wait.
package import Determinism

package struct LoadPlanner: Sendable {
    package struct Policy: Sendable, Equatable {
        /// How long the first in line waits while others are served with the model that is there.
        package var swapPatience = Duration.seconds(30)
        /// A model that was loaded for somebody stays at least this long, unless somebody's patience ends.
        package var residencyMin = Duration.seconds(120)

        package init() {}
    }

    /// Exchanges that wait for a model, and whom it could be loaded for.
    package struct Want: Sendable, Equatable {
        package var model: ModelIndex
        /// When the first of them began to wait.
        package var since: Instant
        /// How long the last of them is expected to wait, in seconds, for workers that have it; infinite if none can serve it.
        package var expectedWait: Double
        /// Workers that could serve them if they had it.
        package var workers: Set<WorkerIndex>

        package init(model: ModelIndex, since: Instant, expectedWait: Double, workers: Set<WorkerIndex>) {
            self.model = model
            self.since = since
            self.expectedWait = expectedWait
            self.workers = workers
        }
    }

    /// A model on a worker.
    package struct Place: Sendable, Equatable {
        package var model: ModelIndex
        package var state: ModelState
        package var running: Int
        package var residentSince: Instant
        package var lastUsed: Instant
        package var bytes: Double
        package var loadSeconds: Double

        package init(
            model: ModelIndex, state: ModelState, running: Int, residentSince: Instant, lastUsed: Instant,
            bytes: Double,
            loadSeconds: Double
        ) {
            self.model = model
            self.state = state
            self.running = running
            self.residentSince = residentSince
            self.lastUsed = lastUsed
            self.bytes = bytes
            self.loadSeconds = loadSeconds
        }
    }

    /// A worker whose models come and go.
    package struct Host: Sendable, Equatable {
        package var worker: WorkerIndex
        /// A second model pushes the first one out.
        package var keepsOne: Bool
        /// What models may fill; nil: it looks after that itself.
        package var bytesMax: Double?
        /// Exchanges that run there, with whatever model.
        package var running: Int
        package var places: [Place]

        package init(worker: WorkerIndex, keepsOne: Bool, bytesMax: Double?, running: Int, places: [Place]) {
            self.worker = worker
            self.keepsOne = keepsOne
            self.bytesMax = bytesMax
            self.running = running
            self.places = places
        }
    }

    package enum Action: Sendable, Equatable {
        /// No exchange begins with `evicting` any more; when the last has ended the load follows.
        case giveUp(WorkerIndex, evicting: [ModelIndex])
        /// Nobody waits for the load any more: they stay.
        case keep(WorkerIndex, [ModelIndex])
        case load(ModelIndex, WorkerIndex, evicting: [ModelIndex])
    }

    private struct Swap: Sendable {
        let model: ModelIndex
        let evicting: [ModelIndex]
    }

    /// A model that was loaded is used for at least this part of the patience, whoever's patience ends: where a load takes
    /// as long as that, each would else be followed by the next before it served anybody.
    package static let servingShare = 1.0 / 3

    package var policy: Policy
    /// Workers whose exchanges are awaited before a load. At most one for each worker.
    private var swaps: [WorkerIndex: Swap] = [:]
    /// When a worker was told last to give up what it has; one entry for each worker that ever was.
    private var lastSwaps: [WorkerIndex: Instant] = [:]

    package init(policy: Policy = Policy()) { self.policy = policy }

    /// Whether some worker is being made ready for a load.
    package var hasSwaps: Bool { !swaps.isEmpty }

    /// What is to be done now. `hosts` that are not healthy are left out; `waiting` tells for how many of each model's
    /// exchanges there was no slot, wherever they may go.
    package mutating func plan(
        _ wants: [Want], _ hosts: [Host], waiting: [ModelIndex: Int], at now: Instant
    ) -> [Action] {
        var actions: [Action] = []
        continueSwaps(wants, hosts, &actions)
        for want in wants.sorted(by: { ($0.since, $0.model.rawValue) < ($1.since, $1.model.rawValue) }) {
            let isComing =
                swaps.values.contains { $0.model == want.model }
                || hosts.contains { host in
                    host.places.contains { $0.model == want.model && $0.state == .loading }
                } || actions.contains { if case .load(want.model, _, _) = $0 { true } else { false } }
            if isComing { continue }
            guard let (host, evicting) = best(for: want, hosts, actions, waiting, at: now) else { continue }
            if evicting.isEmpty {
                actions.append(.load(want.model, host, evicting: []))
            } else {
                // Even where none runs now, one may have begun since that was seen; the next look is sure.
                actions.append(.giveUp(host, evicting: evicting))
                swaps[host] = Swap(model: want.model, evicting: evicting)
                lastSwaps[host] = now
            }
        }
        return actions
    }

    private mutating func continueSwaps(_ wants: [Want], _ hosts: [Host], _ actions: inout [Action]) {
        for (worker, swap) in swaps.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let isWanted = wants.contains { $0.model == swap.model && $0.workers.contains(worker) }
            guard isWanted, let host = hosts.first(where: { $0.worker == worker }) else {
                swaps[worker] = nil
                actions.append(.keep(worker, swap.evicting))
                continue
            }
            let isUsed = host.places.contains { swap.evicting.contains($0.model) && $0.running > 0 }
            guard !isUsed else { continue }
            swaps[worker] = nil
            actions.append(.load(swap.model, worker, evicting: swap.evicting))
        }
    }

    /// The worker on which the load costs least: nothing to give up, little running, quickly done.
    private func best(
        for want: Want, _ hosts: [Host], _ actions: [Action], _ waiting: [ModelIndex: Int], at now: Instant
    ) -> (WorkerIndex, evicting: [ModelIndex])? {
        var best: (cost: (Int, Int, Int, Double, Int), choice: (WorkerIndex, [ModelIndex]))?
        for host in hosts where want.workers.contains(host.worker) {
            guard let place = host.places.first(where: { $0.model == want.model }), place.state == .available,
                want.expectedWait >= place.loadSeconds, !isBusy(host, actions),
                let evicting = evictions(for: place, want, host, waiting, at: now)
            else { continue }
            let used = host.places.contains { evicting.contains($0.model) && $0.running > 0 }
            let cost = (used ? 1 : 0, evicting.count, host.running, place.loadSeconds, host.worker.rawValue)
            if best.map({ cost < $0.cost }) ?? true { best = (cost, (host.worker, evicting)) }
        }
        return best.map(\.choice)
    }

    /// Whether something is loaded there already, or about to be.
    private func isBusy(_ host: Host, _ actions: [Action]) -> Bool {
        if swaps[host.worker] != nil || host.places.contains(where: { $0.state == .loading }) { return true }
        return actions.contains { if case .load(_, host.worker, _) = $0 { true } else { false } }
    }

    /// What has to go; nil when it may not go yet.
    private func evictions(
        for place: Place, _ want: Want, _ host: Host, _ waiting: [ModelIndex: Int], at now: Instant
    ) -> [ModelIndex]? {
        let residents = host.places.filter { $0.state == .resident || $0.state == .evicting }
        guard !residents.isEmpty else { return [] }
        let needed: [Place]
        if host.keepsOne {
            needed = residents
        } else {
            guard let bytesMax = host.bytesMax else { return [] }
            var over = residents.reduce(place.bytes) { $0 + $1.bytes } - bytesMax
            // Idle ones first, then those that nobody has used for longest. Sizes are estimates: a model that would be too
            // large for the whole worker is tried all the same, alone.
            needed = residents.sorted { ($0.running, $0.lastUsed) < ($1.running, $1.lastUsed) }.prefix { place in
                defer { over -= place.bytes }
                return over > 0
            }.map(\.self)
        }
        // From the last swap on everybody begins to wait anew, or those who waited for a slot before it would undo it.
        let isPatient = now < max(want.since, lastSwaps[host.worker] ?? want.since) + policy.swapPatience
        let mayGo = needed.allSatisfy { place in
            guard isPatient else { return now >= place.residentSince + policy.swapPatience * Self.servingShare }
            return place.running == 0 && (waiting[place.model] ?? 0) == 0
                && now >= place.residentSince + policy.residencyMin
        }
        return mayGo ? needed.map(\.model) : nil
    }
}
