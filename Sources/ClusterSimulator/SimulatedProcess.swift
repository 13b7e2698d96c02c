import Determinism
import Membership
import ReplicaCore
import WireCoding

/// A process, its machine and what it stands on.
///
/// A class, since an array of such large values would copy one for each look at one of its fields.
final class SimulatedProcess {
    enum State: UInt8, Sendable { case down, running, paused }

    /// What waits while it is busy or paused: a socket's buffer, 212,992 bytes on Linux, holds some hundreds of packets.
    static let packetsWaitingMax = 256
    static let inboxMax = 4_096
    /// From one input to the next, when nothing slows it down [ours].
    static let usualCost = Nanoseconds.microseconds(5)

    /// The machine stands alone in its box for the same reason.
    final class Replica {
        var machine: ReplicaMachine
        init(_ machine: ReplicaMachine) { self.machine = machine }
    }

    var replica: Replica?
    var state = State.down
    /// How often it was started. 0: never.
    var life: UInt32 = 0
    /// 0 is the flock that is tested, 1 another cluster.
    let cluster: UInt8
    /// Part of its address.
    var host: Int
    /// As others see its packets come from; a middlebox may change it.
    var sourcePort: UInt16 = Hosts.port
    var clock: SimulatedClock
    var disk = SimulatedDisk()
    /// Whom it knew when it ended.
    var known: [PeerAddress] = []
    var refusesWhenDown = true

    var inbox = BoundedQueue<WorldEvent>(bound: inboxMax)
    var packetsWaiting = 0
    var isTickDue = false
    var busyUntil = Instant.zero
    var slowness = 1
    /// When its timer was set to, in the world's time.
    var armedAt = Instant.never
    /// The deadline that the timer was set for, on its own clock.
    var armedFor = Instant.never
    /// Writes are synced in their order.
    var syncedAfter = Instant.zero
    /// What its machine said last, on its own clock: for all of it, and for membership.
    var deadline = Instant.never
    var membershipDeadline = Instant.never
    /// Ends in the middle of the next batch of effects.
    var crash: Crash?
    /// Until when it is paused, by the longest of its pauses.
    var pausedUntil = Instant.zero
    var streams: [(id: StreamID, pipe: UInt32)] = []
    var acceptedCount: UInt32 = 0
    /// It was told to leave, and starts again so long after.
    var leave: (line: Int, restartAfter: Nanoseconds?)?
    /// An operator ended it for good: the liveness phase does not start it.
    var isGoneForGood = false

    init(cluster: UInt8, host: Int, clock: SimulatedClock) {
        self.cluster = cluster
        self.host = host
        self.clock = clock
    }

    struct Crash: Sendable {
        var disk: Trouble.DiskFate
        var host: Trouble.HostFate
        var restartAfter: Nanoseconds?
        var isForGood = false
    }

    var isUp: Bool { state != .down }
    var address: PeerAddress { Hosts.address(host) }
}

/// Numbers of hosts as addresses, and back.
enum Hosts {
    static let port: UInt16 = 7_946

    static func address(_ host: Int, port: UInt16 = port) -> PeerAddress {
        PeerAddress(ipv4: 0x0a00_0001 + UInt32(host), port: port)
    }

    static func host(_ address: PeerAddress) -> Int? {
        guard let ipv4 = address.ipv4, ipv4 > 0x0a00_0000 else { return nil }
        return Int(ipv4 - 0x0a00_0001)
    }
}
