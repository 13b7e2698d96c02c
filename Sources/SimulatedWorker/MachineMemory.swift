/// Weights, keys and values against what the Mac has, and what happens when it is too much.
extension WorkerMachine {
    package var memory: MemoryUse {
        var cache = 0.0
        var weights = 0.0
        for (position, model) in models.enumerated() {
            weights += Double(residency[position].copies) * model.gigabytes
            var tokens = caches[position].tokens
            for exchange in running where exchange.model == position { tokens += exchange.prefilled + exchange.told }
            cache += Double(tokens) * model.cacheBytesPerToken / 1e9
        }
        return MemoryUse(weights: weights, cache: cache, others: takenGigabytes, limit: limitGigabytes)
    }

    /// The share of its memory that a Mac lets the GPU have.
    var limitGigabytes: Double { memoryGigabytes * (memoryGigabytes > 36 ? 0.75 : 0.67) }

    /// Makes room for so many gigabytes more, as far as the policy goes. False when the request must be refused.
    mutating func makesRoom(_ gigabytes: Double) -> Bool {
        func fits() -> Bool { memory.used + gigabytes <= memory.limit }
        guard !fits() else { return true }
        switch memoryPolicy {
        case .swap: return true
        case .die:
            record(.fault, nil, note: "out of memory")
            die()
            return false
        case .refuse, .evict:
            while !fits(), dropOldestPrefix() {}
            while !fits(), memoryPolicy == .evict, let model = idleModel() { evict(model) }
            return fits() || memoryPolicy == .evict
        }
    }

    /// Whether the model of an exchange is there, is coming, or may come.
    mutating func hasRoomForModel(of head: Exchange) -> Bool {
        guard !residency[head.model].isResident, loads.isEmpty, !flavor.keepsOneModel else { return true }
        return makesRoom(models[head.model].gigabytes)
    }

    /// Looks again at what fits, after tokens were added or something ended.
    mutating func memoryChanged() {
        guard !isDown else { return }
        if memory.isOver {
            switch memoryPolicy {
            case .evict, .refuse: while memory.isOver, dropOldestPrefix() {}
            case .die:
                record(.fault, nil, note: "out of memory")
                die()
            case .swap: break
            }
        }
        let swaps = memory.isOver && memoryPolicy != .die
        guard swaps != isSwapping else { return }
        isSwapping = swaps
        record(.fault, nil, note: swaps ? "swapping" : "swapping is over")
        speedChanged()
    }

    private mutating func dropOldestPrefix() -> Bool {
        guard let model = caches.indices.max(by: { caches[$0].tokens < caches[$1].tokens }), caches[model].count > 0
        else { return false }
        caches[model].removeOldest()
        counters.evictions += 1
        record(.evict, nil, model: model, note: "prefix")
        return true
    }

    /// The idle model that was not used for the longest time.
    private func idleModel() -> Int? {
        models.indices.filter { residency[$0].isResident && !running.map(\.model).contains($0) }
            .min { residency[$0].lastUsed < residency[$1].lastUsed }
    }

    /// Gigabytes of keys and values that an exchange will fill with its prompt.
    func promptGigabytes(_ exchange: Exchange) -> Double {
        Double(exchange.plan.promptTokens) * models[exchange.model].cacheBytesPerToken / 1e9
    }
}
