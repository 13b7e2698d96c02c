/// Loads models that somebody waits for. A load belongs to the gateway: clients wait in its queue, and one that leaves ends
/// nothing.
import Balancing
import Determinism
import InferenceDialect
import Logging
import NIOSSL
import ReplicaCore
import Synchronization

/// What is being loaded, and the planner of what comes next.
final class LoadDesk: Sendable {
    private struct State: Sendable {
        var planner = LoadPlanner()
        /// Workers on which something is loaded now.
        var busy: Set<WorkerIndex> = []
        var hasSwaps = false
    }

    private let policy: Published<LoadPlanner.Policy>
    private let state = Mutex(State())

    init(policy: Published<LoadPlanner.Policy>) { self.policy = policy }

    func isLoading(_ worker: WorkerIndex) -> Bool { state.withLock { $0.busy.contains(worker) } }
    var hasSwaps: Bool { state.withLock { $0.hasSwaps } }

    func plan(
        _ wants: [LoadPlanner.Want], _ hosts: [LoadPlanner.Host], waiting: [ModelIndex: Int], at now: Instant
    ) -> [LoadPlanner.Action] {
        let policy = policy.value
        return state.withLock { state in
            state.planner.policy = policy
            defer { state.hasSwaps = state.planner.hasSwaps }
            return state.planner.plan(wants, hosts, waiting: waiting, at: now)
        }
    }

    func begin(_ worker: WorkerIndex) { _ = state.withLock { $0.busy.insert(worker) } }
    func end(_ worker: WorkerIndex) { _ = state.withLock { $0.busy.remove(worker) } }
}

extension ProbeService {
    /// How often a worker is asked whether an order to load has been carried out.
    static let loadLook = Duration.milliseconds(500)
    /// What letting a model go may take: nothing is written, memory is freed.
    static let unloadSeconds = 30.0

    struct Load: Sendable {
        let worker: Worker
        let index: ModelIndex
        let model: WorkerModel
        let evicting: [(index: ModelIndex, model: WorkerModel)]
    }

    // MARK: What is to be done

    /// Loads that begin now. Their models are marked before anybody else looks.
    func dueLoads() -> [Load] {
        let (wants, waiting) = desk.wants()
        guard !wants.isEmpty || loads.hasSwaps else { return [] }
        let view = routing.value
        let now = now()
        let hosts = view.workers.compactMap { host($0, in: view, at: now) }
        var due: [Load] = []
        for action in loads.plan(wants, hosts, waiting: waiting, at: now) {
            switch action {
            case .giveUp(let worker, let models): board.withModels(worker) { $0.giveUp(models) }
            case .keep(let worker, let models):
                board.withModels(worker) { $0.keep(models) }
                if let worker = view.workers.first(where: { $0.index == worker }) { onReady(worker) }
            case .load(let index, let host, let evicting):
                let models = view.models(of: host)
                guard let worker = view.workers.first(where: { $0.index == host }),
                    let model = models.first(where: { $0.index == index })?.model
                else { continue }
                board.withModels(host) { $0.beginLoad(index) }
                loads.begin(host)
                due.append(
                    Load(
                        worker: worker, index: index, model: model,
                        evicting: models.filter { evicting.contains($0.index) }))
            }
        }
        return due
    }

    /// A worker whose models come and go, as the planner sees it; nil for all others.
    private func host(_ worker: Worker, in view: RoutingView, at now: Instant) -> LoadPlanner.Host? {
        switch board.condition(worker.index) {
        case .healthy, .degraded: break
        case .loading, .draining, .down: return nil
        }
        let seen = longestLoad(of: worker.id)
        let models = view.models(of: worker.index)
        let places: [LoadPlanner.Place]? = board.withModels(worker.index) { memory in
            guard memory.isSelective else { return nil }
            return models.map { index, model in
                LoadPlanner.Place(
                    model: index, state: memory.state(of: index, at: now), running: memory.running(index),
                    residentSince: memory.residentSince(index), lastUsed: memory.lastUsed(index),
                    bytes: model.weightBytes, loadSeconds: LoadForecast.usual(model, seen: seen))
            }
        }
        guard let places else { return nil }
        let dialect = Self.dialect(of: worker)
        return LoadPlanner.Host(
            worker: worker.index, keepsOne: dialect.traits.keepsOneModel,
            // Without an order to let one go the worker makes room itself, or does not load.
            bytesMax: dialect.orders?.unload == nil ? nil : worker.modelBytesMax, running: board.running(worker.index),
            places: places)
    }

    // MARK: One load

    /// From the order until the model can be used, or cannot be had.
    func load(_ load: Load, _ client: ProbeClient) async {
        let began = now()
        var metadata: [String: String] = ["worker": load.worker.id.rawValue, "model": load.model.name]
        if !load.evicting.isEmpty {
            metadata["instead_of"] = load.evicting.map(\.model.name).joined(separator: " ")
        }
        log("a model is loaded", metadata)
        let usual = LoadForecast.seconds(of: load.model, memoryGB: load.worker.memoryGB)
        let patience = max(usual, 2 * (longestLoad(of: load.worker.id) ?? 0))
        let failure = await bring(load, client, within: min(patience, LoadForecast.secondsMax))
        let seconds = now().seconds(since: began)
        board.withModels(load.worker.index) {
            $0.endLoad(load.index, evicted: load.evicting.map(\.index), succeeded: failure == nil, at: now())
        }
        loads.end(load.worker.index)
        if let failure {
            metadata["why"] = failure
            log("a model was not loaded", metadata)
            counts.note(load.worker.index, .loadFailed)
        } else {
            noteLoad(of: load.worker.id, seconds: seconds)
            counts.note(load.worker.index, .loaded)
        }
        onReady(load.worker)
    }

    private func log(_ message: String, _ metadata: [String: String]) {
        logger.notice("\(message)", metadata: metadata.mapValues { "\($0)" })
    }

    /// Why it failed; nil when the model is there.
    private func bring(_ load: Load, _ client: ProbeClient, within seconds: Double) async -> String? {
        let worker = load.worker
        let tls = tls.value[worker.id.rawValue]
        guard let orders = Self.dialect(of: worker).orders else {
            return await ask(load, client, tls, within: seconds)
        }
        let deadline = now() + .seconds(seconds)
        // Somebody else may have had it loaded meanwhile; a second copy would be too much for its memory.
        if await isThere(load, client, tls) { return nil }
        if let unload = orders.unload {
            for (_, model) in load.evicting {
                let order = unload(model.upstreamName)
                _ = await client.post(order.path, json: order.body, to: worker, tls: tls, within: Self.unloadSeconds)
            }
        }
        let order = orders.load(load.model.upstreamName)
        switch await client.post(order.path, json: order.body, to: worker, tls: tls, within: seconds) {
        case .reply(404, _):
            // An older version without the order loads what it is asked for; one without the model says so again.
            return await ask(load, client, tls, within: seconds)
        case .reply(let status, _) where (200..<300).contains(status): break
        case .reply(let status, let body):
            // A router says so when the model is on its way already.
            let text = String(decoding: body.prefix(Self.toldBytesMax), as: UTF8.self)
            guard text.contains("already") else { return "it answered \(status): \(text)" }
        case .refused: return "it refused the connection"
        case .failed(let why): return why
        }
        while now() < deadline, !Task.isCancelled {
            if await isThere(load, client, tls) { return nil }
            do { try await Task.sleep(for: Self.loadLook) } catch { break }
        }
        return "it is not in its memory after \(Int(seconds)) s"
    }

    /// Of a refusal, for the log.
    static let toldBytesMax = 512

    /// For whoever loads what it is asked for: the smallest request there is.
    private func ask(
        _ load: Load, _ client: ProbeClient, _ tls: TLSConfiguration?, within seconds: Double
    ) async -> String? {
        let answer = await client.post(
            Self.canaryPath, json: Self.canaryBody(load.model.upstreamName), to: load.worker, tls: tls, within: seconds)
        switch answer {
        case .reply(let status, let body):
            if (200..<300).contains(status) {
                tell(load.worker, .canaryClean)
                return nil
            }
            return "it answered \(status): \(String(decoding: body.prefix(Self.toldBytesMax), as: UTF8.self))"
        case .refused: return "it refused the connection"
        case .failed(let why): return why
        }
    }

    /// Whether the worker says that the model can be used.
    private func isThere(_ load: Load, _ client: ProbeClient, _ tls: TLSConfiguration?) async -> Bool {
        let dialect = Self.dialect(of: load.worker)
        for request in dialect.probes() where request.tellsResidents {
            let askedAt = now()
            guard
                case .reply(let status, let body) = await client.get(
                    request.path, of: load.worker, tls: tls, within: Self.probeSeconds)
            else { return false }
            take(
                dialect.read(ProbeReply(request: request, status: status, body: body)), of: load.worker,
                askedAt: askedAt)
        }
        return board.modelState(load.worker.index, load.index, at: now()) == .resident
    }
}
