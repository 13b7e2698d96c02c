/// Reads what workers and monitors tell of a worker's load and its Mac, after each round that found it alive.
///
/// Nothing of it proves health or sickness of the worker: a page that is missing, off, broken or late leaves its figures
/// unknown, and they expire.
import Balancing
import Determinism
import InferenceDialect
import ReplicaCore
import Synchronization

final class LoadReader: Sendable {
    /// Rounds that a reading holds for: two may go wrong.
    static let readingHolds = 3.5
    /// A page beside the probes that takes longer is not waited for.
    static let pageSeconds = 1.0
    /// A canary that was answered this long ago may still be counted, or was when the worker counted.
    static let canaryLingersSeconds = 3.0
    /// A monitor shows an average over a second or two: what it shows so long after our last token is not ours.
    static let gpuQuietSeconds = 3.0
    /// While we work, others cannot be told apart; the last look at an idle worker holds for this long.
    static let gpuHoldsSeconds = 60.0

    /// A page of load as it was answered, and what of ours it may count.
    struct Look: Sendable {
        /// Nil for a page that told nothing.
        let reading: LoadReading?
        let since: OwnTraffic.Mark
        let besides: Int
        /// Nothing of ours ran there when it was asked for.
        let isQuiet: Bool
    }

    private struct Watch: Sendable {
        var memory = MemoryWatch()
        var foreignGPU: Double?
        var foreignGPUAt = Instant.zero
    }

    private let board: WorkerBoard
    private let interval: Duration
    private let now: @Sendable () -> Instant
    /// Tokens of prompts that a worker is believed to keep.
    private let cachedTokens: @Sendable (WorkerIndex) -> Int
    /// At most one for each cell of the board.
    private let watches = Mutex<[WorkerIndex: Watch]>([:])

    init(
        board: WorkerBoard, interval: Duration, now: @escaping @Sendable () -> Instant,
        cachedTokens: @escaping @Sendable (WorkerIndex) -> Int
    ) {
        self.board = board
        self.interval = interval
        self.now = now
        self.cachedTokens = cachedTokens
    }

    /// `look`: the kind's page of load, where it has one; `resident`: models in memory, of workers whose models come and go;
    /// `hasCanary`: whether one of ours is under way.
    func read(
        _ worker: Worker, _ dialect: WorkerDialect, _ look: Look?, resident: [WorkerModel]?, _ client: ProbeClient,
        hasCanary: () -> Bool
    ) async {
        if let look { note(worker, look) }
        var mac = look?.reading?.mac ?? MacReading()
        let engine = look?.reading?.engineGigabytes
        let isQuietBefore = look?.isQuiet ?? isQuiet(worker.index)
        if let url = worker.telemetryURL,
            case .reply(200, let body) = await client.get(url, within: Self.pageSeconds),
            let reading = MacReading.macmon(body)
        {
            mac = reading
        }
        note(
            worker, mac, engine, resident: Self.resident(worker, dialect, told: resident),
            isQuiet: isQuietBefore && isQuiet(worker.index) && !hasCanary())
    }

    // MARK: Its own count

    /// Watches what of ours runs there while `ask` asks for the page.
    func look(
        at page: LoadPage, of worker: Worker, hasCanary: () -> Bool, ask: () async -> ProbeAnswer
    ) async -> (answer: ProbeAnswer, look: Look) {
        let mark = board.loads.mark(worker.index, at: now())
        let canaryBefore = hasCanary()
        let isQuiet = isQuiet(worker.index)
        let answer = await ask()
        // A canary is ours, too, and is no exchange of the lane.
        let isFresh = now().seconds(since: board.canaries(worker.index).clean) < Self.canaryLingersSeconds
        var reading: LoadReading?
        if case .reply(let status, let body) = answer { reading = page.read(status: status, body: body) }
        let look = Look(
            reading: reading, since: mark, besides: canaryBefore || isFresh || hasCanary() ? 1 : 0, isQuiet: isQuiet)
        return (answer, look)
    }

    private func note(_ worker: Worker, _ look: Look) {
        guard let count = look.reading?.exchanges else { return }
        board.loads.note(
            worker.index, said: count, since: look.since, besides: look.besides,
            until: now() + interval * Self.readingHolds)
    }

    // MARK: The Mac

    private func note(
        _ worker: Worker, _ mac: MacReading, _ engine: Double?, resident: [WorkerModel], isQuiet: Bool
    ) {
        let now = now()
        let limit = MemoryForecast.limit(memoryGB: worker.memoryGB, configured: worker.gpuMemoryGB)
        var vitals = MacVitals()
        let ofEngine = limit.flatMap { limit in engine.map { $0 / limit } }
        vitals.memoryMeasured = [mac.memoryShare, ofEngine].compactMap { $0 }.max()
        vitals.memoryForecast = MemoryForecast.share(
            resident: resident, tokens: board.loads.ownTokens(worker.index) + cachedTokens(worker.index), limit: limit)
        vitals.memory = [vitals.memoryMeasured, vitals.memoryForecast].compactMap { $0 }.max()
        vitals.heat = mac.degrees.map { MacHeat(degrees: $0) }
        let isPressed = watches.withLock { watches in
            var watch = watches[worker.index] ?? Watch()
            watch.memory.observe(share: vitals.memory, swapUsed: mac.swapUsed, at: now)
            if let use = mac.gpuUse, isQuiet {
                watch.foreignGPU = use
                watch.foreignGPUAt = now
            }
            if now.seconds(since: watch.foreignGPUAt) > Self.gpuHoldsSeconds { watch.foreignGPU = nil }
            vitals.foreignGPU = watch.foreignGPU
            vitals.swapGrows = watch.memory.swapGrows
            watches[worker.index] = watch
            return watch.memory.isPressed
        }
        board.loads.note(worker.index, vitals, until: now + interval * Self.readingHolds)
        if isPressed {
            board.tellHealth(worker.index, .impaired(.pressure), at: now)
        } else if board.condition(worker.index) == .degraded(.pressure) {
            board.tellHealth(worker.index, .relieved(.pressure), at: now)
        }
    }

    /// Nothing that we know of uses its GPU, nor did a moment ago.
    private func isQuiet(_ worker: WorkerIndex) -> Bool {
        let now = now()
        let last = max(board.lastToken(worker), board.canaries(worker).clean)
        return board.loads.isQuiet(worker, at: now) && (board.loads.foreign(worker, at: now) ?? 0) == 0
            && now.seconds(since: last) >= Self.gpuQuietSeconds
    }

    /// What is in memory: of one whose models come and go what is known to be there, else the largest that it may be. Of a
    /// model that lies on several Macs nobody knows which part is here.
    private static func resident(_ worker: Worker, _ dialect: WorkerDialect, told: [WorkerModel]?) -> [WorkerModel] {
        switch dialect.traits.canary {
        case .money: []
        case .token: told ?? worker.models.max { $0.weightBytes < $1.weightBytes }.map { [$0] } ?? []
        case .loadUnlessResident: told ?? []
        }
    }
}
