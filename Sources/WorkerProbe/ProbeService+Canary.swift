/// The smallest request there is. Only a token proves that a worker's engine lives: an HTTP thread answers for long after
/// its engine died.
import Balancing
import Determinism
import InferenceDialect
import Logging
import ReplicaCore
import Synchronization

extension ProbeService {
    /// Workers that the lane or a probe has doubts about and that have no canary under way.
    func wantedCanaries() -> [Worker] {
        routing.value.workers.filter { worker in
            // A load proves as much, and a canary beside it might undo it.
            guard !loads.isLoading(worker.index), board.takeCanaryWish(worker.index) else { return false }
            if case .word = proof(of: worker) {
                tell(worker, .canaryClean)
                return false
            }
            return schedule.withLock { $0.canaries.insert(worker.id).inserted }
        }
    }

    /// What may be asked of a worker to prove its engine.
    private enum Proof {
        /// A token of this model.
        case token((index: ModelIndex, model: WorkerModel))
        /// Nothing: its word is taken.
        case word
        /// Nothing yet: nobody knows its models.
        case later
    }

    private func proof(of worker: Worker) -> Proof {
        switch Self.dialect(of: worker).traits.canary {
        // Whoever runs a plain OpenAI server may pay by the token.
        case .money: return .word
        case .token, .loadUnlessResident: break
        }
        let models = routing.value.models(of: worker.index)
        let now = now()
        if let resident = models.first(where: { board.modelState(worker.index, $0.index, at: now) == .resident }) {
            return .token(resident)
        }
        // Nothing is in memory. A worker that is new is asked all the same where only a request loads anything, since that
        // load must come anyway; else it would load what nobody wants.
        let dialect = Self.dialect(of: worker)
        guard dialect.traits.canary == .token, dialect.orders == nil, board.condition(worker.index) == .loading else {
            return worker.models.isEmpty ? .later : .word
        }
        return models.first.map { .token($0) } ?? .later
    }

    func hasCanary(_ worker: WorkerID) -> Bool { schedule.withLock { $0.canaries.contains(worker) } }

    func canary(_ worker: Worker, _ client: ProbeClient) async {
        let view = routing.value
        guard let current = view.workers.first(where: { $0.id == worker.id }),
            case .token(let (index, model)) = proof(of: current)
        else { return canaryEnded(worker.id) }
        let asked = now()
        let isLoading = board.condition(worker.index) == .loading
        let life = board.incarnation(worker.index)
        let answer = await client.post(
            Self.canaryPath, json: Self.canaryBody(model.upstreamName), to: worker, tls: tls.value[worker.id.rawValue],
            within: patience(with: current, isLoading: isLoading, view))
        // Before anybody hears of it: a wish that follows is one for the next.
        canaryEnded(worker.id)
        if board.lastToken(worker.index) >= asked, case .failed = answer {
            // Somebody else got a token meanwhile: it lives, and this one had to wait.
            counts.note(worker.index, .canaryClean)
            return tell(worker, .canaryClean)
        }
        switch answer {
        case .reply(let status, let body) where Self.isAlive(worker.kind, status, body):
            introduce(current, in: .canary, status: status, body, life: life)
            counts.note(worker.index, .canaryClean)
            if isLoading { noteLoad(of: worker.id, seconds: now().seconds(since: asked)) }
            if Self.dialect(of: worker).traits.keepsOneModel, current.models.count > 1 {
                board.withModels(worker.index) { $0.proved(index, only: true) }
            }
            tell(worker, .canaryClean)
        case .reply(let status, _):
            logger.info("a canary was refused", metadata: ["worker": "\(worker.id.rawValue)", "status": "\(status)"])
            counts.note(worker.index, .canaryFailed)
            tell(worker, .canaryFailed)
        case .refused:
            counts.note(worker.index, .refused)
            tell(worker, .connectRefused)
        case .failed(let why):
            logger.info("a canary failed", metadata: ["worker": "\(worker.id.rawValue)", "why": "\(why)"])
            counts.note(worker.index, .canaryFailed)
            tell(worker, .canaryFailed)
        }
    }

    private func canaryEnded(_ worker: WorkerID) { _ = schedule.withLock { $0.canaries.remove(worker) } }

    /// How long a token may take: the load of a model, or the prompts that stand before it.
    private func patience(with worker: Worker, isLoading: Bool, _ view: RoutingView) -> Double {
        guard isLoading else {
            let rate = view.prefillRate(of: worker.id) ?? 1
            return min(Self.canarySeconds + Double(board.promptTokens(worker.index)) / rate, Self.canarySecondsMax)
        }
        return max(LoadForecast.seconds(of: worker.models), 2 * (longestLoad(of: worker.id) ?? 0))
    }

    /// The longest of its last loads; nil before the first.
    func longestLoad(of worker: WorkerID) -> Double? { schedule.withLock { $0.loads[worker]?.max() } }

    func noteLoad(of worker: WorkerID, seconds: Double) {
        schedule.withLock { schedule in
            var loads = schedule.loads[worker] ?? []
            loads.append(min(seconds, LoadForecast.secondsMax))
            schedule.loads[worker] = Array(loads.suffix(Self.loadsKept))
        }
    }

    /// An answer, or a refusal that blames the request: an engine made for embeddings does not chat and is well.
    private static func isAlive(_ kind: WorkerKind, _ status: Int, _ body: [UInt8]) -> Bool {
        if (200..<300).contains(status) { return true }
        let dialect = WorkerDialect.named(kind.rawValue) ?? .openAI
        return dialect.classify(AnswerStart(status: status, contentType: nil, body: body)) == .client
    }

    /// Eight words, always the same, so that it fills one place of the worker's prompt cache and not many. Greedy, since a
    /// server may sample a whole batch as its first request wants it.
    static func canaryBody(_ model: String) -> [UInt8] {
        var name: [UInt8] = []
        for byte in model.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): name += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                name += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: name.append(byte)
            }
        }
        return Array(#"{"model":""#.utf8) + name
            + Array(
                #"","max_tokens":1,"temperature":0,"messages":[{"role":"user","content":"Are you there? Answer with one short word."}]}"#
                    .utf8)
    }
}
