/// Who can serve what, as one immutable value: workers, models, names, strategy.
///
/// Built off the hot path (`RoutingTable`), read by the lane at the start of every exchange. Positions are valid inside
/// one view; indexes (`WorkerIndex`, `ModelIndex`) are valid for the life of the process and name cells of the boards.
package import Balancing

package final class RoutingView: Sendable {
    /// A model on one worker.
    package struct Placement: Sendable {
        /// Position in `workers`.
        package let position: Int
        /// What this worker calls the model.
        package let upstreamName: String
        package let contextTokens: Int?
        package let vocabulary: Int?
        /// Tokens of an answer whose client set no limit.
        package let maxOutputTokens: Int?
        /// Tokens per second of one prompt, before anything was measured.
        package let prefillRate: Double
        /// Tokens per second of one stream alone.
        package let decodeRate: Double
        /// Each further stream makes a step longer by this share.
        package let stepSlope: Double

        package init(
            position: Int, upstreamName: String, contextTokens: Int?, vocabulary: Int?, maxOutputTokens: Int? = nil,
            prefillRate: Double, decodeRate: Double, stepSlope: Double
        ) {
            self.position = position
            self.upstreamName = upstreamName
            self.contextTokens = contextTokens
            self.vocabulary = vocabulary
            self.maxOutputTokens = maxOutputTokens
            self.prefillRate = prefillRate
            self.decodeRate = decodeRate
            self.stepSlope = stepSlope
        }
    }

    package struct ModelEntry: Sendable {
        package let name: String
        package let index: ModelIndex
        package let placements: [Placement]
        /// The largest context of any worker of this model; nil when one of them did not tell.
        package let contextTokensMax: Int?

        package init(name: String, index: ModelIndex, placements: [Placement]) {
            self.name = name
            self.index = index
            self.placements = placements
            let known = placements.compactMap(\.contextTokens)
            contextTokensMax = known.count == placements.count ? known.max() : nil
        }
    }

    package static let empty = RoutingView(workers: [], models: [], aliases: [], strategy: .resourceAware)

    package let workers: [Worker]
    package let models: [ModelEntry]
    package let strategy: StrategyName
    /// What clients may ask for: models, then aliases whose model is served, each in alphabetical order.
    package let modelNames: [String]
    private let positions: [String: Int]

    package init(
        workers: [Worker], models: [ModelEntry], aliases: [(name: String, target: String)], strategy: StrategyName
    ) {
        self.workers = workers
        self.models = models
        self.strategy = strategy
        var positions: [String: Int] = [:]
        for (position, model) in models.enumerated() { positions[model.name] = position }
        var served: [String] = []
        for alias in aliases {
            // An alias hides a model of its own name: whoever wrote it wanted that.
            guard let position = models.firstIndex(where: { $0.name == alias.target }) else { continue }
            if positions.updateValue(position, forKey: alias.name) == nil { served.append(alias.name) }
        }
        self.positions = positions
        modelNames = models.map(\.name).sorted() + served.sorted()
    }

    /// Prompt tokens a second that a worker is believed to compute, of the first of its models.
    package func prefillRate(of worker: WorkerID) -> Double? {
        for model in models {
            for placement in model.placements where workers[placement.position].id == worker {
                return max(placement.prefillRate, 1)
            }
        }
        return nil
    }

    /// The models of a worker, as they stand in this view.
    package func models(of worker: WorkerIndex) -> [(index: ModelIndex, model: WorkerModel)] {
        guard let worker = workers.first(where: { $0.index == worker }) else { return [] }
        return worker.models.compactMap { model in
            models.first { $0.name == model.name }.map { ($0.index, model) }
        }
    }

    /// Position in `models` of a name or alias; nil for what nobody serves.
    package func resolve(_ name: String) -> Int? { positions[name] }
}
