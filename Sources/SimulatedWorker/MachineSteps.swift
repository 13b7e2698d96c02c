package import Determinism

/// How the machine moves in time: admission, prefill steps, decode steps.
extension WorkerMachine {
    /// When something happens by itself; nil while nothing will.
    package var nextDeadline: Instant? {
        var next = decodeEnds
        func consider(_ instant: Instant?) {
            guard let instant, instant < .never else { return }
            next = next.map { min($0, instant) } ?? instant
        }
        consider(prefilling?.until)
        consider(loads.first?.until)
        consider(nextWatch)
        for model in models.indices where residency[model].expiresAt < .never && !isUsed(model) {
            consider(residency[model].expiresAt)
        }
        if prefilling == nil {
            for exchange in running where exchange.phase == .prefill { consider(max(exchange.notBefore, time)) }
        }
        for fault in faults { consider(fault.endsAt) }
        consider(script.first?.at)
        if downUntil > time { consider(downUntil) }
        consider(farewellAt)
        return next
    }

    package mutating func advance(to now: Instant) {
        while let next = nextDeadline, next <= now {
            time = max(time, next)
            expireFaults()
            playScript()
            if downUntil > .zero, downUntil <= time { comeBack() }
            sayFarewell()
            endLoads()
            expireResidents()
            watch()
            if let step = prefilling, step.until <= time { endPrefillStep(step.id, step.tokens) }
            if let decodeEnds, decodeEnds <= time { endDecodeStep() }
            arrange()
        }
        time = max(time, now)
    }

    // Admission

    /// Takes from the queue what may begin, then sees that prefill and decoding run if they have something to do.
    mutating func arrange() {
        defer {
            memoryChanged()
            endIfIdle()
        }
        guard !isSilent else { return }
        while let head = queue.first {
            guard hasRoomForModel(of: head) else {
                guard !isDown else { return }
                queue.removeFirst()
                if !head.isGone { refuse(head.id, status: 507, body: ErrorText.memory(flavor, memory.limit)) }
                continue
            }
            guard admits(head) else { break }
            var exchange = queue.removeFirst()
            if exchange.isGone, exchange.noticing == .atNextEvent {
                record(.noticed, exchange.id)
                continue
            }
            guard makesRoom(promptGigabytes(exchange)) else {
                if !exchange.isGone, !isDown {
                    refuse(exchange.id, status: 507, body: ErrorText.memory(flavor, memory.limit))
                }
                continue
            }
            exchange.phase = .prefill
            exchange.cached = caches[exchange.model].reuse(exchange.plan.sequence)
            exchange.prefilled = min(exchange.cached, exchange.plan.promptTokens)
            counters.promptTokens += exchange.plan.promptTokens
            counters.cachedTokens += exchange.cached
            if exchange.wantsCached, !exchange.isGone { outputs.append(.cached(exchange.id, exchange.cached)) }
            if exchange.notBefore <= time { sendHead(&exchange) }
            running.append(exchange)
            if isInstant, exchange.notBefore <= time { completeAtOnce(running.count - 1) }
        }
        startPrefill()
        startDecode()
    }

    private mutating func admits(_ head: Exchange) -> Bool {
        let loadHoldsAll = flavor.loadHoldsAll && !flavor.isRouter(models: models.count)
        guard loads.isEmpty || !loadHoldsAll, !holds(.vanish) else { return false }
        let taken = running.reduce(0) { $0 + $1.slots }
        guard taken + head.slots <= slots else { return false }
        if running.contains(where: \.runsAlone) || (head.runsAlone && !running.isEmpty && !isInstant) { return false }
        return hasModel(for: head)
    }

    func sendsHeadBeforeSlot(_ exchange: Exchange) -> Bool {
        guard exchange.notBefore <= time else { return false }
        switch flavor.headMoment {
        case .atAccept: return true
        case .atSlot: return false
        case .whenHeard:
            guard loads.isEmpty, residency[exchange.model].isResident else { return false }
            if exchange.runsAlone { return running.isEmpty && queue.isEmpty }
            return !running.contains(where: \.runsAlone) && !queue.contains(where: \.runsAlone)
        }
    }

    mutating func sendHead(_ exchange: inout Exchange) {
        guard !exchange.headSent else { return }
        exchange.headSent = true
        exchange.saidAt = time
        guard !exchange.isGone else { return }
        note(.head, exchange)
        outputs.append(.head(exchange.id))
    }

    // Prefill

    private mutating func startPrefill() {
        guard prefilling == nil,
            let position = running.firstIndex(where: { $0.phase == .prefill && $0.notBefore <= time && !$0.isStalled })
        else { return }
        var exchange = running[position]
        sendHead(&exchange)
        running[position] = exchange
        guard !isInstant else { return completeAtOnce(position) }
        let tokens = min(Timing.prefillStep, max(1, exchange.prefillMissing))
        let length = timing.prefill(
            models[exchange.model], tokens: tokens, after: exchange.prefilled,
            decoding: running.contains { $0.phase == .decode && !$0.isStalled })
        prefilling = (exchange.id, tokens, time + length)
    }

    private mutating func endPrefillStep(_ id: ExchangeID, _ tokens: Int) {
        prefilling = nil
        guard let position = running.firstIndex(where: { $0.id == id }) else { return }
        if running[position].isGone, running[position].noticing == .atNextEvent {
            return leaveUnnoticedNoMore(position)
        }
        running[position].prefilled = min(running[position].plan.promptTokens, running[position].prefilled + tokens)
        let exchange = running[position]
        if exchange.wantsProgress, exchange.stream, !exchange.isGone {
            running[position].saidAt = time
            note(.progress, exchange)
            outputs.append(progress(exchange))
        }
        guard exchange.prefillMissing <= 0 else { return }
        running[position].phase = .decode
        if exchange.plan.tokens == 0 {
            finish(position)
        } else if exchange.trick != nil, exchange.trickAfter == 0 {
            playTrick(position)
        }
    }

    private func progress(_ exchange: Exchange) -> Output {
        let leftOut = flavor.countsWhatIsNotCached ? exchange.cached : 0
        return .progress(exchange.id, done: exchange.prefilled - leftOut, of: exchange.plan.promptTokens - leftOut)
    }

    // Decoding

    private mutating func startDecode() {
        guard decodeEnds == nil else { return }
        var streams = 0
        var context = 0
        for position in running.indices where running[position].phase == .decode && !running[position].isStalled {
            running[position].isInStep = true
            streams += running[position].slots
            context += running[position].plan.promptTokens + running[position].told
        }
        guard streams > 0, let first = running.first(where: \.isInStep) else { return }
        decodeEnds =
            time
            + timing.decodeStep(
                models[first.model], streams: streams, contextTokens: context, prefilling: prefilling != nil)
    }

    private mutating func endDecodeStep() {
        decodeEnds = nil
        var position = 0
        while position < running.count {
            guard running[position].isInStep else {
                position += 1
                continue
            }
            running[position].isInStep = false
            let id = running[position].id
            if running[position].isGone, running[position].noticing == .atNextEvent {
                leaveUnnoticedNoMore(position)
                continue
            }
            running[position].told += 1
            running[position].saidAt = time
            counters.tokens += 1
            if running[position].stream { resultCame() }
            if !running[position].isGone { outputs.append(.tokens(id, 1)) }
            let exchange = running[position]
            if let trick = exchange.trick, exchange.told >= exchange.trickAfter {
                playTrick(position)
                if trick == .stall { position += 1 }
            } else if exchange.told >= exchange.plan.tokens {
                finish(position)
            } else {
                position += 1
            }
        }
    }

    /// Everything in one go, for a worker without durations.
    private mutating func completeAtOnce(_ position: Int) {
        let exchange = running[position]
        running[position].phase = .decode
        running[position].prefilled = exchange.plan.promptTokens
        if exchange.wantsProgress, exchange.stream, !exchange.isGone {
            outputs.append(progress(running[position]))
        }
        let tokens = exchange.trick == nil ? exchange.plan.tokens : min(exchange.trickAfter, exchange.plan.tokens)
        running[position].told = tokens
        counters.tokens += tokens
        if tokens > 0, !exchange.isGone { outputs.append(.tokens(exchange.id, tokens)) }
        if exchange.trick != nil { playTrick(position) } else { finish(position) }
    }

    // Ends

    private mutating func finish(_ position: Int) {
        let exchange = running[position]
        counters.finished += 1
        residency[exchange.model].lastUsed = time
        switch exchange.keepAlive {
        case .forever: residency[exchange.model].keepAlive = nil
        case .duration(let duration): residency[exchange.model].keepAlive = duration
        case nil: break
        }
        note(.finish, exchange)
        resultCame()
        if !exchange.isGone { outputs.append(.finish(exchange.id, cachedTokens: exchange.cached)) }
        if !exchange.plan.sequence.isEmpty, caches[exchange.model].insert(exchange.plan.sequenceWithAnswer) {
            counters.evictions += 1
        }
        release(position)
    }

    private mutating func playTrick(_ position: Int) {
        let exchange = running[position]
        switch exchange.trick {
        case .stall, nil:
            running[position].isStalled = true
            return
        case .cut: outputs.append(.hangUp(exchange.id, rudely: false))
        case .errorEvent: outputs.append(.errorEvent(exchange.id))
        case .silentEnd: outputs.append(.silentEnd(exchange.id))
        }
        release(position)
    }

    private mutating func leaveUnnoticedNoMore(_ position: Int) {
        record(.noticed, running[position].id)
        release(position)
    }

    /// The slot is free. A prefill step that was computed for it is dropped.
    mutating func release(_ position: Int) {
        let exchange = running.remove(at: position)
        if prefilling?.id == exchange.id { prefilling = nil }
        if !running.contains(where: \.isInStep) { decodeEnds = nil }
    }
}
