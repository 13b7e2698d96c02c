/// What a strategy sees: workers that can serve the request and have a free slot, and the request.

package struct Candidate: Sendable {
    package var worker: WorkerIndex
    /// Its name on rings.
    package var ringKey: UInt64
    package var slots: Int
    /// With those of others, as far as they are known.
    package var running: Int
    /// Of these, exchanges that the worker runs for others.
    package var foreign = 0
    package var queued: Int
    package var weight: Double
    /// Tokens of this request's prompt that the worker is believed to have in its cache.
    package var cachedTokens = 0
    /// False where this request has to run alone: the batch is drained for it.
    package var joinsBatch = true
    /// Prompt and output tokens that running exchanges still have to do.
    package var promptTokensAhead: Int
    package var outputTokensAhead: Int
    /// Tokens per second of one prompt.
    package var prefillRate: Double
    /// Tokens per second of one stream alone.
    package var decodeRate: Double
    /// Each further stream makes a step longer by this share.
    package var stepSlope: Double
    /// Until the model is resident; 0 when it is.
    package var loadSeconds: Double
    /// Memory in use as a share of the limit, 0…1; 0 when unknown.
    package var pressure: Double

    package init(
        worker: WorkerIndex, ringKey: UInt64, slots: Int, running: Int, queued: Int, weight: Double,
        promptTokensAhead: Int, outputTokensAhead: Int, prefillRate: Double, decodeRate: Double, stepSlope: Double,
        loadSeconds: Double, pressure: Double
    ) {
        self.worker = worker
        self.ringKey = ringKey
        self.slots = slots
        self.running = running
        self.queued = queued
        self.weight = weight
        self.promptTokensAhead = promptTokensAhead
        self.outputTokensAhead = outputTokensAhead
        self.prefillRate = prefillRate
        self.decodeRate = decodeRate
        self.stepSlope = stepSlope
        self.loadSeconds = loadSeconds
        self.pressure = pressure
    }

    /// Exchanges that it has taken on.
    package var load: Int { running + queued }
}

package struct PlacementQuery: Sendable {
    package var model: ModelIndex
    package var promptTokens: Int
    /// Expected, not promised.
    package var outputTokens: Int
    /// The prompt through its first user message: the same for every later turn of a conversation. 0: there is none.
    package var prefixFingerprint: UInt64
    /// What `consistent_hash` keys by. 0: the client is nobody in particular.
    package var affinityKey: UInt64

    package init(
        model: ModelIndex, promptTokens: Int, outputTokens: Int, prefixFingerprint: UInt64, affinityKey: UInt64
    ) {
        self.model = model
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.prefixFingerprint = prefixFingerprint
        self.affinityKey = affinityKey
    }
}
