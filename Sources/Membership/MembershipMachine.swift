package import Determinism
package import WireCoding

/// Who is here and who is gone: SWIM (Das, Gupta and Motivala, 2002) with Lifeguard (Dadgar, Phillips and Currey, 2018).
///
/// A lone accuser may itself be the slow one. So an accusation is cheap and fast, a death needs a second opinion or a
/// long wait, the accused can always answer, and a replica that notices its own lateness stops judging others.
///
/// Start reading here, then `+Packets` (what a packet says), `+Probe`, `+Merge`, `+Suspicion`, `+Spread`, `+Join`, `+Sync`,
/// `+Own` and `+Leave`.
package struct MembershipMachine: Sendable {
    enum Phase: Hashable, Sendable {
        /// The incarnation is not durable yet: no packet may leave (M2).
        case starting
        case joining
        /// Part of the flock, or a flock of one.
        case member
        case leaving(until: Instant)
        case ended
    }

    package let timing: MembershipTiming
    package let bounds: MembershipBounds
    let hasSeeds: Bool
    let unixSecondsAtZero: Int64
    var generator: SeededGenerator

    // This replica
    package internal(set) var own: MemberRecord {
        didSet {
            ownTerm = DigestTerm.of(own)
            ownChanges &+= 1
        }
    }
    /// How often `own` was set: who has seen it at this number has seen the last of it.
    package private(set) var ownChanges: UInt64 = 0
    /// What it adds to the digest that is in every packet.
    package private(set) var ownTerm: UInt64
    var phase = Phase.starting { didSet { maySpeak = phase != .starting && phase != .ended } }
    /// True once packets may leave.
    package private(set) var maySpeak = false
    /// A record of its own that is not sent yet, since it was raised often enough this second.
    var owesRaise = false
    var owedAbove = Incarnation(rawValue: 0)
    var owedLane: UInt8 = 4
    /// When it was raised, the last times that count.
    var raisedAt: [Instant] = []
    var settlesAt = Instant.never
    /// What rides on some pings.
    package var views = Views()
    /// Of the key log.
    package var keyLogDigest: UInt64 = 0
    package internal(set) var awareness = 0
    package internal(set) var climate = LossClimate()

    // Others
    package internal(set) var table: MemberTable
    package internal(set) var removed: RemovedSessions
    var suspicions: [Suspicion] = []
    var terms: Suspicion.Terms
    var termsFor = (replicas: 1, isLossy: false)

    // Probes
    var round = ProbeRound()
    var probe: Probe?
    var probeNumber: UInt32
    var probesAt = Instant.never
    var reachesOutAt = Instant.never
    var helps: [Help] = []
    var dials: [Dial] = []
    var candidates: [ReplicaShortID] = []

    // News
    var rumours: RumourQueue
    var posts: [PeerPost] = []
    var budget: ByteBudget
    var isThrottled = false
    var gossipsAt = Instant.never
    package internal(set) var isDirect = true
    var packet: [UInt8] = []

    // Streams
    var streamNumber: UInt32 = 0
    var knocks: [Knock] = []
    var knocking = Knocking()
    var syncs: [Sync] = []
    var syncsAt = Instant.never
    var accepted: [AcceptedStream] = []
    var twinChecks: [TwinCheck] = []
    var contacts = Contacts()

    var purgesAt: Instant
    /// What the driver was told last.
    package internal(set) var nextDeadline: Instant

    package init(
        own: MemberRecord, persisted: Incarnation?, unixSecondsAtZero: Int64, hasSeeds: Bool,
        knownAddresses: [PeerAddress] = [], timing: MembershipTiming = .lan, bounds: MembershipBounds = .init(),
        seed: UInt64, at now: Instant
    ) {
        self.timing = timing
        self.bounds = bounds
        self.hasSeeds = hasSeeds
        self.unixSecondsAtZero = unixSecondsAtZero
        generator = SeededGenerator(seed: seed)
        self.own = own
        ownTerm = DigestTerm.of(own)
        table = MemberTable(bound: bounds.members)
        removed = RemovedSessions(bound: bounds.removed, retention: timing.retention)
        terms = Suspicion.Terms(timing: timing, replicas: 1, isLossy: false)
        probeNumber = UInt32(truncatingIfNeeded: generator.next())
        rumours = RumourQueue(countMax: bounds.rumours, bytesMax: bounds.rumourBytes)
        budget = ByteBudget(perSecond: bounds.bytesPerSecond, burst: bounds.burstBytes, at: now)
        purgesAt = now + Self.purgeEvery
        nextDeadline = now
        knocking.known = Array(knownAddresses.prefix(bounds.seeds))
        self.own.incarnation = startValue(after: persisted, at: now)
        self.own.status = .alive
        // Observers do not run in here.
        ownTerm = DigestTerm.of(self.own)
    }

    static let purgeEvery = Nanoseconds.seconds(60)

    /// Everything of `input` is done before the call returns; what is to be done outside is appended to `effects`.
    package mutating func handle<Sink: PacketSink>(
        _ input: MembershipInput, at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        guard phase != .ended else { return }
        noteLag(at: now, into: &effects)
        switch input {
        case .tick: break
        case .packet(let packet): receive(packet, at: now, sending: &sink, into: &effects)
        case .streamOpened(let id): streamOpened(id, at: now, into: &effects)
        case .streamFailed(let id, let failure): streamFailed(id, failure, at: now, sending: &sink, into: &effects)
        case .streamAccepted(let id, let purpose, let from):
            streamAccepted(id, purpose, from: from, at: now, into: &effects)
        case .streamFrame(let id, let frame): streamFrame(id, frame, at: now, sending: &sink, into: &effects)
        case .streamClosed(let id): streamFailed(id, .reset, at: now, sending: &sink, into: &effects)
        case .resolved(let addresses): resolved(addresses, at: now, into: &effects)
        case .command(let command): obey(command, at: now, sending: &sink, into: &effects)
        case .persisted(let incarnation): persisted(incarnation, at: now, into: &effects)
        case .changed(let change): ownChanged(change, at: now, into: &effects)
        case .clockBroke: wake(at: now, into: &effects)
        }
        advance(to: now, sending: &sink, into: &effects)
    }

    /// This replica and everybody alive or suspect.
    package var replicas: Int { table.presentCount + 1 }

    @inlinable package var digest: UInt64 { table.digest &+ ownTerm }

    /// Who says that this member is gone, while it is suspect.
    package func accusers(of member: ReplicaShortID) -> [ReplicaShortID] {
        suspicions.first { $0.subject == member }?.accusers ?? []
    }

    /// Rumours that are still told, by lane from 0.
    package var rumourCounts: [Int] { rumours.counts }

    /// Everybody but this replica, sorted by short id.
    package var members: [Member] { table.slots.map(\.member) }

    // MARK: Time

    /// Does everything whose time has come, and says when to come back.
    private mutating func advance<Sink: PacketSink>(
        to now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        if phase == .starting, !hasAskedToPersist { askToPersist(into: &effects) }
        if maySpeak {
            advanceOwn(to: now, into: &effects)
            advanceJoin(to: now, sending: &sink, into: &effects)
            advanceProbe(to: now, sending: &sink, into: &effects)
            if !suspicions.isEmpty { advanceSuspicions(to: now, into: &effects) }
            if now >= syncsAt { syncWithAnyone(at: now, into: &effects) }
            advanceSpread(to: now, sending: &sink, into: &effects)
            advanceLeave(to: now, into: &effects)
            if now >= purgesAt { purge(at: now, into: &effects) }
        }
        nextDeadline = deadline
    }

    var hasAskedToPersist = false

    @inline(__always)
    var deadline: Instant {
        guard maySpeak else { return .never }
        // More than three at once come in an array, which is allocated.
        var deadline = min(min(probesAt, reachesOutAt, gossipsAt), syncsAt, purgesAt)
        if let probe { deadline = min(deadline, probe.deadline) }
        deadline = min(deadline, knocking.deadline, settlesAt)
        if owesRaise { deadline = min(deadline, raisesAgain) }
        if case .leaving(let until) = phase { deadline = min(deadline, until) }
        for suspicion in suspicions { deadline = min(deadline, suspicion.deadline(under: terms)) }
        for help in helps { deadline = min(deadline, help.deadline) }
        for post in posts { deadline = min(deadline, post.deadline) }
        for check in twinChecks { deadline = min(deadline, check.until) }
        return deadline
    }

    /// Told later than asked for: whoever was late has no right to call others silent (M11).
    private mutating func noteLag(at now: Instant, into effects: inout [MembershipEffect]) {
        guard maySpeak, now > nextDeadline else { return }
        let lag = now.span(since: nextDeadline)
        guard lag > timing.lagNoticed else { return }
        effects.append(.observed(.late(lag.duration)))
        if probe != nil {
            effects.append(.observed(.reached(.lagCancelledProbe)))
            endProbe(into: &effects)
            probesAt = now
        }
        for place in suspicions.indices { suspicions[place].wait(longerBy: lag) }
        raiseAwareness(by: 1, into: &effects)
        if lag > timing.lagRejoins {
            if lag > timing.lagForgets { forgetEverybody(into: &effects) }
            wake(at: now, into: &effects)
        }
    }

    mutating func raiseAwareness(by change: Int, into effects: inout [MembershipEffect]) {
        let next = min(max(awareness + change, 0), timing.awarenessMax)
        guard next != awareness else { return }
        awareness = next
        effects.append(.observed(.awareness(next)))
    }

    /// Waits depend on how many there are and on the weather (M4).
    mutating func renewTerms() {
        guard termsFor != (replicas, climate.isLossy) else { return }
        termsFor = (replicas, climate.isLossy)
        terms = Suspicion.Terms(timing: timing, replicas: replicas, isLossy: climate.isLossy)
        if replicas > timing.directMax { isDirect = false }
        if replicas < timing.directAgainBelow { isDirect = true }
    }

    private mutating func purge(at now: Instant, into effects: inout [MembershipEffect]) {
        purgesAt = now + Self.purgeEvery
        removed.purge(at: now)
        for place in table.slots.indices.reversed() {
            let member = table[place].member
            guard member.status.isGone, now.span(since: member.since) >= timing.retention else { continue }
            remove(at: place, into: &effects)
        }
    }
}
