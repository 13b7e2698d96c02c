/// What the flock knows besides its members: whose word on a worker counts, how busy workers are with the exchanges of
/// others, what operators ordered, which addresses are blocked, and the rings that all compute alike.
///
/// Like every machine it is told things and asked afterwards. Inputs only note; `advance(at:)` draws the conclusions and is
/// called after each batch of inputs, and when `nextDeadline` has come. Then whatever is to be taken is taken.
package import Balancing
package import Determinism
package import Membership
package import WireCoding

package struct WorkerFlock: Sendable {
    /// A message for all members, with the packer's lane.
    package struct News: Hashable, Sendable {
        package let message: Message
        package let lane: UInt8
    }

    package private(set) var nextDeadline = Instant.never

    /// `epoch`: the own incarnation at the start. Words of an earlier process must never beat those of this one.
    package init(me: ReplicaShortID, epoch: UInt32) {}

    // MARK: Told

    /// The replica speaks as another from now on.
    package mutating func becomes(_ me: ReplicaShortID, at now: Instant) {}

    /// The wall clock; between two tellings it is taken to run like `now`. Only stamps need it.
    package mutating func setWall(milliseconds: UInt64, at now: Instant) {}

    package mutating func configure(_ workers: [RingedWorker], at now: Instant) {}

    /// What membership shows of a member has changed, the own record included.
    package mutating func memberChanged(_ member: Member, at now: Instant) {}

    package mutating func memberForgotten(_ member: ReplicaShortID, at now: Instant) {}

    /// Seen here, by a probe or an exchange. Told at each change, and again when a probe that was asked for by `takeProbes`
    /// has its answer.
    package mutating func observed(_ worker: WorkerShortID, _ condition: WorkerCondition, at now: Instant) {}

    /// All workers on which anything of this replica runs or waits; absolute.
    package mutating func loads(_ loads: [WorkerLoadNews], at now: Instant) {}

    package mutating func order(_ worker: WorkerShortID, _ order: WorkerOrderNews.Order, at now: Instant) {}

    /// By an operator here, or a rule. Stamp, origin and age are filled in. False: not a range that can be blocked.
    @discardableResult
    package mutating func block(_ block: AddressBlockNews, at now: Instant) -> Bool { false }

    /// Any message of a peer, by packet or stream; those of other rooms are ignored. True: it changed something and is to be
    /// passed on like a rumour, in `lane(of:)`.
    @discardableResult
    package mutating func merge(
        _ message: Message, from peer: ReplicaShortID, session: SessionID, counter: UInt64, at now: Instant
    ) -> Bool { false }

    package mutating func advance(at now: Instant) {}

    // MARK: Asked

    /// For pings.
    package var views: Views { Views() }

    /// A peer with these views knows something that this replica does not, or the other way round. Of words on workers that
    /// is said only while both have the same workers: else they would never agree, and sync for ever.
    package func wantsSync(with theirs: Views) -> Bool { false }

    /// Blocks, orders and words on workers, with their ages.
    package func recordsForSync(at now: Instant) -> [Message] { [] }

    package static func lane(of message: Message) -> UInt8 { 5 }

    // MARK: Taken after `advance`

    package mutating func takeOutgoing() -> [News] { [] }

    /// Workers to be probed here and now, within a quarter of a second: somebody else says that they are down.
    package mutating func takeProbes() -> [WorkerShortID] { [] }

    /// Nil when nothing has changed since.
    package mutating func takeView() -> FlockView? { nil }
}
