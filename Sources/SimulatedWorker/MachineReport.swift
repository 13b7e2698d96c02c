package import Determinism

/// What the machine tells about itself: journal entries and the state that the control port shows.
extension WorkerMachine {
    mutating func note(_ event: Journal.Event, _ exchange: Exchange) {
        append(
            event, exchange.id, phase: exchange.phase, model: exchange.model,
            tokens: event == .accept
                ? exchange.plan.promptTokens : event == .progress ? exchange.prefilled : exchange.told)
    }

    mutating func noteClosed(_ exchange: Exchange, _ noticed: Bool) {
        append(
            .closed, exchange.id, phase: exchange.phase, model: exchange.model, tokens: exchange.told, noticed: noticed)
    }

    mutating func record(_ event: Journal.Event, _ id: ExchangeID?, model: Int? = nil, note: String? = nil) {
        append(event, id, model: model, note: note)
    }

    private mutating func append(
        _ event: Journal.Event, _ id: ExchangeID?, phase: Phase? = nil, model: Int? = nil, tokens: Int? = nil,
        noticed: Bool? = nil, note: String? = nil
    ) {
        journal.append(
            Journal.Entry(
                event: event, at: time, monotonic: monotonic, exchange: id, phase: phase, model: model,
                tokens: tokens, noticed: noticed, note: note))
    }

    package var runningCount: Int { running.count }
    package var queuedCount: Int { queue.count }
    package var now: Instant { time }

    package var cacheCounts: (entries: Int, tokens: Int) {
        (caches.reduce(0) { $0 + $1.count }, caches.reduce(0) { $0 + $1.tokens })
    }

    package func stateReport() -> JSONValue {
        let memory = self.memory
        let slots = running.map { exchange in
            JSONValue.members([
                "exchange": .integer(exchange.id.rawValue), "phase": .string(exchange.phase.rawValue),
                "model": .string(models[exchange.model].name), "prompt_tokens": .integer(exchange.plan.promptTokens),
                "prefilled": .integer(exchange.prefilled), "tokens": .integer(exchange.told),
                "stream": .bool(exchange.stream), "gone": .bool(exchange.isGone), "stalled": .bool(exchange.isStalled),
            ])
        }
        return .members([
            "kind": .string(flavor.rawValue), "chip": .string(chip.name),
            "now_ms": .real(Double(time.nanoseconds) / 1e6),
            "running": .integer(running.count), "queued": .integer(queue.count), "slots_total": .integer(self.slots),
            "slots": .array(slots), "models": .array(models.map { .string($0.name) }),
            "resident": .string(models.indices.first { residency[$0].isResident }.map { models[$0].name } ?? ""),
            "residents": .array(models.indices.filter { residency[$0].isResident }.map { .string(models[$0].name) }),
            "loading": .bool(isLoading),
            "thread_dead": .bool(isThreadDead), "speed": .real(timing.speed),
            "cache": .members([
                "entries": .integer(caches.reduce(0) { $0 + $1.count }),
                "tokens": .integer(caches.reduce(0) { $0 + $1.tokens }),
            ]),
            "memory": .members([
                "weights_gb": .real(memory.weights), "cache_gb": .real(memory.cache), "limit_gb": .real(memory.limit),
                "others_gb": .real(memory.others), "swap_gb": .real(memory.swapped),
            ]),
            "counters": .members([
                "accepted": .integer(counters.accepted), "refused": .integer(counters.refused),
                "finished": .integer(counters.finished), "left": .integer(counters.left),
                "tokens": .integer(counters.tokens), "prompt_tokens": .integer(counters.promptTokens),
                "cached_tokens": .integer(counters.cachedTokens), "loads": .integer(counters.loads),
                "evictions": .integer(counters.evictions),
            ]),
            "faults": .array(
                faults.map { .members(["id": .integer($0.id), "kind": .string($0.kind.rawValue)]) }),
            "journal_end": .integer(journal.lastNumber),
        ])
    }

    package func report(_ entry: Journal.Entry) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init(name: "n", value: .integer(entry.number)), .init(name: "event", value: .string(entry.event.rawValue)),
            .init(name: "t_ns", value: .integer(Int(entry.monotonic))),
            .init(name: "at_ns", value: .integer(Int(entry.at.nanoseconds))),
        ]
        func add(_ name: String, _ value: JSONValue?) {
            if let value { members.append(.init(name: name, value: value)) }
        }
        add("exchange", entry.exchange.map { .integer($0.rawValue) })
        add("phase", entry.phase.map { .string($0.rawValue) })
        add("model", entry.model.map { .string(models[$0].name) })
        add("tokens", entry.tokens.map { .integer($0) })
        add("noticed", entry.noticed.map { .bool($0) })
        add("note", entry.note.map { .string($0) })
        return .object(members)
    }
}
