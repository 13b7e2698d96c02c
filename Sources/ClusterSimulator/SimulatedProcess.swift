import Determinism
import Membership
import ReplicaCore
import WireCoding

/// A process, its machine and what it stands on.
struct SimulatedProcess {
    enum State: UInt8, Sendable {
        case down, running, paused
        var isUp: Bool { self != .down }
    }

    /// What waits while it is busy or paused: a socket's buffer, 212,992 bytes on Linux, holds some hundreds of packets.
    static let packetsWaitingMax = 256
    static let inboxMax = 4_096
    /// From one input to the next, when nothing slows it down [ours].
    static let usualCost = Nanoseconds.microseconds(5)

    /// The machine, at a place of its own: to ask it something must not copy it.
    final class Replica {
        let machine: UnsafeMutablePointer<ReplicaMachine>

        init(_ machine: ReplicaMachine) {
            self.machine = .allocate(capacity: 1)
            self.machine.initialize(to: machine)
        }

        deinit {
            machine.deinitialize(count: 1)
            machine.deallocate()
        }
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

    var address: PeerAddress { Hosts.address(host) }
}

/// All processes of a world, at fixed places.
///
/// Not an array: asking one field of such a large value would copy all of it, which is a third of a world's time.
struct Processes {
    private final class Storage {
        let places: UnsafeMutableBufferPointer<SimulatedProcess>

        init(_ processes: [SimulatedProcess]) {
            places = .allocate(capacity: processes.count)
            _ = places.initialize(from: processes)
        }

        deinit { places.deinitialize().deallocate() }
    }

    private let storage: Storage
    private let places: UnsafeMutableBufferPointer<SimulatedProcess>

    init(_ processes: [SimulatedProcess]) {
        storage = Storage(processes)
        places = storage.places
    }

    var count: Int { places.count }
    var indices: Range<Int> { places.indices }

    subscript(place: Int) -> SimulatedProcess {
        @inline(__always) _read { yield places[place] }
        @inline(__always) nonmutating _modify { yield &places[place] }
    }
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
