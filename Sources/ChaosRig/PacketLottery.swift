/// Draws what happens to each packet of one directed link. All of a link's chance comes from its own generator, so a packet
/// more on one link changes nothing on another, and the same seed and packets give the same fates.
///
/// As many numbers are drawn for each packet whatever the faults are: turning one on does not shift the others.
import Determinism
import Foundation

package struct PacketLottery: Sendable {
    package enum Fate: Equatable, Sendable {
        case dropped(Reason)
        case passed(Copy, again: Copy?)
    }

    package enum Reason: String, CaseIterable, Sendable { case blocked, loss, burst, queue }

    package struct Copy: Equatable, Sendable {
        package var delayNanoseconds: Int64
        package var damage: Damage
    }

    package enum Damage: Equatable, Sendable {
        case none
        /// Turned bits, counted over the packet.
        case bits(Int, Int)
        /// What is left of it.
        case cut(Int)
    }

    private var generator: SeededGenerator
    private var isInBurst = false
    /// When the link has sent what it was given before, on the clock of `now`.
    private var freeAt: Int64 = 0

    package init(seed: UInt64, from: String, to: String) {
        var hash = StableHash64(seed: seed)
        hash.update(UInt64(from.utf8.count))
        hash.update(from)
        hash.update(to)
        generator = SeededGenerator(seed: hash.digest())
    }

    package mutating func draw(_ faults: DatagramFaults, bytes: Int, nowNanoseconds now: Int64) -> Fate {
        let lost = generator.chance(faults.loss)
        let turn = generator.fraction()
        let lostInBurst = generator.chance(faults.burst?.loss ?? 0)
        let isDoubled = generator.chance(faults.duplicate)
        let first = copy(faults, bytes: bytes)
        let second = copy(faults, bytes: bytes)
        guard !faults.isBlocked else { return .dropped(.blocked) }
        if let burst = faults.burst {
            isInBurst = isInBurst ? turn >= burst.ends : turn < burst.begins
            if isInBurst, lostInBurst { return .dropped(.burst) }
        } else {
            isInBurst = false
        }
        guard !lost else { return .dropped(.loss) }
        guard let queued = queue(faults.rate, bytes, now) else { return .dropped(.queue) }
        return .passed(first.later(queued), again: isDoubled ? second.later(queued) : nil)
    }

    private mutating func copy(_ faults: DatagramFaults, bytes: Int) -> Copy {
        let jitter = Self.exponential(generator.fraction()) * faults.jitterMilliseconds
        let isHeld = generator.chance(faults.reorder)
        let held = DatagramFaults.reorderHeldMilliseconds
        let hold = held.lowerBound + generator.fraction() * (held.upperBound - held.lowerBound)
        let isDamaged = generator.chance(faults.corrupt)
        let kind = generator.below(4)
        let (one, two) = (generator.next(), generator.next())
        let milliseconds = min(
            faults.delayMilliseconds + jitter + (isHeld ? hold : 0), DatagramFaults.delayMillisecondsMax)
        var copy = Copy(delayNanoseconds: Int64(milliseconds * 1e6), damage: .none)
        if isDamaged, bytes > 0 {
            let bits = UInt64(bytes * 8)
            copy.damage = kind == 0 ? .cut(Int(one % UInt64(bytes))) : .bits(Int(one % bits), Int(two % bits))
        }
        return copy
    }

    /// How long it waits for those before it and its own sending; nil when the queue is full.
    private mutating func queue(_ rate: Int, _ bytes: Int, _ now: Int64) -> Int64? {
        guard rate > 0 else {
            freeAt = 0
            return 0
        }
        let begins = max(now, freeAt)
        guard Double(begins - now) <= DatagramFaults.queuedSecondsMax * 1e9 else { return nil }
        freeAt = begins + Int64(Double(bytes) / Double(rate) * 1e9)
        return freeAt - now
    }

    /// Of mean 1; at most 37 with 53 random bits.
    private static func exponential(_ fraction: Double) -> Double { -log(1 - fraction) }
}

extension PacketLottery.Copy {
    func later(_ nanoseconds: Int64) -> Self { Self(delayNanoseconds: delayNanoseconds + nanoseconds, damage: damage) }
}
