/// What the log is told of workers: each thing once, and again when it has changed.
import Balancing
import Logging
import ReplicaCore
import Synchronization

extension ProbeService {
    /// The same failure is news once, until a probe goes well again.
    func tellFailure(of worker: Worker, _ why: String) {
        // Broken off because the replica stops: that says nothing of the worker.
        guard !Task.isCancelled else { return }
        guard schedule.withLock({ $0.toldFailures.updateValue(why, forKey: worker.id) }) != why else { return }
        logger.notice("a probe failed", metadata: ["worker": "\(worker.id.rawValue)", "why": "\(why)"])
    }

    /// Exchanges beyond a worker's own slots wait inside it, where our queue, its deadline and failover do not reach.
    func compareSlots(of worker: Worker, saying slots: Int) {
        let before = schedule.withLock { $0.toldSlots.updateValue(slots, forKey: worker.id) }
        guard slots < worker.slots, before != slots else { return }
        logger.warning(
            "worker runs fewer exchanges at a time than max_concurrency says; set it to the worker's own number",
            metadata: [
                "worker": "\(worker.id.rawValue)", "worker_slots": "\(slots)", "max_concurrency": "\(worker.slots)",
            ])
    }

    /// Conditions change here and on the lane; one place tells of both.
    func tellChanges() {
        for worker in routing.value.workers {
            let condition = board.condition(worker.index)
            let before = schedule.withLock { $0.known.updateValue(condition, forKey: worker.id) }
            guard before != condition else { continue }
            onChange(worker, condition)
            // Whoever waits for it need not wait until it looks again.
            if condition == .healthy { onReady(worker) }
            var metadata: Logger.Metadata = ["worker": "\(worker.id.rawValue)", "state": "\(condition.word)"]
            if let before { metadata["was"] = "\(before.word)" }
            if let why = condition.why { metadata["why"] = "\(why)" }
            logger.log(level: condition.word == "down" ? .warning : .notice, "worker state", metadata: metadata)
        }
    }
}
