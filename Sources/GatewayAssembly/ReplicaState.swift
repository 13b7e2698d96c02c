/// What the router tells about this replica, gathered from where it lives.
import Balancing
import GossipDriver
import HTTPEdge
import ReplicaCore
import Settings
import Synchronization
import Telemetry
import UpstreamLane
import WireCoding

final class ReplicaState: GatewayFacts {
    let replicaName: String
    let clusterName: String
    let version: String
    private let routing: RoutingTable
    private let board: WorkerBoard
    private let desk: AdmissionDesk
    private let tallies: [LockedTally]
    private let decisions: [DecisionLog]
    private let poisonTable: PoisonTable
    private let reloader: Reloader
    private let orders: OrderedWorkers
    private let flock: FlockService?
    private let draining = Atomic<Bool>(false)
    private let startedSeconds: Int

    init(
        settings: GatewaySettings, version: String, routing: RoutingTable, board: WorkerBoard, desk: AdmissionDesk,
        tallies: [LockedTally], decisions: [DecisionLog], poison: PoisonTable, reloader: Reloader,
        orders: OrderedWorkers,
        flock: FlockService?
    ) {
        replicaName = settings.replica.name
        clusterName = settings.cluster.name
        self.version = version
        self.routing = routing
        self.board = board
        self.desk = desk
        self.tallies = tallies
        self.decisions = decisions
        poisonTable = poison
        self.reloader = reloader
        self.orders = orders
        self.flock = flock
        startedSeconds = Int(TimestampText.nowMilliseconds() / 1_000)
    }

    func beginDrain() {
        draining.store(true, ordering: .releasing)
        flock?.beginDrain()
    }

    var isDraining: Bool { draining.load(ordering: .acquiring) }

    var inFlight: Int { tallies.reduce(0) { $0 + $1.snapshot.inFlight } }

    /// Workers that are down are no reason: every replica would say so at once, and then nobody answers at all.
    var reasonsNotReady: [String] {
        if let flock, flock.gossip?.members.value.isReady != true {
            return ["it has just started and looks for the other replicas"]
        }
        let unasked = routing.unasked
        guard !unasked.isEmpty else { return [] }
        return [
            "workers without declared models have not told theirs yet: \(unasked.prefix(8).joined(separator: ", "))"
        ]
    }

    var models: [ServedModel] {
        let view = routing.view.value
        return view.modelNames.compactMap { name in
            guard let position = view.resolve(name) else { return nil }
            let workers = view.models[position].placements.map { view.workers[$0.position].id.rawValue }
            return ServedModel(id: name, owner: clusterName, workers: workers, createdSeconds: startedSeconds)
        }
    }

    func reload() async -> ReloadOutcome { await reloader.reload() }

    /// `{"object","cluster","replica","version","state","strategy","in_flight","workers":[…],"models":[…],"members":[…],"rings":{…},
    /// "gossip":{…}}`; without gossip the last says so and the two before it are not there.
    func clusterStatus(_ flock: FlockStatus?) -> [UInt8] {
        let view = routing.view.value
        var json = JSONText(capacity: 4_096)
        json.openObject()
        json.field("object", "cluster.status")
        json.field("cluster", clusterName)
        json.field("replica", replicaName)
        json.field("version", version)
        json.field("state", isDraining ? "draining" : reasonsNotReady.isEmpty ? "ready" : "not_ready")
        json.field("strategy", view.strategy.rawValue)
        json.field("in_flight", inFlight)
        json.key("workers")
        json.openArray()
        for worker in view.workers { append(worker, in: view, to: &json) }
        json.closeArray()
        json.key("models")
        json.openArray()
        for model in view.models {
            json.openObject()
            json.field("id", model.name)
            json.field("queued", desk.waiting(model.index))
            json.key("workers")
            json.openArray()
            for placement in model.placements { json.string(view.workers[placement.position].id.rawValue) }
            json.closeArray()
            json.closeObject()
        }
        json.closeArray()
        // Beyond the bound of names; empty for whoever has fewer than a thousand models.
        json.key("unserved_models")
        json.openArray()
        for name in routing.unserved { json.string(name) }
        json.closeArray()
        if let flock { flock.write(to: &json) } else { FlockStatus.writeOff(to: &json) }
        json.closeObject()
        return json.bytes
    }

    func worker(_ id: String) -> [UInt8]? {
        let view = routing.view.value
        guard let worker = view.workers.first(where: { $0.id.rawValue == id }) else { return nil }
        var json = JSONText()
        append(worker, in: view, to: &json)
        return json.bytes
    }

    /// `{"object":"list","data":[…]}`
    func workers() -> [UInt8] {
        let view = routing.view.value
        var json = JSONText(capacity: 2_048)
        json.openObject()
        json.field("object", "list")
        json.key("data")
        json.openArray()
        for worker in view.workers { append(worker, in: view, to: &json) }
        json.closeArray()
        json.closeObject()
        return json.bytes
    }

    func tellWorker(_ id: String, _ order: WorkerOrder) -> Bool {
        let said: WorkerOrderNews.Order =
            switch order {
            case .drain: .drain
            case .resume: .resume
            case .remove: .remove
            }
        guard let short = orders.order(WorkerID(rawValue: id), said) else { return false }
        flock?.gossip?.submit(.order(short, said))
        return true
    }

    func decision(for requestID: String) -> [UInt8]? {
        DecisionPage.json(decisions.flatMap { $0.decisions(for: requestID) }.sorted { $0.at < $1.at })
    }

    func poison() -> [UInt8] {
        let now = LoopClock.now()
        return PoisonPage.json(poisonTable.records(at: now), at: now)
    }

    func forgetPoison(_ fingerprint: String?) -> Bool {
        guard let fingerprint else { return poisonTable.forget(nil) }
        guard let number = PoisonPage.fingerprint(fingerprint) else { return false }
        return poisonTable.forget(number)
    }

    private func append(_ worker: Worker, in view: RoutingView, to json: inout JSONText) {
        let condition = board.condition(worker.index)
        json.openObject()
        json.field("id", worker.id.rawValue)
        json.field("kind", worker.kind.rawValue)
        json.field("address", "\(worker.host):\(worker.port)")
        json.field("state", condition.word)
        if let why = condition.why { json.field("why", why) }
        if let introduction = board.introduction(worker.index) { append(introduction, to: &json) }
        json.field("running", board.running(worker.index))
        let now = LoopClock.now()
        if let foreign = board.loads.foreign(worker.index, at: now) { json.field("foreign", foreign) }
        if board.flock.isShared {
            json.field("running_elsewhere", board.flock.others(worker.index).running)
            json.field("verdict", "\(board.flock.verdict(worker.index))")
            json.field("monitored_here", board.flock.isMonitored(worker.index))
        }
        json.field("slots", worker.slots)
        json.field("prompt_tokens_ahead", board.promptTokens(worker.index))
        json.field("output_tokens_ahead", board.outputTokens(worker.index))
        json.field("casualties", board.casualties(worker.index))
        if let vitals = board.loads.vitals(worker.index, at: now) { append(vitals, to: &json) }
        json.key("models")
        json.openArray()
        for model in worker.models { json.string(model.name) }
        json.closeArray()
        json.key("speeds")
        json.openArray()
        for model in view.models {
            for placement in model.placements where view.workers[placement.position].index == worker.index {
                append(model, placement, of: worker, to: &json)
            }
        }
        json.closeArray()
        json.closeObject()
    }

    /// What it told of itself; members that its kind does not tell are left out.
    private func append(_ introduction: WorkerIntroduction, to json: inout JSONText) {
        if let version = introduction.version { json.field("version", version) }
        guard let capabilities = introduction.capabilities else { return }
        json.key("capabilities")
        json.openArray()
        for capability in capabilities { json.string(capability) }
        json.closeArray()
    }

    /// What is known of its Mac; members that nobody told are left out.
    private func append(_ vitals: MacVitals, to json: inout JSONText) {
        if let memory = vitals.memory {
            json.key("memory")
            json.openObject()
            json.field("ratio", memory)
            if let measured = vitals.memoryMeasured { json.field("measured", measured) }
            if let forecast = vitals.memoryForecast { json.field("forecast", forecast) }
            json.field("swap_grows", vitals.swapGrows)
            json.closeObject()
        }
        if let heat = vitals.heat { json.field("heat", heat.rawValue) }
        if let use = vitals.foreignGPU { json.field("foreign_gpu", use) }
    }

    /// What the worker is believed to do with a model, and how much of that was measured.
    private func append(
        _ model: RoutingView.ModelEntry, _ placement: RoutingView.Placement, of worker: Worker, to json: inout JSONText
    ) {
        let now = LoopClock.now()
        let vitals = board.loads.vitals(worker.index, at: now)
        let speeds = board.speeds(worker.index, model: model.index, placement, vitals, at: now)
        json.openObject()
        json.field("model", model.name)
        json.field("state", board.modelState(worker.index, model.index, at: LoopClock.now()).word)
        json.field("prefill_tokens_per_second", speeds.prefill)
        json.field("prefill_measured", speeds.prefillConfidence)
        json.field("decode_tokens_per_second", speeds.decode)
        json.field("decode_measured", speeds.decodeConfidence)
        json.closeObject()
    }
}
