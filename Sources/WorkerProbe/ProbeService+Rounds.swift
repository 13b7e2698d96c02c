/// One round of questions to one worker, and what its answers tell of it and of its models.
import Balancing
import Determinism
import InferenceDialect
import Logging
import ReplicaCore
import Synchronization

extension ProbeService {
    /// A round is counted when it is over: whoever sees it counted may rely on what it told, and on the next being due.
    func probe(_ worker: Worker, _ client: ProbeClient) async {
        let result = await round(of: worker, client)
        asked(worker, result)
        let condition = board.condition(worker.index)
        let isWanted = schedule.withLock { $0.looked.remove(worker.id) != nil }
        // A worker that is down is told again each time: an old word that it is well must not outlive this one.
        if isWanted || condition.word == "down" { onChange(worker, condition) }
        counts.note(worker.index, result)
    }

    private func round(of worker: Worker, _ client: ProbeClient) async -> ProbeCounts.Result {
        let dialect = Self.dialect(of: worker)
        var heard = Heard()
        var verdict = WorkerHealth.Input.probeAlive
        for request in dialect.probes() {
            let askedAt = now()
            switch await ask(request.path, of: worker, dialect, client, within: Self.probeSeconds, &heard) {
            case .refused:
                tell(worker, .connectRefused)
                return .refused
            case .failed(let why):
                tellFailure(of: worker, why)
                tell(worker, .probeFailed)
                return .failed
            case .reply(let status, let body):
                let reading = dialect.read(ProbeReply(request: request, status: status, body: body))
                switch reading.life {
                case .alive: break
                case .loading: verdict = .probeLoading
                case .dead:
                    tell(worker, .deadVerdict)
                    return .failed
                case .failed:
                    tell(worker, .probeFailed)
                    return .failed
                }
                take(reading, of: worker, askedAt: askedAt)
                if let slots = reading.slots { compareSlots(of: worker, saying: slots) }
            }
        }
        _ = schedule.withLock { $0.toldFailures.removeValue(forKey: worker.id) }
        board.tellBreakers(worker.index, at: now())
        tell(worker, verdict)
        guard verdict == .probeAlive else { return .loading }
        doubt(worker)
        // Where the page of load is one of the questions, it has been read already.
        if let page = dialect.loadPage, heard.load == nil {
            _ = await ask(page.path, of: worker, dialect, client, within: LoadReader.pageSeconds, &heard)
        }
        await loadReader.read(worker, dialect, heard.load, resident: residents(of: worker), client) {
            hasCanary(worker.id)
        }
        // After the verdict, with which a new life may have begun.
        if let (place, status, body) = heard.introduction {
            introduce(worker, in: place, status: status, body, life: board.incarnation(worker.index))
        }
        return .alive
    }

    /// What one round heard that is looked at when it is over.
    private struct Heard {
        var load: LoadReader.Look?
        var introduction: (place: IntroductionPage.Place, status: Int, body: [UInt8])?
    }

    private func ask(
        _ path: String, of worker: Worker, _ dialect: WorkerDialect, _ client: ProbeClient, within seconds: Double,
        _ heard: inout Heard
    ) async -> ProbeAnswer {
        let tls = tls.value[worker.id.rawValue]
        let answer: ProbeAnswer
        if let page = dialect.loadPage, page.path == path {
            let (told, look) = await loadReader.look(at: page, of: worker) {
                hasCanary(worker.id)
            } ask: {
                await client.get(path, of: worker, tls: tls, within: seconds)
            }
            heard.load = look
            answer = told
        } else {
            answer = await client.get(path, of: worker, tls: tls, within: seconds)
        }
        if dialect.introduction?.place == .page(path), case .reply(let status, let body) = answer {
            heard.introduction = (.page(path), status, body)
        }
        return answer
    }

    /// What an answer tells of models: which there are, and which are in memory.
    func take(_ reading: ProbeReading, of worker: Worker, askedAt: Instant) {
        if let models = reading.models {
            onModels(models, reading.limits, worker.id)
            let inventory = Set(models + reading.aliases)
            schedule.withLock { $0.inventory[worker.id] = inventory }
            if Self.dialect(of: worker).traits.takesAnyName, reading.listsAll { missModels(of: worker, inventory) }
        }
        switch reading.resident {
        case nil: break
        case .all: board.withModels(worker.index) { $0.toldAll() }
        case .only(let names):
            let inventory = schedule.withLock { $0.inventory[worker.id] ?? [] }
            // What it does not list at all it may have under another name: whoever configured it knows.
            let resident = routing.value.models(of: worker.index).filter { _, model in
                let itsNames = Self.names(of: model, worker.kind)
                return itsNames.contains(where: names.contains) || !itsNames.contains(where: inventory.contains)
            }
            board.withModels(worker.index) { $0.told(Set(resident.map(\.index)), askedAt: askedAt) }
        }
    }

    /// A worker that would answer for any name has only what it lists, whatever its configuration says.
    private func missModels(of worker: Worker, _ inventory: Set<String>) {
        let missing = routing.value.models(of: worker.index).filter { _, model in
            !Self.names(of: model, worker.kind).contains(where: inventory.contains)
        }
        let absent = Set(missing.map(\.index))
        let isNew = board.withModels(worker.index) { memory in
            defer { memory.toldAbsent(absent) }
            return !absent.isSubset(of: memory.absent)
        }
        guard isNew else { return }
        let listed = inventory.sorted().prefix(Self.namesToldMax).joined(separator: ", ")
        logger.warning(
            "a worker does not list a model that it is configured with, and is sent nothing for it: its upstream_name must be one that the worker lists",
            metadata: [
                "worker": "\(worker.id.rawValue)",
                "models": "\(missing.map(\.model.upstreamName).joined(separator: ", "))", "lists": "\(listed)",
            ])
    }

    /// Models in its memory; nil while it has not told that they come and go.
    private func residents(of worker: Worker) -> [WorkerModel]? {
        let models = routing.value.models(of: worker.index)
        let now = now()
        return board.withModels(worker.index) { memory in
            guard memory.isSelective else { return nil }
            return models.filter { [.resident, .evicting].contains(memory.state(of: $0.index, at: now)) }.map(\.model)
        }
    }

    /// What a worker may call a model in its lists.
    private static func names(of model: WorkerModel, _ kind: WorkerKind) -> [String] {
        // A tag that is not written is this one.
        kind == .ollama ? [model.upstreamName, model.upstreamName + ":latest"] : [model.upstreamName]
    }

    /// It answers, which proves little: an engine that has made no token for long is to make one.
    private func doubt(_ worker: Worker) {
        let now = now()
        let proven = max(board.lastToken(worker.index), board.canaries(worker.index).clean)
        let patience = board.running(worker.index) > 0 ? Self.tokenlessSeconds : Self.idleSeconds
        guard now.seconds(since: proven) >= patience else { return }
        tell(worker, .silence)
    }
}
