package import Determinism

/// Loads, evictions, and models that nobody has used for too long.
extension WorkerMachine {
    /// Loads at a time. Only lm_studio begins more than one.
    package static let loadsMax = 16

    package var residents: [Residency] { residency }
    package var runningLoads: [ModelLoad] { loads }
    package var isLoading: Bool { !loads.isEmpty }
    package func isLoading(_ model: Int) -> Bool { loads.contains { $0.model == model } }
    package func runningCount(_ model: Int) -> Int { running.count { $0.model == model } }
    package func queuedCount(_ model: Int) -> Int { queue.count { $0.model == model } }

    /// What is there when the process has just begun.
    static func residencyAtStart(_ flavor: Flavor, _ count: Int) -> [Residency] {
        (0..<count).map { model in
            var residency = Residency()
            residency.keepAlive = flavor.keepAlive
            let isLate = flavor.loadsLazily || flavor.isRouter(models: count) || (flavor.keepsOneModel && model > 0)
            residency.copies = isLate ? 0 : 1
            return residency
        }
    }

    /// True when the model of this exchange is there; else it has begun to load, if it may.
    mutating func hasModel(for head: Exchange) -> Bool {
        guard !residency[head.model].isResident else { return true }
        if flavor.keepsOneModel {
            guard running.isEmpty else { return false }
            for model in models.indices where residency[model].isResident { evict(model) }
        }
        guard flavor.loadsCopies || !isLoading(head.model) else { return false }
        guard !loads.contains(where: { $0.exchange == head.id }) else { return false }
        return beginLoad(head.model, for: head.id)
    }

    /// True when it is there at once. Loads share the disk, so each waits for the one before it.
    @discardableResult
    mutating func beginLoad(_ model: Int, for exchange: ExchangeID?) -> Bool {
        guard loads.count < Self.loadsMax, makesRoom(models[model].gigabytes) else { return false }
        guard !isInstant else {
            loaded(model)
            return true
        }
        loads.append(
            ModelLoad(
                model: model, exchange: exchange,
                until: (loads.last?.until ?? time) + timing.load(models[model])))
        record(.loadBegin, exchange, model: model)
        return false
    }

    mutating func endLoads() {
        while let load = loads.first, load.until <= time {
            loads.removeFirst()
            loaded(load.model)
        }
        if loads.isEmpty { isStartingUp = false }
    }

    private mutating func loaded(_ model: Int) {
        residency[model].copies += 1
        residency[model].lastUsed = time
        counters.loads += 1
        record(.load, nil, model: model)
    }

    mutating func evict(_ model: Int) {
        record(.evict, nil, model: model)
        counters.evictions += 1
        caches[model].removeAll()
        residency[model].copies = 0
    }

    /// The load that a request began ends with its client, where the server is like that. Whoever waits begins anew.
    mutating func abortLoad(of exchange: ExchangeID) {
        guard flavor.abortsLoadWithClient, let position = loads.firstIndex(where: { $0.exchange == exchange }) else {
            return
        }
        record(.loadAbort, exchange, model: loads[position].model)
        loads.remove(at: position)
    }

    func isUsed(_ model: Int) -> Bool {
        running.contains { $0.model == model } || queue.contains { $0.model == model }
    }

    /// Models that nobody used for as long as they are kept.
    mutating func expireResidents() {
        for model in models.indices where residency[model].expiresAt <= time && !isUsed(model) { evict(model) }
    }

    // Orders by the server's own routes

    package mutating func load(_ model: Int, at now: Instant) {
        advance(to: now)
        if !residency[model].isResident, !isLoading(model) { beginLoad(model, for: nil) }
        arrange()
    }

    package mutating func unload(_ model: Int, at now: Instant) {
        advance(to: now)
        loads.removeAll { $0.model == model }
        if residency[model].isResident, !running.contains(where: { $0.model == model }) { evict(model) }
        arrange()
    }
}
