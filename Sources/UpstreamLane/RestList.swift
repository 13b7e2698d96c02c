/// Upstream connections of one event loop that rest between the reads of a burst, woken together by one timer.
import Determinism
import ExchangeFlow
import NIOCore

/// Whoever rests.
protocol RestingReader: AnyObject {
    func restEnded(at now: Instant)
}

final class RestList {
    private let eventLoop: any EventLoop
    private let clock: () -> Instant
    private var resting: [any RestingReader] = []
    private var handle: NIOLoopBound<RestList>!

    init(eventLoop: any EventLoop, clock: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.clock = clock
        handle = NIOLoopBound(self, eventLoop: eventLoop)
    }

    /// Bounded by the connections of the loop, each at most once. Whoever joins later rests for less.
    func rest(_ reader: any RestingReader) {
        resting.append(reader)
        guard resting.count == 1 else { return }
        let handle = handle!
        eventLoop.scheduleTask(in: .nanoseconds(BurstRest.length.wholeNanoseconds)) { handle.value.wakeAll() }
    }

    private func wakeAll() {
        let now = clock()
        let woken = resting
        resting.removeAll(keepingCapacity: true)
        for reader in woken { reader.restEnded(at: now) }
    }
}
