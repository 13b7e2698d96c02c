/// All deadlines of one event loop, in one timer.
///
/// A timer per request would be an allocation per request, cancelled unused nearly always. Here a target sits in the
/// slot of its earliest deadline; moving the deadline *later* (the common case: a chunk came) only changes a number
/// the target keeps itself, and the wheel asks again when the slot comes round. Slots are 50 ms wide, so a deadline
/// rings up to 50 ms late, never early. A target further away than the wheel is long waits in the last slot.
package import Determinism
package import NIOCore

/// Something with a deadline. Keeps its place in the wheel so that leaving costs no search.
package protocol DeadlineTarget: AnyObject {
    var wheelPlace: WheelPlace { get set }
    /// Called at or after the armed time, or before one that is further away than the wheel is long. The answer is the
    /// next deadline, `.never` to leave the wheel.
    func deadlinePassed(at now: Instant) -> Instant
}

/// Where a target stands in the wheel; `.none` when it stands nowhere.
package struct WheelPlace: Sendable {
    fileprivate var slot: Int32
    fileprivate var position: Int32
    fileprivate var tick: Int64
    package static let none = WheelPlace(slot: -1, position: -1, tick: .max)
    /// Out of its slot and about to be asked, in this very `advance`.
    fileprivate static let due = WheelPlace(slot: -2, position: -1, tick: .max)
    fileprivate var isDue: Bool { slot == -2 }
    package var isArmed: Bool { slot >= 0 }
}

package final class DeadlineWheel {
    /// Nanoseconds a slot covers: far below the shortest clock (seconds), far above the cost of a turn.
    package static let stepNanoseconds: Int64 = 50_000_000
    /// Slots: 256 × 50 ms = 12.8 s, longer than nearly every exchange waits before its deadline moves.
    package static let slotCount = 256

    private let eventLoop: any EventLoop
    private let clock: () -> Instant
    private var slots: [[any DeadlineTarget]]
    private var lastTick: Int64
    private var isTicking = false
    package private(set) var armedCount = 0

    package init(eventLoop: any EventLoop, clock: @escaping () -> Instant) {
        self.eventLoop = eventLoop
        self.clock = clock
        slots = Array(repeating: [], count: Self.slotCount)
        lastTick = clock().nanoseconds / Self.stepNanoseconds
    }

    /// Rings `target` at `deadline` or within a step after. An earlier armed time stays: the target then says when next.
    package func arm(_ target: any DeadlineTarget, at deadline: Instant) {
        guard deadline != .never else { return }
        if armedCount == 0 { lastTick = clock().nanoseconds / Self.stepNanoseconds }
        let wanted = tick(of: deadline)
        if target.wheelPlace.isArmed {
            if target.wheelPlace.tick <= wanted { return }
            disarm(target)
        } else if target.wheelPlace.isDue {
            // It says itself when next, in a moment.
            return
        }
        let slot = Int(wanted % Int64(Self.slotCount))
        target.wheelPlace = WheelPlace(slot: Int32(slot), position: Int32(slots[slot].count), tick: wanted)
        slots[slot].append(target)
        armedCount += 1
        startTicking()
    }

    /// Takes the target out; it will not ring.
    package func disarm(_ target: any DeadlineTarget) {
        let place = target.wheelPlace
        guard place.isArmed else {
            target.wheelPlace = .none
            return
        }
        let slot = Int(place.slot)
        let last = slots[slot].count - 1
        if Int(place.position) != last {
            let moved = slots[slot][last]
            slots[slot][Int(place.position)] = moved
            moved.wheelPlace.position = place.position
        }
        slots[slot].removeLast()
        target.wheelPlace = .none
        armedCount -= 1
    }

    /// Rings what is due. The driver's timer calls it; tests call it with a moved clock.
    package func advance(to now: Instant) {
        let target = now.nanoseconds / Self.stepNanoseconds
        guard lastTick < target else { return }
        // After a jump each slot once, still in the order of their ticks.
        let due = lastTick + 1...min(target, lastTick + Int64(Self.slotCount))
        lastTick = target
        for tick in due {
            let slot = Int(tick % Int64(Self.slotCount))
            guard !slots[slot].isEmpty else { continue }
            // Ringing may arm and disarm others: what is due is taken out first.
            let due = slots[slot]
            for waiting in due { waiting.wheelPlace = .due }
            slots[slot].removeAll(keepingCapacity: due.count <= 64)
            armedCount -= due.count
            for waiting in due where waiting.wheelPlace.isDue {
                waiting.wheelPlace = .none
                let next = waiting.deadlinePassed(at: now)
                if next != .never, !waiting.wheelPlace.isArmed { arm(waiting, at: next) }
            }
        }
    }

    /// The slot that begins after the deadline, at least the next one, at most the last one of this round.
    private func tick(of deadline: Instant) -> Int64 {
        let exact = deadline.nanoseconds / Self.stepNanoseconds + 1
        return min(max(exact, lastTick + 1), lastTick + Int64(Self.slotCount) - 1)
    }

    private func startTicking() {
        guard !isTicking else { return }
        isTicking = true
        eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Self.stepNanoseconds)) { [weak self] in
            guard let self else { return }
            self.isTicking = false
            self.advance(to: self.clock())
            if self.armedCount > 0 { self.startTicking() }
        }
    }
}
