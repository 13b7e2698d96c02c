/// A request that was under way when its worker died is tried once more, alone: others may be innocent, and it may be not.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import ReplicaCore

extension ExchangeDriver {
    func suspected() {
        isSuspect = true
        machine.limitAttempts(to: machine.attempts + 1)
    }

    // MARK: Deaths

    /// An attempt ended as it does when a worker dies. True: the request is convicted and told so.
    func workerMayHaveDied(_ outcome: AttemptOutcome, at now: Instant) -> Bool {
        guard let placement, outcome == .dead || wasCutOff else { return false }
        let board = loop.shared.board
        let worker = placement.worker.index
        let report: (judgement: PoisonGuard.Judgement, isNew: Bool)
        switch outcome {
        case .dead, .closedEarly:
            report = loop.shared.poison.casualty(
                fingerprint(), on: worker, incarnation: board.incarnation(worker), wasAlone: reservation != nil, at: now
            )
        case .truncated:
            report = loop.shared.poison.witness(
                fingerprint(), on: worker, incarnation: board.incarnation(worker), at: now)
        default: return false
        }
        if report.isNew { board.noteCasualty(worker) }
        switch report.judgement {
        case .unknown: return false
        case .suspect:
            suspected()
            return false
        case .convicted:
            finishAttempt(outcome)
            conclude(poisoned(status: 502))
            return true
        }
    }

    func poisoned(status: Int) -> ClientError {
        ClientError(
            status: status, outcome: status == 422 ? .invalid : .unavailable,
            message:
                "Workers died twice while they computed this request, the second time alone with it. It is not sent to "
                + "another. An operator can lift this (starling workers poison).",
            type: status == 422 ? "invalid_request_error" : "server_error", code: "worker.poisoned_request",
            shouldRetry: false)
    }

    // MARK: Alone with a worker

    /// Reserves a worker, waits until nobody without a token is there, and goes. Looked at by the clock, without a ticket:
    /// whoever waits for all others to leave must not hold a place in their line.
    func placeAlone(at now: Instant) {
        guard let scanned else { return }
        if loop.shared.poison.judge(fingerprint(), at: now) == .unknown {
            // The same request was answered meanwhile, for another client.
            isSuspect = false
            endReservation()
            leaveQueue(at: now)
            return place(at: now)
        }
        if reservation == nil {
            switch findCandidate(scanned, alone: true, at: now) {
            case .found(let position, let ignored):
                let entry = view.models[modelPosition]
                let worker = view.workers[entry.placements[position].position]
                let limit = max(1, entry.placements.count / 3)
                if loop.shared.board.tryReserve(worker.index, limit: limit) {
                    reservation = position
                    ignoredParameters = ignored
                }
            case .full: wish(at: now)
            case .none(let reason): return concludeWithoutCandidate(reason)
            }
        }
        if let reservation, goAlone(reservation, scanned, at: now) { return }
        if queuedSince == .never { queuedSince = now }
        machine.queuedAlone(at: now)
        armClock()
    }

    /// It waits in nobody's line, and still its model has to come to where it could go.
    private func wish(at now: Instant) {
        let loading = loading(at: now)
        if let loadWish {
            loop.shared.desk.updateWish(loadWish, loading)
            if loading == nil { self.loadWish = nil }
        } else if let loading {
            loadWish = loop.shared.desk.wish(view.models[modelPosition].index, loading)
        }
    }

    /// False: not yet.
    private func goAlone(_ position: Int, _ scanned: ScannedRequest, at now: Instant) -> Bool {
        let board = loop.shared.board
        let model = view.models[modelPosition]
        let worker = view.workers[model.placements[position].position]
        switch board.condition(worker.index) {
        case .healthy, .degraded: break
        default:
            endReservation()
            return false
        }
        guard board.unproven(worker.index) == 0, board.tryTakeSlot(worker.index, cap: cap(of: worker, at: now))
        else {
            return false
        }
        let plainAnswer = plainAnswerForm(of: worker, scanned)
        guard plainAnswer != .orphaned || board.tryTakeOrphanPlace(worker.index) else {
            board.releaseSlot(worker.index)
            return false
        }
        let use = board.beginUse(worker.index, model.index, at: now)
        let admission = use == .refused ? .refused : board.breakerAllows(worker.index, model: model.index, at: now)
        guard admission != .refused else {
            board.endUse(worker.index, model.index, use, at: now)
            if plainAnswer == .orphaned { board.releaseOrphanPlace(worker.index) }
            board.releaseSlot(worker.index)
            endReservation()
            return false
        }
        board.raiseUnproven(worker.index)
        start(position, worker, ignoredParameters, plainAnswer, use, isBreakerProbe: admission == .probe, at: now)
        return true
    }

    /// The first token came: others may join.
    func proven() {
        guard placement?.isUnproven == true, let placement else { return }
        self.placement?.isUnproven = false
        loop.shared.board.lowerUnproven(placement.worker.index)
        if reservation != nil {
            endReservation()
            loop.wakeWaiters(for: placement.worker, in: view)
        }
    }

    func endReservation() {
        guard let position = reservation else { return }
        reservation = nil
        loop.shared.board.endReservation(
            view.workers[view.models[modelPosition].placements[position].position].index)
    }
}
