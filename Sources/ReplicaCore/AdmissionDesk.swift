/// Where exchanges wait that found no free slot: a line per model, and a way to wake whoever is next.
///
/// No wake-up is lost: an exchange looks for a slot once more *after* its ticket is counted here, and whoever frees a
/// slot looks at the count *after* the slot is free. One of the two sees the other.
///
/// One lock for all models: it is touched only when a model has no free slot left.
package import Balancing
package import Determinism
import Synchronization

package final class AdmissionDesk: Sendable {
    package typealias Wake = @Sendable () -> Void

    /// Whom an exchange waits for although it has not got the model.
    package struct Loading: Sendable {
        /// When it began to wait.
        package var since: Instant
        /// Seconds that it is expected to wait for workers that have the model; infinite if none of those can serve it.
        package var expectedWait: Double
        package var workers: [WorkerIndex]

        package init(since: Instant, expectedWait: Double, workers: [WorkerIndex]) {
            self.since = since
            self.expectedWait = expectedWait
            self.workers = workers
        }
    }

    private struct Line: Sendable {
        var queue: AdmissionQueue
        /// Of those who wait, the ones whose model could be loaded for them.
        var loadings: [TicketID: Loading] = [:]
        /// Woken, found the slot gone, back again: served before the others, in their order.
        var returned: [TicketID] = []
        var wakes: [TicketID: Wake] = [:]
    }

    private struct State: Sendable {
        var lines: [ModelIndex: Line] = [:]
        /// Of those who wait in no line. At most `bound`.
        var wishes: [TicketID: (model: ModelIndex, loading: Loading)] = [:]
        var nextTicket: UInt64 = 0
        var bound: Int
    }

    private let state: Mutex<State>
    private let total = Atomic<Int>(0)
    private let wished = Atomic<Int>(0)

    /// At most `bound` exchanges wait for one model.
    package init(bound: Int) { state = Mutex(State(bound: bound)) }

    /// For lines that are empty or made later; a line in use keeps its bound until it has emptied.
    package func setBound(_ bound: Int) {
        state.withLock { state in
            state.bound = bound
            state.lines = state.lines.filter { !$0.value.wakes.isEmpty }
        }
    }

    /// A ticket, or nil when the line is full. `wake` may be called on any thread, once, when it is the ticket's turn;
    /// then the ticket is used up. `isReturning`: it was its turn already, and somebody was quicker.
    package func enqueue(
        model: ModelIndex, tenant: UInt64, deadline: Instant, isReturning: Bool = false, loading: Loading? = nil,
        wake: @escaping Wake
    ) -> TicketID? {
        let ticket: TicketID? = state.withLock { state in
            let ticket = TicketID(rawValue: state.nextTicket)
            let bound = state.bound
            var line = state.lines.removeValue(forKey: model) ?? Line(queue: AdmissionQueue(bound: bound))
            defer { state.lines[model] = line }
            if isReturning {
                // It was counted a moment ago; a line that filled up meanwhile is one longer for that moment.
                line.returned.append(ticket)
            } else {
                guard line.wakes.count < bound, line.queue.enqueue(ticket, tenant: tenant, deadline: deadline) else {
                    return nil
                }
            }
            state.nextTicket += 1
            line.wakes[ticket] = wake
            if let loading { line.loadings[ticket] = loading }
            return ticket
        }
        if ticket != nil { total.add(1, ordering: .sequentiallyConsistent) }
        return ticket
    }

    package func cancel(_ model: ModelIndex, _ ticket: TicketID) {
        let wasThere = state.withLock { state in
            guard var line = state.lines.removeValue(forKey: model) else { return false }
            defer { state.lines[model] = line }
            guard line.wakes.removeValue(forKey: ticket) != nil else { return false }
            line.loadings[ticket] = nil
            if !line.queue.cancel(ticket) { line.returned.removeAll { $0 == ticket } }
            return true
        }
        if wasThere { total.subtract(1, ordering: .sequentiallyConsistent) }
    }

    /// Wakes whoever is next for this model, if anybody waits.
    package func wakeNext(_ model: ModelIndex) {
        let wake: Wake? = state.withLock { state in
            guard var line = state.lines.removeValue(forKey: model) else { return nil }
            defer { state.lines[model] = line }
            let next = line.returned.isEmpty ? line.queue.popNext() : line.returned.removeFirst()
            guard let next else { return nil }
            line.loadings[next] = nil
            return line.wakes.removeValue(forKey: next)
        }
        guard let wake else { return }
        total.subtract(1, ordering: .sequentiallyConsistent)
        wake()
    }

    /// Models came or went since the ticket was taken.
    package func update(_ model: ModelIndex, _ ticket: TicketID, _ loading: Loading?) {
        state.withLock { state in
            guard state.lines[model]?.wakes[ticket] != nil else { return }
            state.lines[model]?.loadings[ticket] = loading
        }
    }

    /// For one that waits outside the lines: only what it would have loaded. Nil when too many do.
    package func wish(_ model: ModelIndex, _ loading: Loading) -> TicketID? {
        state.withLock { state in
            guard state.wishes.count < state.bound else { return nil }
            let ticket = TicketID(rawValue: state.nextTicket)
            state.nextTicket += 1
            state.wishes[ticket] = (model, loading)
            wished.store(state.wishes.count, ordering: .sequentiallyConsistent)
            return ticket
        }
    }

    /// `loading`: nil when it waits no more.
    package func updateWish(_ ticket: TicketID, _ loading: Loading?) {
        state.withLock { state in
            guard let wish = state.wishes.removeValue(forKey: ticket) else { return }
            if let loading { state.wishes[ticket] = (wish.model, loading) }
            wished.store(state.wishes.count, ordering: .sequentiallyConsistent)
        }
    }

    /// What those who wait would have loaded, and how many wait for each model at all.
    package func wants() -> (wants: [LoadPlanner.Want], waiting: [ModelIndex: Int]) {
        guard waitingTotal > 0 || wished.load(ordering: .sequentiallyConsistent) > 0 else { return ([], [:]) }
        return state.withLock { state in
            var wants: [ModelIndex: LoadPlanner.Want] = [:]
            var waiting: [ModelIndex: Int] = [:]
            for (model, line) in state.lines where !line.wakes.isEmpty {
                waiting[model] = line.wakes.count
                for loading in line.loadings.values { wants[model, default: .init(model, loading)].add(loading) }
            }
            for wish in state.wishes.values {
                waiting[wish.model, default: 0] += 1
                wants[wish.model, default: .init(wish.model, wish.loading)].add(wish.loading)
            }
            return (Array(wants.values), waiting)
        }
    }

    package func waiting(_ model: ModelIndex) -> Int { state.withLock { $0.lines[model]?.wakes.count ?? 0 } }

    package var waitingTotal: Int { total.load(ordering: .sequentiallyConsistent) }
}

extension LoadPlanner.Want {
    fileprivate init(_ model: ModelIndex, _ first: AdmissionDesk.Loading) {
        self.init(model: model, since: first.since, expectedWait: 0, workers: [])
    }

    fileprivate mutating func add(_ loading: AdmissionDesk.Loading) {
        since = min(since, loading.since)
        expectedWait = max(expectedWait, loading.expectedWait)
        workers.formUnion(loading.workers)
    }
}
