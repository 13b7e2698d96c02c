/// Which worker: candidates by fitness and health, one choice, one slot; or a ticket.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import KeyReplication
import NIOCore
import ReplicaCore

extension ExchangeDriver {
    /// Finds a worker with a free slot and goes there, or takes a ticket, or tells the client why not.
    func place(at now: Instant) {
        guard let scanned else { return }
        if isSuspect { return placeAlone(at: now) }
        var taken: [Int] = []
        var shut: [Int] = []
        // Whoever has just come stands behind those who wait, even if a slot is free: it is theirs.
        let mustWait = isNewcomer && hasOthersWaiting
        while true {
            switch findCandidate(scanned, taken: taken, shut: shut, at: now) {
            case .found where mustWait: return enterQueue(at: now)
            case .found(let position, let ignored):
                let worker = view.workers[view.models[modelPosition].placements[position].position]
                guard loop.shared.board.tryTakeSlot(worker.index, cap: cap(of: worker, at: now)) else {
                    // Another loop was quicker; the next look sees its slot as taken.
                    taken.append(position)
                    continue
                }
                let plainAnswer = plainAnswerForm(of: worker, scanned)
                guard plainAnswer != .orphaned || loop.shared.board.tryTakeOrphanPlace(worker.index) else {
                    loop.shared.board.releaseSlot(worker.index)
                    taken.append(position)
                    continue
                }
                loop.shared.board.raiseUnproven(worker.index)
                if loop.shared.board.isReserved(worker.index) {
                    // Kept for another, in the moment between the look and the slot.
                    loop.shared.board.lowerUnproven(worker.index)
                    loop.shared.board.releaseSlot(worker.index)
                    if plainAnswer == .orphaned { loop.shared.board.releaseOrphanPlace(worker.index) }
                    taken.append(position)
                    continue
                }
                let model = view.models[modelPosition].index
                let use = loop.shared.board.beginUse(worker.index, model, at: now)
                let admission =
                    use == .refused ? .refused : loop.shared.board.breakerAllows(worker.index, model: model, at: now)
                guard admission != .refused else {
                    // Another loop took the permit, or the model is to make room for another. The slot was held for this
                    // look only, so nobody is woken for it.
                    loop.shared.board.endUse(worker.index, model, use, at: now)
                    if plainAnswer == .orphaned { loop.shared.board.releaseOrphanPlace(worker.index) }
                    loop.shared.board.lowerUnproven(worker.index)
                    loop.shared.board.releaseSlot(worker.index)
                    if use == .refused { taken.append(position) } else { shut.append(position) }
                    continue
                }
                return start(position, worker, ignored, plainAnswer, use, isBreakerProbe: admission == .probe, at: now)
            case .full: return enterQueue(at: now)
            case .none(let reason): return concludeWithoutCandidate(reason)
            }
        }
    }

    enum Search {
        case found(Int, ignored: [String])
        /// Some worker could serve it, none has a free slot; with `isLoading` some will once it has loaded the model.
        case full(isLoading: Bool)
        case none(NoCandidate)
    }

    enum NoCandidate {
        /// No kind here can do what is asked.
        case unsuitable(String, field: String?)
        /// All that could were tried or are unusable.
        case unavailable
    }

    /// The best class of candidates with a free slot, then the strategy's choice among those. Classes, best first:
    /// healthy, degraded, down (only when most of the model's workers look down, since one broken view must not empty the
    /// pool). A worker that loads is waited for: a client that is sent there and leaves would abort the load, or a clock
    /// would. One that has not got the model is waited for too, as long as its load is worth it: that is decided elsewhere,
    /// for all who wait. A kind that ignores a parameter is asked only where no usable worker obeys it.
    ///
    /// `alone`: a worker is looked for whose slots will be waited for.
    func findCandidate(
        _ scanned: ScannedRequest, taken: [Int] = [], shut: [Int] = [], alone: Bool = false, at now: Instant
    ) -> Search {
        let model = view.models[modelPosition]
        let board = loop.shared.board
        let (panics, ignoresOthers, someoneObeys) = survey(scanned, at: now)
        loop.reasons.removeAll(keepingCapacity: true)
        loop.candidates.removeAll(keepingCapacity: true)
        loop.candidatePositions.removeAll(keepingCapacity: true)
        loop.cold.workers.removeAll(keepingCapacity: true)
        loop.cold.slots = 0
        var bestRank = Int.max
        var bestIgnored: [String] = []
        var isFull = false
        var isLoading = false
        var misfit: (reason: String, field: String?)?
        var hasFit = false
        for (position, placement) in model.placements.enumerated() {
            let worker = view.workers[placement.position]
            let dialect = loop.dialect(of: worker.kind)
            var rank: Int
            var ignored: [String] = []
            switch dialect.fit(scanned, route, vocabulary: placement.vocabulary) {
            case .yes: rank = 0
            case .ignores(let names):
                hasFit = true
                if someoneObeys {
                    loop.reasons.append(.ignores)
                    continue
                }
                rank = 0
                ignored = names
            case .no(let reason, let field):
                misfit = misfit ?? (reason, field)
                loop.reasons.append(.unfit)
                continue
            }
            hasFit = true
            if triedPositions.contains(position) {
                loop.reasons.append(.tried)
                continue
            }
            let verdict = board.flock.verdict(worker.index)
            // Two others saw it down; this replica will see for itself in a moment.
            let isOutvoted = verdict == .outvoted && !ignoresOthers
            switch board.condition(worker.index) {
            case .healthy where !isOutvoted: break
            case .degraded where !isOutvoted: rank += 1
            case .loading:
                isLoading = true
                loop.reasons.append(.loading)
                continue
            case .draining, .down(.drained):
                loop.reasons.append(.draining)
                continue
            case .down where verdict == .vouched:
                // It was down when this replica looked; enough others have seen it well since.
                rank += 1
            case .down, .healthy, .degraded:
                guard panics else {
                    loop.reasons.append(.down)
                    continue
                }
                rank += 2
            }
            switch board.modelState(worker.index, model.index, at: now) {
            case .resident: break
            case .loading:
                isLoading = true
                loop.reasons.append(.loading)
                continue
            case .available, .evicting:
                loop.cold.workers.append(worker.index)
                loop.reasons.append(.notResident)
                continue
            case .failed:
                loop.reasons.append(.loadFailed)
                continue
            case .absent:
                loop.reasons.append(.absent)
                continue
            }
            // A breaker that is open is no reason to wait: it may stay open for longer than any queue.
            if shut.contains(position) || board.breakerRefuses(worker.index, model: model.index, at: now) {
                loop.reasons.append(.breakerOpen)
                continue
            }
            let running = board.running(worker.index)
            // Whoever else uses it weighs, and where a slot too many is dangerous takes one of ours.
            let others = board.flock.others(worker.index)
            let foreign = board.foreign(worker.index, others: others, at: now)
            let hasRoom =
                running < cap(of: worker, foreign: foreign, others: others)
                && (board.hasOrphanPlace(worker.index) || plainAnswerForm(of: worker, scanned) != .orphaned)
            let isKept = board.isReserved(worker.index)
            if isKept || (!hasRoom && !alone) || taken.contains(position) {
                isFull = true
                loop.cold.slots += worker.slots
                loop.reasons.append(isKept ? .reserved : .full)
                continue
            }
            // Those of a class that turns out not to be the best are told apart by not being candidates.
            loop.reasons.append(.worseState)
            if rank > bestRank { continue }
            if rank < bestRank {
                bestRank = rank
                bestIgnored = ignored
                loop.candidates.removeAll(keepingCapacity: true)
                loop.candidatePositions.removeAll(keepingCapacity: true)
            }
            loop.candidatePositions.append(position)
            loop.candidates.append(
                candidate(worker, placement, scanned, running: running, foreign: foreign, others: others, at: now))
            let quarters = verdict.quarters(isPanic: ignoresOthers)
            if quarters < 4 {
                loop.candidates[loop.candidates.count - 1].weight *= Double(max(1, quarters)) / 4
            }
        }
        loop.cold.isLoading = isLoading
        if loop.candidates.isEmpty {
            if isFull || isLoading || !loop.cold.workers.isEmpty {
                return .full(isLoading: isLoading || (!isFull && !loop.cold.workers.isEmpty))
            }
            if !hasFit {
                return .none(
                    .unsuitable(
                        misfit?.reason ?? "no worker of this model supports the route \(route.path)",
                        field: misfit?.field))
            }
            return .none(.unavailable)
        }
        let query = query(scanned)
        loop.query = query
        if view.strategy == .resourceAware || view.strategy == .prefixAffinity {
            loop.shared.beliefs.fill(&loop.candidates, query) { board.incarnation($0) }
        }
        let chosen = loop.chooser(for: view).choose(among: loop.candidates, for: query) ?? 0
        return .found(loop.candidatePositions[chosen], ignored: bestIgnored)
    }

    /// Before anybody is looked at: whether most of the model's workers look down, whether the words of other replicas alone
    /// would take most of them away, and whether a usable one obeys all parameters.
    private func survey(
        _ scanned: ScannedRequest, at now: Instant
    ) -> (panics: Bool, ignoresOthers: Bool, someoneObeys: Bool) {
        let model = view.models[modelPosition]
        let board = loop.shared.board
        var down = 0
        var outvoted = 0
        var someoneObeys = false
        for (position, placement) in model.placements.enumerated() {
            let worker = view.workers[placement.position]
            switch board.condition(worker.index) {
            // An operator's word is no doubt about health.
            case .draining, .down(.drained): break
            case .down: down += 1
            default:
                if board.flock.verdict(worker.index) == .outvoted { outvoted += 1 }
                if !triedPositions.contains(position),
                    ![.failed, .absent].contains(board.modelState(worker.index, model.index, at: now)),
                    case .yes = loop.dialect(of: worker.kind).fit(scanned, route, vocabulary: placement.vocabulary)
                {
                    someoneObeys = true
                }
            }
        }
        return (down * 2 > model.placements.count, outvoted * 2 > model.placements.count, someoneObeys)
    }

    /// What a strategy weighs of a worker. Exchanges of others weigh like ours.
    private func candidate(
        _ worker: Worker, _ placement: RoutingView.Placement, _ scanned: ScannedRequest, running: Int, foreign: Int,
        others: FlockLoad, at now: Instant
    ) -> Candidate {
        let board = loop.shared.board
        let model = view.models[modelPosition].index
        let vitals = board.loads.vitals(worker.index, at: now)
        let speeds = board.speeds(worker.index, model: model, placement, vitals, at: now)
        var candidate = Candidate(
            worker: worker.index, ringKey: worker.ringKey, slots: worker.slots, running: running + foreign, queued: 0,
            weight: worker.weight, promptTokensAhead: board.promptTokens(worker.index),
            outputTokensAhead: board.outputTokens(worker.index), prefillRate: speeds.prefill,
            decodeRate: speeds.decode, stepSlope: placement.stepSlope, loadSeconds: 0, pressure: vitals?.memory ?? 0)
        candidate.foreign = foreign
        candidate.promptTokensAhead += others.promptTokens
        candidate.outputTokensAhead += others.outputTokens
        // Of whom nobody tells: like ours, which are counted whole until they end.
        let unknown = foreign - others.running
        if unknown > 0 { candidate.outputTokensAhead += unknown * loop.expectedAnswer(of: model) }
        candidate.joinsBatch = scanned.needs.isDisjoint(with: loop.dialect(of: worker.kind).traits.drainsBatch)
        return candidate
    }

    /// Slots of it that may be ours.
    func cap(of worker: Worker, at now: Instant) -> Int {
        let board = loop.shared.board
        let others = board.flock.others(worker.index)
        return cap(of: worker, foreign: board.foreign(worker.index, others: others, at: now), others: others)
    }

    private func cap(of worker: Worker, foreign: Int, others: FlockLoad) -> Int {
        loop.dialect(of: worker.kind).traits.strictSlots
            ? worker.slots - foreign : loop.shared.board.flock.share(of: worker.slots, others: others)
    }

    private func query(_ scanned: ScannedRequest) -> PlacementQuery {
        PlacementQuery(
            model: view.models[modelPosition].index, promptTokens: scanned.estimatedPromptTokens,
            outputTokens: expectedOutput(scanned), prefixFingerprint: scanned.prefixFingerprint,
            affinityKey: view.strategy == .consistentHash ? affinityKey() : 0)
    }

    /// For whoever asks later why it was this worker. Of a suspect's worker, which was chosen a while ago, the last look
    /// is told.
    private func noteDecision(_ position: Int, at now: Instant) {
        guard let query = loop.query, loop.reasons.count == view.models[modelPosition].placements.count else { return }
        loop.decisions.note(
            PlacementDecision(
                requestID: requestID, at: now, attempt: machine.attempts, view: view, modelPosition: modelPosition,
                query: query, chosen: position),
            loop.reasons, loop.candidates, loop.candidatePositions)
    }

    /// Output a request is expected to make: what this model's answers have, at most its ceiling.
    private func expectedOutput(_ scanned: ScannedRequest) -> Int {
        let usual = loop.expectedAnswer(of: view.models[modelPosition].index)
        return min(scanned.outputCeiling ?? usual, usual) * max(1, scanned.choices)
    }

    /// What `consistent_hash` keys by: the client's own word, else who it is.
    private func affinityKey() -> UInt64 {
        if let word = fields.affinity { return StableHash64.hash(word) }
        guard let tenant else { return 0 }
        return StableHash64.hash(tenant.key.rawValue)
    }

    func start(
        _ position: Int, _ worker: Worker, _ ignored: [String], _ plainAnswer: PlainAnswerForm,
        _ use: WorkerBoard.ModelUse, isBreakerProbe: Bool, at now: Instant
    ) {
        guard let scanned else { return }
        leaveQueue(at: now)
        ignoredParameters = ignored
        triedPositions.append(position)
        let output = expectedOutput(scanned)
        let known = loop.candidatePositions.firstIndex(of: position).map { loop.candidates[$0].cachedTokens } ?? 0
        // What is believed cached stands before nobody.
        let prompt = max(1, scanned.estimatedPromptTokens - known)
        let ahead = loop.shared.board.promptTokens(worker.index)
        loop.shared.board.addTokens(worker.index, prompt: prompt, output: output)
        let entry = view.models[modelPosition]
        let foreign = loop.shared.board.foreign(worker.index, at: now)
        let sequences = sequences(of: scanned, on: worker)
        loop.shared.board.loads.begin(worker.index, sequences: sequences, tokens: prompt + output)
        placement = PlacedWorker(
            position: position, worker: worker, dialect: loop.dialect(of: worker.kind),
            upstreamName: entry.placements[position].upstreamName, model: entry.index, use: use,
            isBreakerProbe: isBreakerProbe,
            plainAnswer: plainAnswer, believedCached: known, promptTokens: prompt, outputTokens: output,
            promptTokensAhead: ahead, sequences: sequences,
            batch: loop.shared.board.running(worker.index) + foreign, since: now)
        let takesOne = loop.dialect(of: worker.kind).traits.takesOnePromptAtATime
        series = takesOne && scanned.needs.contains(.listPrompt) ? PromptSeries() : nil
        if view.strategy == .prefixAffinity {
            // Before it is answered, so that a second turn that comes early finds the first.
            loop.shared.beliefs.note(
                scanned.prefixFingerprint, of: entry.index, at: worker.index, tokens: scanned.estimatedPromptTokens,
                life: loop.shared.board.incarnation(worker.index))
        }
        machine.attemptStarted(at: now)
        noteDecision(position, at: now)
        connect(at: now)
    }

    /// Places that the worker may give to it. How many inputs an embedding has is not read: as many as there are slots.
    private func sequences(of scanned: ScannedRequest, on worker: Worker) -> Int {
        let asked = max(1, scanned.choices) * max(1, scanned.promptRanges.count)
        return min(route == .embeddings ? max(asked, worker.slots) : asked, Self.sequencesMax)
    }

    /// Choices of a request are bounded, and so are its prompts that are read one by one.
    private static let sequencesMax = 4_096

    /// How a worker is asked for an answer whose client wants no stream. A stream is never more than a stream.
    func plainAnswerForm(of worker: Worker, _ scanned: ScannedRequest) -> PlainAnswerForm {
        let traits = loop.dialect(of: worker.kind).traits
        guard !scanned.stream, AnswerAssembly.serves(route) else { return .plain }
        switch worker.plainAssembly {
        case .never: return .plain
        case .auto: if traits.noticesLostPlainClients { return .plain }
        case .always: break
        }
        if scanned.needs.contains(.logprobs), !traits.streamsLogprobs {
            return traits.noticesLostPlainClients ? .plain : .orphaned
        }
        return .assembled
    }
}
