/// How a worker's Mac is, beside its worker: memory, heat, and who else uses the GPU. All of it may be unknown.
package import Balancing
package import Determinism

package struct MacVitals: Sendable, Equatable {
    /// Memory in use as a share of what there is, 0…1: the larger of what was measured and what was forecast.
    package var memory: Double?
    /// What a monitor or the worker itself said of it, and what its models need.
    package var memoryMeasured: Double?
    package var memoryForecast: Double?
    package var swapGrows = false
    package var heat: MacHeat?
    /// The share of the GPU that others use, 0…1.
    package var foreignGPU: Double?

    package init() {}

    /// More is no use but a fault of the monitor, and a worker without any speed would never be tried again.
    static let foreignGPUMax = 0.9

    /// What others leave of the GPU.
    package var shareForUs: Double { 1 - min(max(foreignGPU ?? 0, 0), Self.foreignGPUMax) }
}

/// How fast a worker is believed to be with a model just now: measured where it was, else as its chip promises, less what
/// heat and others take.
package struct BelievedSpeeds: Sendable {
    package let prefill: Double
    package let decode: Double
    /// How much of them is measured, 0…1.
    package let prefillConfidence: Double
    package let decodeConfidence: Double
}

extension WorkerBoard {
    package func speeds(
        _ worker: WorkerIndex, model: ModelIndex, _ placement: RoutingView.Placement, _ vitals: MacVitals?,
        at now: Instant
    ) -> BelievedSpeeds {
        let measured = rates(worker, model: model)
        let heat = vitals?.heat?.factor ?? 1
        let share = vitals?.shareForUs ?? 1
        let prefill = placement.prefillRate * heat
        let decode = placement.decodeRate * heat
        return BelievedSpeeds(
            prefill: (measured?.prefillRate(prior: prefill) ?? prefill) * share,
            decode: measured?.decodeRate(prior: decode, share: share, at: now) ?? decode * share,
            prefillConfidence: measured?.prefillConfidence ?? 0, decodeConfidence: measured?.decodeConfidence ?? 0)
    }
}
