/// A graceful stop, step by step, so that no request meets a closed door without a warning.
///
///  1. `/readyz` says 503; everything else goes on. Load balancers need a moment to notice.
///  2. After `drain_notice_seconds` the listener closes and idle connections with it; running answers go on.
///  3. After `drain_seconds` what still runs is ended with an error event or an honest cut.
///
/// It is the last service of the group, and services are stopped last first: the listener hears of the stop only when
/// `run` returns.
import Logging
import NIOCore
import ServiceLifecycle

struct DrainNotice: Service {
    let state: ReplicaState
    let lanes: Lanes
    let noticeSeconds: Double
    let drainSeconds: Double
    let logger: Logger

    func run() async throws {
        try? await gracefulShutdown()
        guard !Task.isCancelled else { return }
        state.beginDrain()
        logger.notice(
            "draining: /readyz says 503, running answers may finish",
            metadata: ["in_flight": "\(state.inFlight)", "drain_seconds": "\(drainSeconds)"])
        try await Task.sleep(for: .seconds(noticeSeconds))
        lanes.endAll(after: .nanoseconds(Int64(drainSeconds * 1e9)))
    }
}
