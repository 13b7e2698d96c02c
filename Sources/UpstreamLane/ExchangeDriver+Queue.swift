/// Who waits for a slot or a model: the ticket, the looks in between, and what is told when the wait was in vain.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import KeyReplication
import NIOCore
import ReplicaCore

extension ExchangeDriver {
    /// First attempt, never woken: no claim on a slot yet.
    var isNewcomer: Bool { machine.attempts == 0 && !wasWoken }

    var hasOthersWaiting: Bool {
        loop.shared.desk.waitingTotal > 0 && loop.shared.desk.waiting(view.models[modelPosition].index) > 0
    }

    func enterQueue(at now: Instant) {
        let model = view.models[modelPosition].index
        if ticket == nil {
            // The waker may run on any loop; it only hops here.
            let eventLoop = loop.eventLoop
            let identity = loop.register(self)
            let handle = loop.handle!
            // Who was woken in vain keeps the first place, unless it is choosier than those behind it.
            ticket = loop.shared.desk.enqueue(
                model: model, tenant: tenant.map { StableHash64.hash($0.tenant.rawValue) } ?? 0,
                deadline: now + machine.policy.queue, isReturning: wasWoken && triedPositions.isEmpty,
                loading: loading(at: now)
            ) {
                eventLoop.execute { handle.value.wake(identity, model) }
            }
            guard ticket != nil else {
                loop.unregister(self)
                return conclude(
                    saturated("\(loop.shared.desk.waiting(model)) requests already wait for this model."))
            }
            if queuedSince == .never { queuedSince = now }
        }
        machine.queued(at: now)
        armClock()
        // A slot may have been freed between the look and the ticket: look once more, now that we are counted.
        wakeNextIfFree(at: now)
    }

    /// What the last look found of workers that could serve this exchange if they had the model.
    func loading(at now: Instant) -> AdmissionDesk.Loading? {
        guard !loop.cold.workers.isEmpty else { return nil }
        let since = queuedSince == .never ? now : queuedSince
        let ahead = loop.shared.desk.waiting(view.models[modelPosition].index)
        let wait =
            loop.cold.slots > 0
            ? loop.holdSeconds * Double(ahead + 1) / Double(loop.cold.slots)
            // One that comes with the model is waited for as long as a load elsewhere would take.
            : loop.cold.isLoading ? now.seconds(since: since) : .infinity
        return AdmissionDesk.Loading(since: since, expectedWait: wait, workers: loop.cold.workers)
    }

    /// If a slot is free while somebody waits, the first in line is told. (Not us: that would be jumping the queue.)
    private func wakeNextIfFree(at now: Instant) {
        guard let scanned, case .found = findCandidate(scanned, taken: [], shut: [], at: now) else { return }
        loop.shared.desk.wakeNext(view.models[modelPosition].index)
    }

    /// The clock says to look: a worker that came back wakes nobody by itself.
    func placeAgain(at now: Instant) {
        guard machine.phase == .queued, let scanned else { return }
        if isSuspect { return placeAlone(at: now) }
        switch findCandidate(scanned, taken: [], shut: [], at: now) {
        case .found:
            machine.queued(at: now)
            loop.shared.desk.wakeNext(view.models[modelPosition].index)
        case .full(let isLoading):
            // The queue's clock is for slots: it begins anew when the model is there.
            if isLoading { machine.stayQueued(at: now) } else { machine.queued(at: now) }
            // Since it came models may have gone, or come.
            if let ticket {
                loop.shared.desk.update(view.models[modelPosition].index, ticket, loading(at: now))
            }
        case .none(let reason): concludeWithoutCandidate(reason)
        }
    }

    /// The desk popped our ticket: it is used up, whether or not the slot is still there.
    func woken() {
        guard machine.phase == .queued else { return }
        ticket = nil
        wasWoken = true
        loop.unregister(self)
        place(at: loop.now())
    }

    func leaveQueue(at now: Instant) {
        dropTicket()
        wasWoken = false
        machine.leftQueue()
        if queuedSince != .never {
            queuedNanoseconds += now.nanoseconds - queuedSince.nanoseconds
            queuedSince = .never
        }
    }

    func dropTicket() {
        if let loadWish {
            loop.shared.desk.updateWish(loadWish, nil)
            self.loadWish = nil
        }
        if let ticket {
            loop.shared.desk.cancel(view.models[modelPosition].index, ticket)
            self.ticket = nil
            loop.unregister(self)
        }
    }

    func queueExpired(at now: Instant) {
        if let scanned, case .full(isLoading: true) = findCandidate(scanned, taken: [], shut: [], at: now) {
            // A load has a clock of its own, which ends it and then this wait.
            return machine.stayQueued(at: now)
        }
        leaveQueue(at: now)
        conclude(saturated("No worker had a free slot within \(machine.policy.queue)."))
    }

    private func saturated(_ why: String) -> ClientError {
        let entry = view.models[modelPosition]
        let slots = entry.placements.reduce(0) { $0 + view.workers[$1.position].slots }
        let seconds = ExchangeMachine.retryAfterSeconds(
            waiting: loop.shared.desk.waiting(entry.index), slots: slots, holdSeconds: loop.holdSeconds)
        return ClientError(
            status: 503, outcome: .saturated, message: "The model '\(entry.name)' is at capacity. \(why)",
            type: "server_error", code: "gateway.saturated", retryAfter: seconds, shouldRetry: true)
    }

    func concludeWithoutCandidate(_ reason: NoCandidate) {
        let entry = view.models[modelPosition]
        if let failure = lastFailure { return conclude(failure) }
        switch reason {
        case .unsuitable(let why, let field):
            conclude(
                ClientError(
                    status: 400, outcome: .invalid,
                    message: "The model '\(entry.name)' cannot serve this request: \(why).",
                    type: "invalid_request_error", param: field, code: "request.unsupported"))
        case .unavailable:
            conclude(
                ClientError(
                    status: 503, outcome: .unavailable,
                    message: "No worker of the model '\(entry.name)' is available at the moment.", type: "server_error",
                    code: "gateway.no_worker", retryAfter: 2, shouldRetry: true))
        }
    }
}
