/// Which models are in the memory of workers whose models come and go.
package import Balancing
package import Determinism
import Synchronization

extension WorkerBoard {
    /// A permit to use a model, which `endUse` gives back.
    package enum ModelUse: Sendable, Equatable {
        /// The worker has all its models at all times; nothing is counted.
        case free
        case counted
        /// It is not in memory, or about to leave it.
        case refused
    }

    package func modelState(_ worker: WorkerIndex, _ model: ModelIndex, at now: Instant) -> ModelState {
        let cell = self[worker]
        guard cell.tellsModelsApart.load(ordering: .acquiring) else { return .resident }
        return cell.models.withLock { $0.state(of: model, at: now) }
    }

    /// From here to `endUse` the model is not pushed out.
    package func beginUse(_ worker: WorkerIndex, _ model: ModelIndex, at now: Instant) -> ModelUse {
        let cell = self[worker]
        guard cell.tellsModelsApart.load(ordering: .acquiring) else { return .free }
        return cell.models.withLock { $0.begin(model, at: now) } ? .counted : .refused
    }

    package func endUse(_ worker: WorkerIndex, _ model: ModelIndex, _ use: ModelUse, at now: Instant) {
        guard use == .counted else { return }
        if !self[worker].models.withLock({ $0.end(model, at: now) }) {
            Fault.report("a use of model \(model.rawValue) on worker \(worker.rawValue) was given back twice")
        }
    }

    /// For those who load and unload; the lane only looks and uses.
    package func withModels<Result: Sendable>(
        _ worker: WorkerIndex, _ change: (inout ModelsInMemory) -> Result
    ) -> Result {
        let cell = self[worker]
        return cell.models.withLock { models in
            let result = change(&models)
            cell.tellsModelsApart.store(models.tellsApart, ordering: .releasing)
            return result
        }
    }

    func emptied(_ worker: WorkerIndex) { withModels(worker) { $0.emptied() } }
}
