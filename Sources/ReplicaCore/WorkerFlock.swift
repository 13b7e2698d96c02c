/// What the flock knows besides its members: whose word on a worker counts, how busy workers are with the exchanges of
/// others, what operators ordered, which addresses are blocked, and the rings that all compute alike.
///
/// Like every machine it is told things and asked afterwards. Inputs only note; `advance(at:)` draws the conclusions and is
/// called after each batch of inputs, and when `nextDeadline` has come. Then whatever is to be taken is taken.
package import Balancing
package import Determinism
import Membership
import Placement
package import RateLimiting
package import WireCoding

package struct WorkerFlock: Sendable {
    /// A message for all members, with the packer's lane.
    package struct News: Hashable, Sendable {
        package let message: Message
        package let lane: UInt8
    }

    /// What happened, for logs and counters.
    package enum Fact: Hashable, Sendable {
        /// A peer holds other rings for longer than it should, or no longer.
        case ringDisagreement(ReplicaShortID, Bool)
        /// The words of others would take away more than half of a model's workers, or no longer.
        case panic(model: UInt64, Bool)
        /// Somebody's wall clock is this far ahead of the one here.
        case clockAhead(ReplicaShortID, milliseconds: UInt64)
    }

    struct Probe: Sendable {
        /// Somebody said that the worker is down, and it was not looked at since.
        var isAccused = false
        var due = Instant.never
        /// Until then nobody is asked again.
        var openUntil = Instant.zero
    }

    /// Rings may differ this long without anybody being told [ours]: layouts wait up to a second.
    package static let ringPatience = Nanoseconds.seconds(2)
    /// Within this an answer is due, and until then no second probe is asked for.
    package static let probeWithin = Nanoseconds.milliseconds(250)
    /// Sums of loads are published this far apart while they change, and while they fall [ours].
    package static let loadsEvery = Nanoseconds.milliseconds(50)
    package static let fallsEvery = Nanoseconds.milliseconds(250)

    /// Facts that wait to be taken.
    static let factsMax = 64

    package internal(set) var nextDeadline = Instant.never

    var me: ReplicaShortID
    var members = FlockMembers()
    var ring = ReplicaRing.empty
    var debounce = RingDebounce()
    /// Sorted by `short`, each once; `rows` of all tables and `view.workers` have the same positions.
    var workers: [RingedWorker] = []
    var models: [(key: UInt64, positions: [Int])] = []
    var workerRing: UInt64 = 0
    var observations: WorkerObservations
    var monitors = WorkerMonitors()
    var probes: [Probe] = []
    var othersLoads = FlockLoads()
    var reports = LoadReports()
    var orders = WorkerOrders()
    var blocks: AddressBlocks
    var view = FlockView()
    private var clock = HybridClock()
    private var wall: (milliseconds: UInt64, at: Instant) = (0, .zero)

    // What `advance` has to look at.
    var seatsAreStale = false
    var verdictsAreStale = false
    var wordsChanged = false
    var ordersChanged = false
    var blocksChanged = false
    var viewChanged = false
    /// When verdicts change by themselves.
    var verdictsUntil = Instant.never
    var probesDue = Instant.never
    var loadsDue = Instant.never
    var loadsSummed: Instant?

    // What is to be taken.
    var outgoing: [News] = []
    var probesWanted: [WorkerShortID] = []
    var facts: [Fact] = []
    private var report: [WorkerLoadNews] = []

    /// `epoch`: the own incarnation at the start. Words of an earlier process must never beat those of this one.
    package init(me: ReplicaShortID, epoch: UInt32, blocks: AddressBlocks.Bounds = AddressBlocks.Bounds()) {
        self.me = me
        observations = WorkerObservations(me: me, firstEpoch: epoch)
        self.blocks = AddressBlocks(bounds: blocks)
    }

    // MARK: Told

    /// The wall clock; between two tellings it is taken to run like `now`. Only stamps need it.
    package mutating func setWall(milliseconds: UInt64, at now: Instant) { wall = (milliseconds, now) }

    /// Seen here, by a probe or an exchange. Told at each change, again at each further failure, and when a probe that was
    /// asked for by `takeProbes` has its answer.
    package mutating func observed(_ worker: WorkerShortID, _ condition: WorkerCondition, at now: Instant) {
        guard let position = observations.position(of: worker) else { return }
        let (state, reason) = condition.said
        if let news = observations.observe(worker, state, reason: reason, at: now) {
            send(.workerHealth(news))
            wordsChanged = true
        }
        if state == .healthy || state == .down { probes[position] = Probe() }
        verdictsAreStale = true
    }

    /// All workers on which anything of this replica runs or waits; absolute.
    package mutating func loads(_ loads: [WorkerLoadNews], at now: Instant) { reports.update(loads, at: now) }

    package mutating func order(_ worker: WorkerShortID, _ order: WorkerOrderNews.Order, at now: Instant) {
        let news = orders.give(
            order, to: worker, by: me, clock: &clock, wallMilliseconds: wallMilliseconds(at: now), at: now)
        send(.workerOrder(news))
        ordersChanged = true
    }

    /// By an operator here, or a rule. Stamp, origin and age are filled in. False: not a range that can be blocked.
    @discardableResult
    package mutating func block(_ block: AddressBlockNews, at now: Instant) -> Bool {
        let wall = wallMilliseconds(at: now)
        guard let news = blocks.act(block, by: me, clock: &clock, wallMilliseconds: wall, at: now) else { return false }
        send(.addressBlock(news))
        blocksChanged = true
        return true
    }

    /// Any message of a peer, by packet or stream; those of other rooms are ignored. True: it changed something and is to be
    /// passed on like a rumour, in `lane(of:)`.
    @discardableResult
    package mutating func merge(
        _ message: Message, from peer: ReplicaShortID, session: SessionID, counter: UInt64, at now: Instant
    ) -> Bool {
        switch message {
        case .workerHealth(let news): return merge(news, at: now)
        case .workerLoad(let loads):
            // Loads are the sender's own: those of another process of it are not what it has now.
            guard peer != me, members[peer]?.session == session else { return false }
            var isNew = false
            for load in loads {
                isNew = othersLoads.merge(load, from: peer, session: session, counter: counter, at: now) || isNew
            }
            if isNew { sumLoads(notBefore: now) }
            return false
        case .addressBlock(let news):
            guard blocks.merge(news, at: now) == .taken else { return false }
            blocksChanged = true
            observe(news.stamp, from: peer, at: now)
            return true
        case .workerOrder(let news):
            guard orders.merge(news, at: now) == .taken else { return false }
            ordersChanged = true
            observe(news.stamp, from: peer, at: now)
            return true
        case .views(let theirs):
            let mine = views
            let differs = mine.replicaRing != theirs.replicaRing || mine.workerRing != theirs.workerRing
            if let told = members.note(peer, differs: differs, patience: Self.ringPatience, at: now) {
                note(.ringDisagreement(peer, told))
                view.disagreeing = members.disagreeing
                viewChanged = true
            }
            return false
        default: return false
        }
    }

    private mutating func merge(_ news: WorkerHealthNews, at now: Instant) -> Bool {
        if news.observer == me {
            if let answer = observations.answer(news, at: now) {
                send(.workerHealth(answer))
                wordsChanged = true
            }
            return false
        }
        // A word of somebody who is gone counts for nothing, and the table is that of those who are here.
        guard members.isPresent(news.observer), observations.merge(news, at: now) else { return false }
        if news.state == .down, let position = observations.position(of: news.worker) {
            probes[position].isAccused = true
        }
        wordsChanged = true
        verdictsAreStale = true
        return true
    }

    private mutating func observe(_ stamp: UInt64, from peer: ReplicaShortID, at now: Instant) {
        let seen = clock.observe(stamp, wallMilliseconds: wallMilliseconds(at: now))
        if case .tooFarAhead(let milliseconds) = seen {
            note(.clockAhead(peer, milliseconds: milliseconds))
        }
    }

    private func wallMilliseconds(at now: Instant) -> UInt64 {
        let passed = now.span(since: wall.at).wholeMilliseconds
        return passed < 0 ? wall.milliseconds : wall.milliseconds.addingReportingOverflow(UInt64(passed)).partialValue
    }

    // MARK: Asked

    /// For pings.
    package var views: Views {
        Views(
            replicaRing: Self.low(ring.version), workerRing: Self.low(workerRing),
            workerHealth: Self.low(observations.hash), addressBlocks: Self.low(blocks.hash &+ orders.hash))
    }

    /// A peer with these views knows something that this replica does not, or the other way round. Of words on workers that
    /// is said only while both have the same workers: else they would never agree, and sync for ever.
    package func wantsSync(with theirs: Views) -> Bool {
        let mine = views
        if mine.addressBlocks != theirs.addressBlocks { return true }
        return mine.workerRing == theirs.workerRing && mine.workerHealth != theirs.workerHealth
    }

    /// Blocks, orders and words on workers, with their ages.
    package func recordsForSync(at now: Instant) -> [Message] {
        blocks.news(at: now).map(Message.addressBlock) + orders.news(at: now).map(Message.workerOrder)
            + observations.news.map(Message.workerHealth)
    }

    /// Bad news of a worker is as urgent as an order; good news and loads repeat themselves.
    package static func lane(of message: Message) -> UInt8 {
        switch message {
        case .workerHealth(let news): news.state == .down || news.state == .degraded ? 3 : 5
        case .addressBlock, .workerOrder: 3
        default: 5
        }
    }

    private static func low(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash) }

    // MARK: Taken after `advance`

    package mutating func takeOutgoing() -> [News] { take(&outgoing) }

    /// Workers to be probed here and now, within `probeWithin`: somebody else says that they are down, or that one which was
    /// seen down here is well again.
    package mutating func takeProbes() -> [WorkerShortID] { take(&probesWanted) }

    package mutating func takeFacts() -> [Fact] { take(&facts) }

    /// Nil when nothing has changed since.
    package mutating func takeView() -> FlockView? {
        guard viewChanged else { return nil }
        viewChanged = false
        return view
    }

    private func take<Element>(_ list: inout [Element]) -> [Element] {
        guard !list.isEmpty else { return [] }
        defer { list.removeAll() }
        return list
    }

    func news(_ message: Message) -> News { News(message: message, lane: Self.lane(of: message)) }

    mutating func send(_ message: Message) { outgoing.append(news(message)) }

    /// One message for each worker: a newer one takes the older one's place in the queue of news, and an old one never follows it
    /// in a later packet.
    mutating func sendLoads(at now: Instant) {
        reports.take(at: now, into: &report)
        for load in report { send(.workerLoad([load])) }
        report.removeAll(keepingCapacity: true)
    }

    mutating func note(_ fact: Fact) {
        if facts.count < Self.factsMax { facts.append(fact) }
    }

    mutating func sumLoads(notBefore now: Instant) {
        loadsDue = min(loadsDue, max(now, loadsSummed.map { $0 + Self.loadsEvery } ?? now))
    }
}
