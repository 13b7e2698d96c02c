/// What replicas tell one another. One case is one TLV of a packet or of a stream's records; `Message+Coding` has the bytes.
import Determinism

package enum Message: Hashable, Sendable {
    case ping(Ping)
    case ack(Ack)
    case indirectPing(IndirectPing)
    case nack(Nack)
    case member(MemberRecord)
    case state(StateNews)
    case leave(LeaveNews)
    case workerHealth(WorkerHealthNews)
    case views(Views)
    /// At most `WorkerLoadNews.countMax`.
    case workerLoad([WorkerLoadNews])
    case addressBlock(AddressBlockNews)
    /// Counters of packets that arrived; at most `Message.receiptsMax`.
    case receipt([UInt64])
    case removed(RemovedNews)
    case misdelivered(Misdelivered)
    /// The hash of the sender's ring of keys.
    case keyringNotice(UInt64)
    /// On streams: a record with the seconds since its last change.
    case agedMember(age: UInt32, MemberRecord)
    case workerOrder(WorkerOrderNews)

    package static let receiptsMax = 16
}

package struct Ping: Hashable, Sendable {
    package var probe: UInt32
    /// 0 … 2.
    package var attempt: UInt8
    /// Sent by a helper for the one who probes.
    package var isOnBehalf: Bool

    package init(probe: UInt32, attempt: UInt8, isOnBehalf: Bool = false) {
        self.probe = probe
        self.attempt = attempt
        self.isOnBehalf = isOnBehalf
    }
}

package struct Ack: Hashable, Sendable {
    package var probe: UInt32
    package var attempt: UInt8
    package var isOnBehalf: Bool
    /// How late the answerer's loop runs, in milliseconds, saturated.
    package var lagMilliseconds: UInt16

    package init(probe: UInt32, attempt: UInt8, isOnBehalf: Bool = false, lagMilliseconds: UInt16 = 0) {
        self.probe = probe
        self.attempt = attempt
        self.isOnBehalf = isOnBehalf
        self.lagMilliseconds = lagMilliseconds
    }
}

package struct IndirectPing: Hashable, Sendable {
    package var probe: UInt32
    package var target: ReplicaShortID
    /// Until when the helper may try, in milliseconds from its receipt.
    package var budgetMilliseconds: UInt16

    package init(probe: UInt32, target: ReplicaShortID, budgetMilliseconds: UInt16) {
        self.probe = probe
        self.target = target
        self.budgetMilliseconds = budgetMilliseconds
    }
}

package struct Nack: Hashable, Sendable {
    package enum Reason: UInt8, Sendable, CaseIterable {
        case silent = 0
        case unknown = 1
        case refused = 2
    }
    package var probe: UInt32
    package var target: ReplicaShortID
    package var reason: Reason

    package init(probe: UInt32, target: ReplicaShortID, reason: Reason) {
        self.probe = probe
        self.target = target
        self.reason = reason
    }
}

/// What `accuser` says of `subject` in that life.
package struct StateNews: Hashable, Sendable {
    package var subject: ReplicaShortID
    /// Of the session that is meant: two sessions may have one incarnation, and news must not cross between them.
    package var life: UInt32
    package var incarnation: Incarnation
    package var status: MemberStatus
    /// A connection was refused: the host is there, the process gone.
    package var isRefused: Bool
    package var accuser: ReplicaShortID

    package init(
        subject: ReplicaShortID, life: UInt32, incarnation: Incarnation, status: MemberStatus, isRefused: Bool = false,
        accuser: ReplicaShortID
    ) {
        self.subject = subject
        self.life = life
        self.incarnation = incarnation
        self.status = status
        self.isRefused = isRefused
        self.accuser = accuser
    }
}

package struct LeaveNews: Hashable, Sendable {
    package var subject: ReplicaShortID
    package var incarnation: Incarnation
    package var session: SessionID

    package init(subject: ReplicaShortID, incarnation: Incarnation, session: SessionID) {
        self.subject = subject
        self.incarnation = incarnation
        self.session = session
    }
}

/// How a worker is called between replicas: a hash of its id.
package struct WorkerShortID: Hashable, Comparable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The low half of `StableHash64`: replicas that have the same id compute the same, and settings with two workers
    /// that share one are refused.
    package init(of id: String) { rawValue = UInt32(truncatingIfNeeded: StableHash64.hash(id)) }

    package static func < (left: WorkerShortID, right: WorkerShortID) -> Bool { left.rawValue < right.rawValue }
}

/// One observer's word on a worker. Codes of `state` and `reason` are `Balancing`'s.
package struct WorkerHealthNews: Hashable, Sendable {
    package enum State: UInt8, Sendable, CaseIterable {
        case loading = 0
        case healthy = 1
        case degraded = 2
        case draining = 3
        case down = 4
    }
    package var worker: WorkerShortID
    package var observer: ReplicaShortID
    /// Raised by the observer at each change of state.
    package var epoch: UInt32
    package var state: State
    package var reason: UInt8
    package var running: UInt16
    package var waiting: UInt16
    package var cachePercent: UInt8
    package var memoryPressure: UInt8
    package var firstTokenMilliseconds: UInt16

    package init(
        worker: WorkerShortID, observer: ReplicaShortID, epoch: UInt32, state: State, reason: UInt8 = 0,
        running: UInt16 = 0, waiting: UInt16 = 0, cachePercent: UInt8 = 0, memoryPressure: UInt8 = 0,
        firstTokenMilliseconds: UInt16 = 0
    ) {
        self.worker = worker
        self.observer = observer
        self.epoch = epoch
        self.state = state
        self.reason = reason
        self.running = running
        self.waiting = waiting
        self.cachePercent = cachePercent
        self.memoryPressure = memoryPressure
        self.firstTokenMilliseconds = firstTokenMilliseconds
    }
}

/// The sender's views as hashes: what differs for long is fetched, or shown.
package struct Views: Hashable, Sendable {
    package var replicaRing: UInt32
    package var workerRing: UInt32
    package var workerHealth: UInt32
    package var addressBlocks: UInt32

    package init(replicaRing: UInt32 = 0, workerRing: UInt32 = 0, workerHealth: UInt32 = 0, addressBlocks: UInt32 = 0) {
        self.replicaRing = replicaRing
        self.workerRing = workerRing
        self.workerHealth = workerHealth
        self.addressBlocks = addressBlocks
    }
}

/// What the sender itself has on a worker now, absolute values.
package struct WorkerLoadNews: Hashable, Sendable {
    package static let countMax = 64

    package var worker: WorkerShortID
    package var running: UInt16
    package var queued: UInt16
    package var promptTokens: UInt32
    package var outputTokens: UInt32

    package init(
        worker: WorkerShortID, running: UInt16, queued: UInt16, promptTokens: UInt32, outputTokens: UInt32
    ) {
        self.worker = worker
        self.running = running
        self.queued = queued
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
    }
}

/// A temporary block of an address range, or its end.
package struct AddressBlockNews: Hashable, Sendable {
    /// 0 … 128, of the mapped form.
    package var prefixLength: UInt8
    package var isCleared: Bool
    package var reason: UInt16
    package var high: UInt64
    package var low: UInt64
    /// Hybrid logical stamp of the act.
    package var stamp: UInt64
    package var origin: ReplicaShortID
    package var durationSeconds: UInt32
    package var ageSeconds: UInt32

    package init(
        prefixLength: UInt8, isCleared: Bool, reason: UInt16, high: UInt64, low: UInt64, stamp: UInt64,
        origin: ReplicaShortID, durationSeconds: UInt32, ageSeconds: UInt32
    ) {
        self.prefixLength = prefixLength
        self.isCleared = isCleared
        self.reason = reason
        self.high = high
        self.low = low
        self.stamp = stamp
        self.origin = origin
        self.durationSeconds = durationSeconds
        self.ageSeconds = ageSeconds
    }
}

/// An operator's word that a session is gone for good.
package struct RemovedNews: Hashable, Sendable {
    /// Random; names the act.
    package var tombstone: UInt64
    package var id: ReplicaID
    package var session: SessionID
    package var by: ReplicaShortID
    package var ageSeconds: UInt32
    /// Hide it from lists and from the arithmetic of limits as well.
    package var isPruned: Bool

    package init(
        tombstone: UInt64, id: ReplicaID, session: SessionID, by: ReplicaShortID, ageSeconds: UInt32, isPruned: Bool
    ) {
        self.tombstone = tombstone
        self.id = id
        self.session = session
        self.by = by
        self.ageSeconds = ageSeconds
        self.isPruned = isPruned
    }
}

/// «You looked for `sought` here, but this is `mine`.»
package struct Misdelivered: Hashable, Sendable {
    package var sought: ReplicaShortID
    package var mine: ReplicaShortID
    package var session: SessionID

    package init(sought: ReplicaShortID, mine: ReplicaShortID, session: SessionID) {
        self.sought = sought
        self.mine = mine
        self.session = session
    }
}

/// What an operator ordered about a worker on one replica, for all of them. The greatest (stamp, origin) holds.
package struct WorkerOrderNews: Hashable, Sendable {
    package enum Order: UInt8, Sendable, CaseIterable {
        case resume = 0
        case drain = 1
        /// Out of the registry until `resume`.
        case remove = 2
    }
    package var worker: WorkerShortID
    package var order: Order
    package var stamp: UInt64
    package var origin: ReplicaShortID
    package var ageSeconds: UInt32

    package init(
        worker: WorkerShortID, order: Order, stamp: UInt64, origin: ReplicaShortID, ageSeconds: UInt32
    ) {
        self.worker = worker
        self.order = order
        self.stamp = stamp
        self.origin = origin
        self.ageSeconds = ageSeconds
    }
}
