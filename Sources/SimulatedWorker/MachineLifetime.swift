package import Determinism

/// How the process ends and begins again: restarts, cold or not, and SIGTERM in the manner of the kind.
extension WorkerMachine {
    /// A process that goes silent at SIGTERM ends after so long, having said one last thing.
    static let silentFarewell = Duration.seconds(30)

    /// The process is not there: nothing is answered, and its port is closed.
    package var isDown: Bool { downUntil > time }
    /// Connects find nobody who would take them.
    package var isClosed: Bool {
        isDown || isTerminating || holds(.closeListener) || (flavor.listensAfterLoad && isStartingUp && isLoading)
    }

    /// As a new process: nothing runs, nothing is cached, nothing is wrong. The journal stays and tells of it.
    package mutating func restart(at now: Instant) {
        advance(to: now)
        endProcess()
        residency = Self.residencyAtStart(flavor, models.count)
        record(.reset, nil, note: "restart")
    }

    /// The process ends, is away for a while, and comes back without its models.
    package mutating func restart(at now: Instant, after pause: Duration) {
        advance(to: now)
        restart(after: pause)
        arrange()
    }

    mutating func restart(after pause: Duration) {
        endProcess()
        outputs.append(.closeConnections)
        record(.reset, nil, note: "restart")
        downUntil = time + pause
        for model in models.indices { residency[model].copies = 0 }
        if pause <= .zero { comeBack() }
    }

    /// Whoever does not load lazily loads before anything else.
    mutating func comeBack() {
        downUntil = .zero
        isStartingUp = true
        record(.reset, nil, note: "back")
        let wanted = Self.residencyAtStart(flavor, models.count)
        for model in models.indices where wanted[model].isResident { beginLoad(model, for: nil) }
    }

    private mutating func endProcess() {
        for exchange in running + queue where !exchange.isGone { outputs.append(.hangUp(exchange.id, rudely: false)) }
        forgetRequests()
        for model in caches.indices { caches[model].removeAll() }
        loads.removeAll()
        isThreadDead = false
        isTerminating = false
        isStartingUp = false
        farewellAt = .never
        downUntil = .zero
    }

    /// As SIGKILL: no goodbye. Only a restart brings it back.
    mutating func die() {
        forgetRequests()
        loads.removeAll()
        downUntil = .never
        outputs.append(.processDies)
    }

    mutating func forgetRequests() {
        running.removeAll()
        queue.removeAll()
        prefilling = nil
        decodeEnds = nil
    }

    /// A restart that also forgets faults, counters, settings and the journal's entries; its numbers go on.
    package mutating func reset(at now: Instant) {
        restart(at: now)
        faults.removeAll()
        script.removeAll()
        heat = 1
        memoryPolicy = .usual(flavor)
        version = flavor.version
        speedChanged()
        chance = SeededGenerator(seed: seed)
        counters = Counters()
        journal.removeAll()
    }

    /// SIGTERM. `processEnds` comes out when it has done what its kind does.
    package mutating func terminate(at now: Instant) {
        advance(to: now)
        guard !isTerminating else { return }
        isTerminating = true
        record(.reset, nil, note: "terminate")
        switch flavor.farewell {
        case .diesAtOnce: end()
        case .finishesAnswers: endIfIdle()
        case .goesSilent:
            guard !running.isEmpty || !queue.isEmpty else { return end() }
            farewellAt = time + Self.silentFarewell
            prefilling = nil
            decodeEnds = nil
        }
    }

    /// Nothing is computed any more, though connections stay open.
    var isSilent: Bool { farewellAt < .never }

    mutating func endIfIdle() {
        if isTerminating, flavor.farewell == .finishesAnswers, running.isEmpty, queue.isEmpty { end() }
    }

    mutating func sayFarewell() {
        guard farewellAt <= time else { return }
        for exchange in running + queue where exchange.stream && exchange.headSent && !exchange.isGone {
            outputs.append(.comment(exchange.id))
        }
        end()
    }

    private mutating func end() {
        endProcess()
        isTerminating = true
        downUntil = .never
        outputs.append(.processEnds)
    }
}
