/// The lane's counts as metric families: what each loop counted, summed by who asks.
import Balancing
import Determinism
import ExchangeFlow
import ReplicaCore
import Telemetry
import UpstreamLane
import WorkerProbe

struct LaneMetrics: Sendable {
    let tallies: [LockedTally]
    let routing: Published<RoutingView>
    let board: WorkerBoard
    let desk: AdmissionDesk
    let probes: ProbeCounts

    @Sendable func families() -> [MetricFamily] {
        var sum = LoopTally()
        for tally in tallies { sum.add(tally.snapshot) }
        let view = routing.value
        let models = Dictionary(
            view.models.map { ($0.index.rawValue, $0.name) }, uniquingKeysWith: { first, _ in first })
        let workers = Dictionary(
            view.workers.map { ($0.index.rawValue, $0.id.rawValue) }, uniquingKeysWith: { first, _ in first })
        return exchanges(sum, models) + attempts(sum, workers) + workerGauges(view) + [
            MetricNames.faults.family(Fault.count)
        ]
    }

    private func exchanges(_ sum: LoopTally, _ models: [Int: String]) -> [MetricFamily] {
        let requests = sum.requests.map { key, count in
            MetricSample(
                labels: [
                    ("route", LoopTally.routeNames[key.route]),
                    // A name that no configuration knows came from a client: it is never a label.
                    ("model", models[key.model] ?? "unknown"), ("outcome", LoopTally.outcomeNames[key.outcome]),
                ], value: Double(count))
        }
        func byRoute(_ histograms: [LoopTally.Histogram]) -> [MetricSample] {
            zip(LoopTally.routeNames, histograms).flatMap { route, histogram in
                samples(of: histogram, labels: [("route", route)])
            }
        }
        func byModel(_ counts: [Int: Int]) -> [MetricSample] {
            counts.map { MetricSample(labels: [("model", models[$0.key] ?? "unknown")], value: Double($0.value)) }
        }
        return [
            MetricNames.requests.family(merged(requests)),
            MetricNames.requestSeconds.family(byRoute(sum.requestSeconds)),
            MetricNames.timeToFirstEvent.family(byRoute(sum.firstEvent)),
            MetricNames.eventGap.family(samples(of: sum.eventGap)),
            MetricNames.gatewayOverhead.family(samples(of: sum.overhead)),
            MetricNames.queueWait.family(samples(of: sum.queueWait)),
            MetricNames.inFlight.family(sum.inFlight),
            MetricNames.promptTokens.family(merged(byModel(sum.promptTokens))),
            MetricNames.completionTokens.family(merged(byModel(sum.completionTokens))),
            MetricNames.upstreamRetries.family(sum.retries),
            MetricNames.cancellations.family(
                sum.cancellations.sorted { $0.key < $1.key }.map {
                    MetricSample(labels: [("phase", $0.key)], value: Double($0.value))
                }),
        ]
    }

    private func attempts(_ sum: LoopTally, _ workers: [Int: String]) -> [MetricFamily] {
        let samples = sum.attempts.map { key, count in
            MetricSample(
                labels: [
                    ("worker", workers[key.worker] ?? "removed"), ("outcome", AttemptOutcome.all[key.outcome].code),
                ], value: Double(count))
        }
        return [MetricNames.upstreamAttempts.family(merged(samples))]
    }

    private func workerGauges(_ view: RoutingView) -> [MetricFamily] {
        var states: [MetricSample] = []
        var running: [MetricSample] = []
        var slots: [MetricSample] = []
        var foreign: [MetricSample] = []
        var memory: [MetricSample] = []
        var breakers: [MetricSample] = []
        let now = LoopClock.now()
        for worker in view.workers {
            let id = worker.id.rawValue
            let current = board.condition(worker.index).word
            for word in WorkerCondition.words {
                states.append(MetricSample(labels: [("worker", id), ("state", word)], value: word == current ? 1 : 0))
            }
            running.append(MetricSample(labels: [("worker", id)], value: Double(board.running(worker.index))))
            if let count = board.loads.foreign(worker.index, at: now) {
                foreign.append(MetricSample(labels: [("worker", id)], value: Double(count)))
            }
            if let share = board.loads.vitals(worker.index, at: now)?.memory {
                memory.append(MetricSample(labels: [("worker", id)], value: share))
            }
            slots.append(MetricSample(labels: [("worker", id)], value: Double(worker.slots)))
        }
        let casualties = view.workers.map { worker in
            MetricSample(
                labels: [("worker", worker.id.rawValue)], value: Double(board.casualties(worker.index)))
        }
        let probed = view.workers.flatMap { worker in
            ProbeCounts.Result.allCases.map { result in
                MetricSample(
                    labels: [("worker", worker.id.rawValue), ("result", result.rawValue)],
                    value: Double(probes.count(worker.index, result)))
            }
        }
        for model in view.models {
            for placement in model.placements {
                let worker = view.workers[placement.position]
                breakers.append(
                    MetricSample(
                        labels: [("worker", worker.id.rawValue), ("model", model.name)],
                        value: Double(board.breakerLevel(worker.index, model: model.index))))
            }
        }
        return [
            MetricNames.workerState.family(states), MetricNames.workerProbes.family(probed),
            MetricNames.workerCasualties.family(casualties), MetricNames.workerRunning.family(running),
            MetricNames.workerForeign.family(foreign), MetricNames.workerMemory.family(memory),
            MetricNames.workerSlots.family(slots),
            MetricNames.breakerState.family(breakers),
            MetricNames.queued.family(
                view.models.map { MetricSample(labels: [("model", $0.name)], value: Double(desk.waiting($0.index))) }),
        ]
    }

    private func samples(of histogram: LoopTally.Histogram, labels: [(name: String, value: String)] = [])
        -> [MetricSample]
    {
        MetricSample.histogram(labels: labels, edges: histogram.edges, counts: histogram.buckets, sum: histogram.sum)
    }

    /// Two indexes may have one label (a removed worker); a series appears once, and in a stable order.
    private func merged(_ samples: [MetricSample]) -> [MetricSample] {
        var sums: [String: MetricSample] = [:]
        for sample in samples {
            let key = sample.labels.map(\.value).joined(separator: "\u{1f}")
            sums[key, default: MetricSample(labels: sample.labels, value: 0)].value += sample.value
        }
        return sums.sorted { $0.key < $1.key }.map(\.value)
    }
}
