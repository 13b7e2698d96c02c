package import Determinism

/// A worker made of arithmetic: requests, departures and the time come in, outputs for the wire come out.
///
/// It reads no clock: `advance(to:)` runs everything that was due until then, each at its own instant, so a late caller
/// changes when a token is sent but never how many there are. Two clocks tick inside: one prefill runs at a time, in steps
/// of 2,048 tokens, while a batch decodes one token per stream and step. With `isInstant` every duration is zero.
package struct WorkerMachine: Sendable {
    /// Requests that may wait; most real servers have no bound, and one more than this gets a 503.
    package static let queueMax = 4_096
    package static let slotsMax = 1_024
    package static let faultsMax = 64

    package let flavor: Flavor
    package let models: [SimulatedModel]
    package let chip: ChipFigures
    package let memoryGigabytes: Double
    package let isInstant: Bool
    /// What it calls its own version, where its kind tells one.
    package internal(set) var version: String
    package internal(set) var slots: Int
    package internal(set) var journal = Journal()
    package internal(set) var counters = Counters()
    /// What happened since the wire last looked.
    package internal(set) var outputs: [Output] = []
    /// What the monotonic clock shows; the caller sets it before each call, for the journal.
    package var monotonic: Int64 = 0

    var time = Instant.zero
    var timing: Timing
    var queue: [Exchange] = []
    var running: [Exchange] = []
    var caches: [PrefixCache]
    var residency: [Residency]
    /// In the order in which they end.
    var loads: [ModelLoad] = []
    var prefilling: (id: ExchangeID, tokens: Int, until: Instant)?
    var decodeEnds: Instant?
    var faults: [ScriptedFault] = []
    var isThreadDead = false
    /// The process is away until then; `never` when it has ended for good.
    var downUntil = Instant.zero
    var isTerminating = false
    var farewellAt = Instant.never
    /// Between a cold start and the end of its loads.
    var isStartingUp = false
    var isSwapping = false
    /// The latest request whose answer carries another model's name.
    package internal(set) var wrongModelExchange: ExchangeID?
    package internal(set) var memoryPolicy: MemoryPolicy
    /// What is to happen by itself, the next first.
    var script: [ScenarioStep] = []
    /// Nominal 1; the thermal state set by the control port.
    var heat = 1.0
    let seed: UInt64
    var chance: SeededGenerator
    private var lastExchange = 0
    private var lastFault = 0

    package struct Counters: Sendable, Equatable {
        package var accepted = 0
        package var refused = 0
        package var finished = 0
        package var left = 0
        package var tokens = 0
        package var promptTokens = 0
        package var cachedTokens = 0
        package var loads = 0
        package var evictions = 0
    }

    package init(
        flavor: Flavor, chip: ChipFigures, models: [SimulatedModel], memoryGigabytes: Double, slots: Int?, seed: UInt64,
        isInstant: Bool
    ) {
        precondition(!models.isEmpty, "a worker without a model has nothing to say")
        self.flavor = flavor
        self.chip = chip
        self.models = models
        self.memoryGigabytes = memoryGigabytes
        self.isInstant = isInstant
        version = flavor.version
        self.slots = min(max(1, slots ?? flavor.defaultSlots), Self.slotsMax)
        self.seed = seed
        timing = Timing(chip: chip)
        caches = Array(repeating: PrefixCache(entriesMax: flavor.cacheEntriesMax), count: models.count)
        residency = Self.residencyAtStart(flavor, models.count)
        memoryPolicy = .usual(flavor)
        chance = SeededGenerator(seed: seed)
    }

    package mutating func takeOutputs() -> [Output] {
        guard !outputs.isEmpty else { return [] }
        defer { outputs.removeAll(keepingCapacity: true) }
        return outputs
    }

    // Requests

    /// A request has arrived in full. Outputs may already be waiting when this returns.
    package mutating func accept(_ ask: Ask, at now: Instant) -> ExchangeID {
        advance(to: now)
        lastExchange += 1
        let id = ExchangeID(rawValue: lastExchange)
        counters.accepted += 1
        guard !isThreadDead else {
            refuse(id, status: 404, body: ErrorText.threadDied)
            return id
        }
        var exchange = Exchange(
            id: id, model: ask.model, stream: ask.stream, runsAlone: ask.runsAlone,
            slots: min(slots, flavor == .llamaCpp ? max(1, ask.plan.choices.count) : 1), plan: ask.plan,
            noticing: flavor.noticing(stream: ask.stream), temperature: ask.temperature, keepAlive: ask.keepAlive)
        exchange.wantsProgress = flavor.prefillComments || ask.wantsProgress
        exchange.wantsCached = ask.route == .messages || ask.wantsProgress
        note(.accept, exchange)
        if flavor.needsInstance, !residency[ask.model].isResident, !isLoading(ask.model) {
            refuse(id, status: 404, body: ErrorText.noInstance(models[ask.model].name))
            return id
        }
        guard afflict(&exchange, ask) else { return id }
        if ask.route == .load, ask.keepAlive == .duration(.zero) {
            if residency[ask.model].isResident, !isUsed(ask.model) { evict(ask.model) }
            counters.finished += 1
            note(.finish, exchange)
            outputs.append(.finish(id, cachedTokens: 0))
            return id
        }
        guard queue.count < flavor.queueMax else {
            refuse(id, status: 503, body: ErrorText.full(flavor))
            return id
        }
        if sendsHeadBeforeSlot(exchange) { sendHead(&exchange) }
        queue.append(exchange)
        if flavor.loadsCopies { _ = hasModel(for: exchange) }
        arrange()
        return id
    }

    /// The reader would not have it. What it asks of the whole worker happens here.
    package mutating func accept(_ refusal: Refusal, at now: Instant) -> ExchangeID {
        advance(to: now)
        lastExchange += 1
        let id = ExchangeID(rawValue: lastExchange)
        counters.accepted += 1
        if isThreadDead {
            refuse(id, status: 404, body: ErrorText.threadDied)
            return id
        }
        guard !isDown else {
            outputs.append(.hangUp(id, rudely: false))
            return id
        }
        switch refusal {
        case .answer(let status, let body): refuse(id, status: status, body: body)
        case .hangUp:
            counters.refused += 1
            record(.refuse, id)
            outputs.append(.hangUp(id, rudely: false))
        case .threadDies(let silently):
            killThread()
            guard silently else {
                refuse(id, status: 404, body: ErrorText.threadDied)
                return id
            }
            counters.refused += 1
            record(.refuse, id)
            outputs.append(.hangUp(id, rudely: false))
        case .processDies:
            record(.fault, id, note: "the process dies")
            die()
        }
        return id
    }

    /// The client closed its connection before the answer's end. A worker that does not notice goes on for nobody.
    package mutating func clientLeft(_ id: ExchangeID, at now: Instant) {
        advance(to: now)
        abortLoad(of: id)
        if let position = queue.firstIndex(where: { $0.id == id }) {
            let noticed = queue[position].noticing == .atOnce
            noteClosed(queue[position], noticed)
            if noticed {
                queue.remove(at: position)
            } else {
                leave(&queue[position])
            }
        } else if let position = running.firstIndex(where: { $0.id == id }) {
            let noticed = running[position].noticing == .atOnce
            noteClosed(running[position], noticed)
            leave(&running[position])
            if noticed { release(position) }
        } else {
            return
        }
        counters.left += 1
        arrange()
    }

    /// Somebody asks on another connection that an answer be given up: it ends where it stands.
    package mutating func cancel(_ id: ExchangeID, at now: Instant) {
        advance(to: now)
        guard isKnown(id) else { return }
        outputs.append(.hangUp(id, rudely: false))
        clientLeft(id, at: now)
    }

    private func leave(_ exchange: inout Exchange) {
        exchange.isGone = true
        switch exchange.noticing {
        case .after(let duration), .afterQuiet(let duration): exchange.noticedAt = isInstant ? time : time + duration
        case .atOnce, .atNextEvent, .never: break
        }
    }

    /// The temperature that whoever comes now will be sampled with; nil: its own.
    package var temperatureOfBatch: Double? {
        flavor.sharesSampling ? running.first { $0.phase == .decode }?.temperature : nil
    }

    func isKnown(_ id: ExchangeID) -> Bool {
        running.contains { $0.id == id } || queue.contains { $0.id == id }
    }

    mutating func refuse(_ id: ExchangeID, status: Int, body: [UInt8]) {
        counters.refused += 1
        record(.refuse, id, note: String(status))
        outputs.append(.refuse(id, status: status, body: body))
    }

    // Control

    package mutating func add(_ fault: ScriptedFault, at now: Instant) -> Int? {
        advance(to: now)
        guard faults.count < Self.faultsMax else { return nil }
        lastFault += 1
        var fault = fault
        fault.id = lastFault
        arm(&fault)
        faults.append(fault)
        record(.fault, nil, note: fault.kind.rawValue)
        begin(fault)
        arrange()
        return lastFault
    }

    package mutating func removeFault(_ id: Int?, at now: Instant) -> Bool {
        advance(to: now)
        let before = faults.count
        faults.removeAll { id == nil || $0.id == id }
        speedChanged()
        arrange()
        return id == nil || faults.count < before
    }

    package mutating func set(
        slots: Int? = nil, heat: Double? = nil, memoryPolicy: MemoryPolicy? = nil, version: String? = nil,
        at now: Instant
    ) {
        advance(to: now)
        if let slots { self.slots = min(max(1, slots), Self.slotsMax) }
        if let heat { self.heat = heat }
        if let memoryPolicy { self.memoryPolicy = memoryPolicy }
        if let version { self.version = version }
        speedChanged()
        arrange()
    }
}
