/// Flushes of one turn of an event loop, done together at its end.
///
/// A turn handles what many sockets have to say. Flushing each answer at once wakes the reader on the other side just to
/// let it sleep again before the next; together, one wake-up finds all of them. Nothing waits longer than its turn.
import NIOCore

/// Whoever has something to flush.
package protocol FlushTarget: AnyObject {
    func flushNow()
}

final class FlushList {
    private let eventLoop: any EventLoop
    private var targets: [any FlushTarget] = []
    private var isScheduled = false
    private var handle: NIOLoopBound<FlushList>!

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        targets.reserveCapacity(64)
        handle = NIOLoopBound(self, eventLoop: eventLoop)
    }

    /// Bounded by what speaks in one turn; a target that is told twice flushes nothing the second time.
    func flushSoon(_ target: any FlushTarget) {
        targets.append(target)
        guard !isScheduled else { return }
        isScheduled = true
        // A loop runs its tasks after the sockets of the turn.
        let handle = handle!
        eventLoop.execute { handle.value.flushAll() }
    }

    private func flushAll() {
        isScheduled = false
        var place = 0
        // A flush may make room and call back, and the next target be told meanwhile.
        while place < targets.count {
            targets[place].flushNow()
            place += 1
        }
        targets.removeAll(keepingCapacity: true)
    }
}
