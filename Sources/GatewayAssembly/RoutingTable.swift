/// From settings and probes to the view that the lane reads: who can serve what.
///
/// Two writers meet here: settings (at start and at every reload) and probes (a worker without a list of models tells
/// its own). Each change builds a whole new view and publishes it.
import Balancing
import Determinism
import InferenceDialect
import ReplicaCore
import Settings
import Synchronization
import WireCoding

final class RoutingTable: Sendable {
    /// Names of models that get an index in the life of a process. Indexes are never reused, since counters hang on
    /// them; names that come later are not served, which `/v1/cluster/status` says.
    static let modelsMax = 1_024

    private struct State: Sendable {
        var workers: [Worker] = []
        var aliases: [(name: String, target: String)] = []
        var allowlist: Set<String> = []
        var strategy = StrategyName.resourceAware
        /// What workers without a declared list said they have, by worker id.
        var told: [WorkerID: [String]] = [:]
        /// What workers said of the models they listed, declared or not, by the worker's own names.
        var limits: [WorkerID: [String: ModelLimits]] = [:]
        var indexes: [String: ModelIndex] = [:]
        var unserved: Set<String> = []
        /// Taken out by an operator until they are resumed.
        var removed: Set<WorkerID> = []
    }

    let view: Published<RoutingView>
    private let board: WorkerBoard
    private let state = Mutex(State())

    init(board: WorkerBoard) {
        self.board = board
        view = Published(.empty)
    }

    /// Takes the workers of new settings. Throws when the board has no cell for a worker that is new; then nothing changes.
    func configure(_ settings: GatewaySettings) throws(GatewayFailure) {
        var workers: [Worker] = []
        for node in settings.clusterNodes {
            let id = WorkerID(rawValue: node.nodeID)
            guard let index = board.index(for: id) else {
                throw .settings(
                    "cluster_nodes \"\(node.nodeID)\": this replica has known \(WorkerBoard.workersMax) different workers "
                        + "since it started and can take no more; restart it")
            }
            workers.append(Self.worker(node, id, index))
        }
        let strategy: StrategyName = settings.loadBalancing.enabled ? settings.loadBalancing.strategy : .roundRobin
        state.withLock { state in
            state.workers = workers
            state.aliases = settings.models.aliases.map { ($0.name, $0.target) }
            state.allowlist = Set(settings.models.allowlist)
            state.strategy = strategy
            let ids = Set(workers.map(\.id))
            state.removed.formIntersection(ids)
            state.told = state.told.filter { ids.contains($0.key) }
            state.limits = state.limits.filter { ids.contains($0.key) }
            view.publish(Self.view(&state))
        }
    }

    /// A worker told its models. Only those without a declared list are believed; an operator's list says more. What it
    /// says of a model fills in what the operator left out: `limits` is believed of this worker alone, since a model of
    /// the same name elsewhere may be made of other weights, and a token that it does not know may be its death.
    func told(_ models: [String], limits: [String: ModelLimits] = [:], by id: WorkerID) {
        // A name told twice would be two places on one worker.
        var seen: Set<String> = []
        let models = Array(models.filter { seen.insert($0).inserted }.prefix(NodeModelSettings.countMax))
        state.withLock { state in
            guard let worker = state.workers.first(where: { $0.id == id }) else { return }
            let isListNew = worker.models.isEmpty && state.told[id] != models
            let names = worker.models.isEmpty ? models : worker.models.map(\.upstreamName)
            let limits = limits.filter { names.contains($0.key) }
            guard isListNew || state.limits[id, default: [:]] != limits else { return }
            if isListNew { state.told[id] = models }
            state.limits[id] = limits
            view.publish(Self.view(&state))
        }
    }

    /// Configured, whether an operator took some out or not, with the models that they told.
    var configured: [Worker] { state.withLock { state in state.workers.map { Self.withModels($0, state) } } }

    /// Configured, whether an operator took it out or not.
    func knows(_ id: WorkerID) -> Bool { state.withLock { $0.workers.contains { $0.id == id } } }

    func workerID(of short: WorkerShortID) -> WorkerID? {
        state.withLock { $0.workers.first { WorkerShortID(of: $0.id.rawValue) == short }?.id }
    }

    /// Takes a worker out of what the lane sees, or in again. Rings keep it: it is skipped there, so nobody else moves.
    func setRemoved(_ id: WorkerID, _ isRemoved: Bool) {
        state.withLock { state in
            let hasChanged = isRemoved ? state.removed.insert(id).inserted : state.removed.remove(id) != nil
            if hasChanged { view.publish(Self.view(&state)) }
        }
    }

    /// Workers whose models nobody knows yet: not declared and never told.
    var unasked: [String] {
        state.withLock { state in
            state.workers.filter { $0.models.isEmpty && state.told[$0.id] == nil && !state.removed.contains($0.id) }
                .map(\.id.rawValue)
        }
    }

    /// Names that found no index any more.
    var unserved: [String] { state.withLock { $0.unserved.sorted() } }

    private static func worker(_ node: ClusterNodeSettings, _ id: WorkerID, _ index: WorkerIndex) -> Worker {
        let traits = (WorkerDialect.named(node.kind.rawValue) ?? .openAI).traits
        let defaultPort = node.tls ? 443 : 80
        let bracketed = node.host.contains(":") && !node.host.hasPrefix("[") ? "[\(node.host)]" : node.host
        let name = traits.wantsLocalHost ? "localhost" : bracketed
        let authority = node.port == defaultPort ? name : "\(name):\(node.port)"
        return Worker(
            id: id, index: index, kind: node.kind, host: node.host, port: node.port, useTLS: node.tls,
            apiKey: node.apiKey?.value, hostHeader: node.hostHeader ?? authority, weight: node.weight,
            slots: node.maxConcurrency ?? traits.defaultSlots, chip: node.specs.chip.flatMap { Chip($0) },
            memoryGB: node.specs.memoryGB,
            models: node.models.map { model in
                WorkerModel(
                    name: model.name, upstreamName: model.upstreamName, contextTokens: model.contextTokens,
                    vocabulary: model.vocabulary, maxOutputTokens: model.maxOutputTokens,
                    parametersBillions: model.parametersBillions,
                    activeBillions: model.activeParametersBillions, bits: model.bits, layers: model.layers,
                    kvHeads: model.kvHeads, headDim: model.headDim, bytes: model.bytes)
            }, plainAssembly: node.plainAssembly, gpuMemoryGB: node.specs.gpuMemoryGB, telemetryURL: node.telemetryURL)
    }

    private static func view(_ state: inout State) -> RoutingView {
        state.unserved.removeAll()
        var placements: [String: [RoutingView.Placement]] = [:]
        var order: [String] = []
        let workers = state.workers.filter { !state.removed.contains($0.id) }.map { withModels($0, state) }
        for (position, worker) in workers.enumerated() {
            let told = state.limits[worker.id] ?? [:]
            for model in worker.models where state.allowlist.isEmpty || state.allowlist.contains(model.name) {
                let limits = told[model.upstreamName] ?? .unknown
                let rates = ChipPriors.rates(worker.chip, model)
                if placements[model.name] == nil { order.append(model.name) }
                placements[model.name, default: []].append(
                    RoutingView.Placement(
                        position: position, upstreamName: model.upstreamName,
                        contextTokens: model.contextTokens ?? limits.contextTokens,
                        vocabulary: model.vocabulary ?? limits.vocabulary, maxOutputTokens: model.maxOutputTokens,
                        prefillRate: rates.prefill, decodeRate: rates.decode,
                        stepSlope: rates.stepSlope))
            }
        }
        var entries: [RoutingView.ModelEntry] = []
        for name in order {
            guard let index = index(of: name, &state) else {
                state.unserved.insert(name)
                continue
            }
            entries.append(RoutingView.ModelEntry(name: name, index: index, placements: placements[name] ?? []))
        }
        return RoutingView(workers: workers, models: entries, aliases: state.aliases, strategy: state.strategy)
    }

    private static func withModels(_ worker: Worker, _ state: State) -> Worker {
        worker.models.isEmpty
            ? worker.with(models: (state.told[worker.id] ?? []).map { WorkerModel(name: $0, upstreamName: $0) })
            : worker
    }

    private static func index(of name: String, _ state: inout State) -> ModelIndex? {
        if let known = state.indexes[name] { return known }
        guard state.indexes.count < modelsMax else { return nil }
        let index = ModelIndex(rawValue: state.indexes.count)
        state.indexes[name] = index
        return index
    }
}
