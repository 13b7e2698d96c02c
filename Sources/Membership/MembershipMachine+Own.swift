import Determinism
import WireCoding

/// What this replica says of itself.
extension MembershipMachine {
    /// max(persisted + 1, the wall clock in seconds): the file may be a restored backup, the clock may have lost its
    /// battery, but hardly both at once.
    func startValue(after persisted: Incarnation?, at now: Instant) -> Incarnation {
        let clock = UInt32(clamping: unixSecondsAtZero + now.nanoseconds / 1_000_000_000)
        guard let persisted else { return Incarnation(rawValue: min(clock, .max - 1)) }
        let next = persisted == .ceiling ? persisted.rawValue : persisted.rawValue + 1
        return Incarnation(rawValue: max(next, min(clock, .max - 1)))
    }

    mutating func askToPersist(into effects: inout [MembershipEffect]) {
        hasAskedToPersist = true
        effects.append(.persist(PersistedIdentity(id: own.id, incarnation: own.incarnation)))
    }

    /// Durable: from here on packets may leave (M2).
    mutating func persisted(_ incarnation: Incarnation, at now: Instant, into effects: inout [MembershipEffect]) {
        guard phase == .starting, incarnation == own.incarnation else { return }
        syncsAt = .zero
        beginJoining(at: now, into: &effects)
    }

    // MARK: Changes

    mutating func ownChanged(_ change: OwnChange, at now: Instant, into effects: inout [MembershipEffect]) {
        switch change {
        case .flags(let set, let clear): changeFlags(set: set, clear: clear, at: now, into: &effects)
        case .agreement(let agreement): alterOwn(at: now, into: &effects) { $0.agreement = agreement }
        case .keyIDs(let keyIDs): alterOwn(at: now, into: &effects) { $0.keyIDs = keyIDs }
        case .address(let address): alterOwn(at: now, into: &effects) { $0.address = address }
        }
    }

    mutating func changeFlags(
        set: MemberFlags, clear: MemberFlags, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        if clear.contains(.ready) || set.contains(.draining) { settlesAt = .never }
        alterOwn(at: now, into: &effects) {
            $0.flags.subtract(clear)
            $0.flags.formUnion(set)
            if $0.flags.contains(.draining) { $0.flags.subtract([.ready, .settled]) }
        }
    }

    private mutating func alterOwn(
        at now: Instant, into effects: inout [MembershipEffect], _ change: (inout MemberRecord) -> Void
    ) {
        let before = own
        change(&own)
        guard own != before, maySpeak else { return }
        raise(above: own.incarnation, lane: 4, at: now, into: &effects)
    }

    // MARK: Incarnations

    /// «I am alive»: louder than what was told.
    mutating func refute(
        _ status: MemberStatus, told: Incarnation, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        if case .leaving = phase { return }
        // Nothing is louder than the ceiling.
        if max(told, own.incarnation) == .ceiling { return renew(because: .ceiling, at: now, into: &effects) }
        // Said again before the answer could spread: it was answered.
        raiseAwareness(by: 1, into: &effects)
        effects.append(.observed(.refuted(status)))
        if status == .dead { effects.append(.observed(.reached(.refuteAfterDead))) }
        raise(above: told, lane: 1, at: now, into: &effects)
    }

    /// At most four times within any second (M7); what comes in between is one raise at its end.
    private mutating func raise(
        above told: Incarnation, lane: UInt8, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        owedAbove = max(owedAbove, told)
        owedLane = min(owedLane, lane)
        owesRaise = true
        if now >= raisesAgain { payRaise(at: now, into: &effects) }
    }

    var raisesAgain: Instant { raisedAt.count < timing.raisesPerSecond ? .zero : raisedAt[0] + .seconds(1) }

    private mutating func payRaise(at now: Instant, into effects: inout [MembershipEffect]) {
        let above = max(own.incarnation, owedAbove)
        let lane = owedLane
        owesRaise = false
        owedAbove = Incarnation(rawValue: 0)
        owedLane = 4
        if above == .ceiling { return renew(because: .ceiling, at: now, into: &effects) }
        if raisedAt.count >= timing.raisesPerSecond { raisedAt.removeFirst() }
        raisedAt.append(now)
        own.incarnation = Incarnation(rawValue: above.rawValue + 1)
        effects.append(.persist(PersistedIdentity(id: own.id, incarnation: own.incarnation)))
        tellOwn(lane: lane, at: now, into: &effects)
    }

    mutating func tellOwn(lane: UInt8, at now: Instant, into effects: inout [MembershipEffect]) {
        let key = RumourKey(kind: RumourKind.member, subject: UInt64(own.id.short.rawValue))
        tell(.member(own), key: key, lane: lane, from: .own, at: now, into: &effects)
    }

    mutating func advanceOwn(to now: Instant, into effects: inout [MembershipEffect]) {
        if owesRaise, now >= raisesAgain { payRaise(at: now, into: &effects) }
        if now >= settlesAt {
            settlesAt = .never
            if own.flags.contains(.ready) { changeFlags(set: .settled, clear: [], at: now, into: &effects) }
        }
    }

    // MARK: Other lives

    /// A new identity: the old one is another's, or cannot be defended any more.
    mutating func renew(because cause: RenewalCause, at now: Instant, into effects: inout [MembershipEffect]) {
        guard maySpeak else { return }
        if case .leaving = phase { return }
        effects.append(.observed(.renewed(cause)))
        switch cause {
        case .twin: effects.append(.observed(.reached(.twinRenewed)))
        case .shortIDTaken: effects.append(.observed(.reached(.shortIDRenewed)))
        case .ceiling: effects.append(.observed(.reached(.ceilingRenewed)))
        }
        var id: ReplicaID
        repeat {
            id = ReplicaID(high: generator.next(), low: generator.next())
        } while !id.short.isDrawable || id.short == own.id.short || table.place(of: id.short) != nil
        own.id = id
        own.incarnation = startValue(after: nil, at: now)
        beginLife(into: &effects)
    }

    /// After a long sleep, a resumed memory image or a removal: a new session of the same identity joins again.
    mutating func wake(at now: Instant, into effects: inout [MembershipEffect]) {
        guard maySpeak else { return }
        if case .leaving = phase { return }
        if own.incarnation == .ceiling { return renew(because: .ceiling, at: now, into: &effects) }
        effects.append(.observed(.reached(.sleptAndRejoined)))
        own.incarnation = startValue(after: own.incarnation, at: now)
        beginLife(into: &effects)
    }

    private mutating func beginLife(into effects: inout [MembershipEffect]) {
        own.session = SessionID(rawValue: max(1, generator.next()))
        own.flags.subtract([.ready, .settled])
        settlesAt = .never
        owesRaise = false
        owedAbove = Incarnation(rawValue: 0)
        owedLane = 4
        endProbe(into: &effects)
        probesAt = .never
        closeStreams(into: &effects)
        posts.removeAll()
        rumours.removeAll()
        helps.removeAll()
        knocking.isResolving = false
        knocking.nextRound = .never
        knocking.nextKnock = .never
        knocking.aloneAt = .never
        phase = .starting
        hasAskedToPersist = false
        effects.append(.becomes(own.id, own.session))
    }

    private mutating func closeStreams(into effects: inout [MembershipEffect]) {
        for knock in knocks { effects.append(.closeStream(knock.stream)) }
        for sync in syncs { effects.append(.closeStream(sync.stream)) }
        for dial in dials { effects.append(.closeStream(dial.stream)) }
        for stream in accepted { effects.append(.closeStream(stream.id)) }
        knocks.removeAll()
        syncs.removeAll()
        dials.removeAll()
        accepted.removeAll()
        twinChecks.removeAll()
    }

    /// After many hours others may have long forgotten what this replica would teach them.
    mutating func forgetEverybody(into effects: inout [MembershipEffect]) {
        for place in table.slots.indices.reversed() { remove(at: place, into: &effects) }
    }
}
