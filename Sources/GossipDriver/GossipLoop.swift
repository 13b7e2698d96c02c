/// The driver's heart: everything that happens to a replica's gossip happens here, on one event loop of its own.
///
/// It reads at one sitting: tell the machine, send what it packed, do what it asks for, in order, come back when it says.
/// A replica that is busy with requests must not look dead to others, so nothing else runs on this loop.
import Determinism
import Logging
import Membership
import NIOCore
import NIOPosix
import ReplicaCore
import WireCoding

final class GossipLoop {
    let loop: any EventLoop
    let shared: GossipShared
    let secrets: ClusterSecrets
    let board: KeyBoard
    let directory: DataDirectory
    let files: NIOThreadPool
    let lookup: SeedLookup
    let log: GossipLog
    let hooks: GossipHooks
    let bounds: MembershipBounds
    let source: PeerAddress?
    /// Nil while the system has closed it.
    var socket: DatagramSocket?

    private var machine: ReplicaMachine
    private var clock: GossipClock
    private let startedAt: Instant
    private var outbox = DatagramOutbox()
    private var effects: [ReplicaEffect] = []
    /// What was told while effects were performed: NIO may call back at once.
    private var waiting = CircularBuffer<ReplicaInput>()
    private var isPerforming = false
    private var timer: Scheduled<Void>?
    private var armed = Instant.never
    private var drained = [UInt8](repeating: 0, count: DatagramSocket.bufferBytes)
    private var shownOwn: MemberRecord?
    private(set) var hasEnded = false

    var reader: (any Channel)?
    var listener: (any Channel)?
    var lines: [StreamID: StreamLine] = [:]
    var acceptedNumber: UInt32 = 0
    var writes = PendingWrites()
    /// On the pool's thread now, or waiting for it.
    var begunWrites: PendingWrites?
    var membersChanged = false
    /// Of the last order about keys.
    var refusal: Keyring.Refusal?
    var leavers: [EventLoopPromise<Void>] = []

    /// Datagrams that are read before a tick [ours]: enough to hear everybody, and an end.
    private static let drainedMax = 1_024
    /// A machine that wants to be told again at once waits so long [ours].
    private static let restMin = Nanoseconds.milliseconds(1)

    init(_ parts: GossipParts, shared: GossipShared, machine: ReplicaMachine, clock: GossipClock, startedAt: Instant) {
        loop = parts.loop
        secrets = parts.secrets
        board = parts.board
        directory = parts.directory
        files = parts.files
        lookup = parts.lookup
        log = parts.log
        hooks = parts.hooks
        bounds = parts.bounds
        source = parts.source
        self.shared = shared
        self.machine = machine
        self.clock = clock
        self.startedAt = startedAt
    }

    // MARK: Telling the machine

    func tell(_ input: ReplicaInput) {
        guard !hasEnded else { return }
        guard !isPerforming else { return waiting.append(input) }
        machine.handle(input, at: look(), datagrams: &outbox, into: &effects)
        conclude()
    }

    /// One datagram of a burst; `conclude` follows.
    func receive(_ datagram: UnsafeRawBufferPointer, from source: PeerAddress) {
        guard !hasEnded else { return }
        shared.counters.add {
            $0.datagramsReceived += 1
            $0.datagramBytesReceived += datagram.count
        }
        machine.receive(datagram, from: source, at: look(), datagrams: &outbox, into: &effects)
    }

    /// Sends, performs, publishes, and arms the timer.
    func conclude() {
        guard !isPerforming else { return }
        isPerforming = true
        sendAndPerform()
        while let input = waiting.popFirst(), !hasEnded {
            machine.handle(input, at: look(), datagrams: &outbox, into: &effects)
            sendAndPerform()
        }
        isPerforming = false
        publishMembers()
        arm()
    }

    private func sendAndPerform() {
        send()
        var place = 0
        while place < effects.count {
            perform(effects[place])
            place += 1
        }
        effects.removeAll(keepingCapacity: true)
    }

    /// Nil when the ring took it.
    func order(_ command: KeyringCommand) -> Keyring.Refusal? {
        refusal = nil
        tell(.keyring(command))
        return refusal
    }

    // MARK: Datagrams

    private func send() {
        guard !outbox.isEmpty else { return }
        var sent = 0
        var bytes = 0
        var lost = 0
        for entry in outbox.entries {
            switch outbox.withDatagram(entry, { socket?.send($0, to: entry.to) ?? .lost }) {
            case .sent:
                sent += 1
                bytes += entry.count
            case .tooLong: dropped(.mtu, entry.to)
            case .lost: lost += 1
            }
        }
        outbox.removeAll()
        shared.counters.add {
            $0.datagramsSent += sent
            $0.datagramBytesSent += bytes
            $0.datagramsLost += lost
        }
    }

    func dropped(_ reason: DropReason, _ source: PeerAddress) {
        shared.counters.add { $0.drop(reason) }
        log.dropped(reason, source)
    }

    // MARK: Time

    /// `now`, after the machine was told if the clocks broke.
    private func look() -> Instant {
        let (now, broke) = clock.look()
        guard broke != .none else { return now }
        let wall = clock.wallMilliseconds(at: now)
        machine.handle(.wall(milliseconds: wall), at: now, datagrams: &outbox, into: &effects)
        if broke == .gap {
            log.clockBroke()
            machine.handle(.membership(.clockBroke), at: now, datagrams: &outbox, into: &effects)
        }
        return now
    }

    /// A timer that rings too early looks again; only one that would ring too late is replaced.
    private func arm() {
        let deadline = machine.nextDeadline
        guard !hasEnded, deadline != .never, deadline < armed else { return }
        let delay = max(deadline.span(since: clock.now), Self.restMin)
        timer?.cancel()
        armed = deadline
        timer = loop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.rawValue)) { self.ring() }
    }

    private func ring() {
        timer = nil
        armed = .never
        guard !hasEnded else { return }
        // What was said while this process stood still must be heard before anybody is judged.
        drain()
        let now = look()
        if now >= machine.nextDeadline {
            machine.handle(.membership(.tick), at: now, datagrams: &outbox, into: &effects)
        }
        conclude()
    }

    private func drain() {
        guard let socket else { return }
        for _ in 0..<Self.drainedMax {
            let more = drained.withUnsafeMutableBytes { buffer in
                guard let (count, source) = socket.receive(into: buffer) else { return false }
                receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]), from: source)
                return true
            }
            if !more { return }
        }
    }

    // MARK: Views

    func inspect() -> GossipInspection { GossipInspection(machine.membership, at: clock.now) }

    private func publishMembers() {
        guard membersChanged || shownOwn != machine.membership.own else { return }
        membersChanged = false
        shownOwn = machine.membership.own
        let view = MembersView(
            own: machine.membership.own, others: machine.membership.members,
            reachedByOthersOnly: machine.membership.table.slots.filter(\.isReachedByOthersOnly).map(\.member.short),
            udpBlocked: machine.membership.table.slots.filter(\.isUDPBlocked).map(\.member.short),
            startedAt: startedAt, unixMillisecondsAtZero: clock.wallMilliseconds(at: .zero))
        shared.members.publish(view)
        hooks.membersChanged(view)
        rememberMembers(view)
    }

    func end() {
        hasEnded = true
        timer?.cancel()
        timer = nil
        for (_, line) in lines { line.stream.abandon() }
        lines.removeAll()
        for leaver in leavers { leaver.succeed() }
        leavers.removeAll()
        shared.end()
    }
}
