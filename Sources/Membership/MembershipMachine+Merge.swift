import Determinism
import WireCoding

/// What becomes of news about members: per replica the greatest record by (incarnation, session, status) stays, so any
/// order, repetition and grouping of news ends in the same view (M1).
extension MembershipMachine {
    enum NewsSource: Hashable, Sendable {
        case packet(ReplicaShortID)
        /// A join or a sync. A peer's old table must not outvote fresh probes, so it makes suspicions, never deaths
        /// (serf #216, #283).
        case stream
        case own
    }

    // MARK: Records

    mutating func merge(
        _ record: MemberRecord, age: UInt32?, from source: NewsSource, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        guard record.id.short.isDrawable, record.session.rawValue != 0 else { return }
        if record.id == own.id { return mergeOwn(record, at: now, into: &effects) }
        if record.id.short == own.id.short {
            // Two components met with one short id: the larger identity gives way (M18).
            if own.id > record.id { renew(because: .shortIDTaken, at: now, into: &effects) }
            return
        }
        let since = now + .seconds(-Int64(age ?? 0))
        guard let place = table.place(of: record.id.short) else {
            return adopt(record, since: since, from: source, at: now, into: &effects)
        }
        let held = table[place].member.record
        if held.id != record.id {
            guard record.id < held.id else { return }
            remove(at: place, into: &effects)
            return adopt(record, since: since, from: source, at: now, into: &effects)
        }
        if (held.incarnation, held.session) == (record.incarnation, record.session) {
            if table[place].isPartial { complete(place, with: record, at: now, into: &effects) }
            if record.status == held.status { hearAgain(Self.key(ofRecord: record.id.short), from: source) }
            return advance(
                place, to: record.status, isRefused: false, accuser: Self.anonymous, from: source, since: since,
                at: now, into: &effects)
        }
        guard (held.incarnation, held.session) < (record.incarnation, record.session) else { return }
        replace(place, with: record, since: since, from: source, at: now, into: &effects)
    }

    /// The accuser of suspicions that a sync brings: whoever it was, it counts as one.
    static let anonymous = ReplicaShortID(rawValue: 0)

    /// News of this replica itself is answered, never merged.
    private mutating func mergeOwn(
        _ record: MemberRecord, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        if record.session == own.session {
            if record.incarnation > own.incarnation
                || (record.incarnation == own.incarnation && record.status > .alive)
            {
                refute(record.status, told: record.incarnation, at: now, into: &effects)
            }
        } else if (own.incarnation, own.session) < (record.incarnation, record.session) {
            // Two processes with one identity that refuted each other would climb for ever.
            renew(because: .twin, at: now, into: &effects)
        }
    }

    private mutating func adopt(
        _ record: MemberRecord, since: Instant, from source: NewsSource, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        // Beyond half its time a lagging peer would teach again what others have forgotten (M17).
        if record.status.isGone, now.span(since: since) >= timing.retention / 2 { return }
        var taken = record
        if taken.status == .suspect { taken.status = .alive }
        var member = Member(record: taken, since: since)
        noteRemoval(of: &member)
        if table.isFull {
            guard let oldest = table.longestGone, !member.status.isGone || table[oldest].member.since < since else {
                return
            }
            remove(at: oldest, into: &effects)
        }
        table.insert(member)
        if !member.status.isGone { round.insert(member.short, upTo: table.bound, drawing: &generator) }
        renewTerms()
        effects.append(.changed(member, from: nil))
        noteAttributes(of: record, before: nil, at: now, into: &effects)
        passOn(recordOf: member, isCure: false, from: source, at: now, into: &effects)
        if record.status == .suspect, let place = table.place(of: member.short) {
            advance(
                place, to: .suspect, isRefused: false, accuser: Self.anonymous, from: source, since: since, at: now,
                into: &effects)
        }
    }

    /// Takes a record of a later incarnation or session.
    private mutating func replace(
        _ place: Int, with record: MemberRecord, since: Instant, from source: NewsSource, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        let before = table[place].member
        endSuspicion(of: before.short)
        if before.record.session == record.session, !record.status.isGone {
            if before.record.status == .dead { effects.append(.observed(.falseDeath(before.short))) }
            if source == .stream, before.record.status == .suspect || before.record.status == .dead {
                effects.append(.observed(.reached(.syncTaughtRefutation)))
            }
        }
        // A peer's dead is a suspicion here, unless this life was not known at all.
        let isDoubted =
            record.status == .suspect || (source == .stream && record.status == .dead && !before.status.isGone)
        var taken = record
        if isDoubted { taken.status = .alive }
        var member = Member(record: taken, since: since)
        noteRemoval(of: &member)
        let isCure = before.status != .alive && !member.status.isGone
        table.change(place) {
            $0.member = member
            $0.isPartial = false
            $0.soughtAfter = .zero
            if before.record.session != record.session {
                $0.isUDPBlocked = false
                $0.isReachedByOthersOnly = false
                $0.detours = 0
                $0.roundTrip = RoundTrip()
            }
        }
        if before.status.isGone, !member.status.isGone {
            round.insert(member.short, upTo: table.bound, drawing: &generator)
        }
        renewTerms()
        effects.append(.changed(member, from: before.status))
        noteAttributes(of: record, before: before.record, at: now, into: &effects)
        forgetRumours(about: member.short)
        passOn(recordOf: member, isCure: isCure, from: source, at: now, into: &effects)
        if isDoubted {
            advance(
                place, to: .suspect, isRefused: false, accuser: Self.anonymous, from: source, since: since, at: now,
                into: &effects)
        }
    }

    /// The record of an incarnation that was only heard of so far.
    private mutating func complete(
        _ place: Int, with record: MemberRecord, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let before = table[place].member
        table.change(place) {
            let status = $0.member.record.status
            $0.member.record = record
            $0.member.record.status = status
            $0.isPartial = false
        }
        effects.append(.changed(table[place].member, from: before.status))
        noteAttributes(of: record, before: before.record, at: now, into: &effects)
    }

    private func noteRemoval(of member: inout Member) {
        guard let entry = removed.entry(for: member.record.session), entry.id == member.id else { return }
        member.isRemoved = true
        member.isPruned = entry.isPruned
    }

    private mutating func noteAttributes(
        of record: MemberRecord, before: MemberRecord?, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let differs = record.agreement != own.agreement
        if differs != (before.map { $0.agreement != own.agreement } ?? false) {
            effects.append(.observed(.agreementMismatch(record.id.short, differs)))
        }
        // Refusing it locked long-running nodes out elsewhere (CASSANDRA-10969, scylla #5164): it is only said.
        let tomorrow = unixSecondsAtZero + now.nanoseconds / 1_000_000_000 + 86_400
        if Int64(record.incarnation.rawValue) > tomorrow, before?.session != record.session {
            effects.append(.observed(.fromTheFuture(record.id.short, record.incarnation)))
        }
    }

    mutating func remove(at place: Int, into effects: inout [MembershipEffect]) {
        let member = table[place].member
        endSuspicion(of: member.short)
        forgetRumours(about: member.short)
        table.remove(at: place)
        renewTerms()
        effects.append(.forgot(member.id))
    }

    // MARK: Bare news

    mutating func merge(
        _ news: StateNews, of packet: ReceivedPacket, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        if news.subject == own.id.short {
            guard news.life == own.session.life, news.incarnation >= own.incarnation, news.status > .alive else {
                return
            }
            if case .ping = packet.messages.first { effects.append(.observed(.reached(.buddySavedSuspect))) }
            return refute(news.status, told: news.incarnation, at: now, into: &effects)
        }
        // A life that is not known here comes with its record, or with a sync.
        guard let place = table.place(of: news.subject), table[place].member.record.session.life == news.life,
            news.incarnation >= table[place].member.record.incarnation
        else { return }
        if news.incarnation > table[place].member.record.incarnation {
            raise(place, to: news.incarnation, at: now, into: &effects)
        }
        advance(
            place, to: news.status, isRefused: news.isRefused, accuser: news.accuser,
            from: .packet(packet.header.source), since: now, at: now, into: &effects)
    }

    mutating func merge(_ news: LeaveNews, at now: Instant, into effects: inout [MembershipEffect]) {
        if news.subject == own.id.short {
            guard news.session == own.session, news.incarnation >= own.incarnation else { return }
            return refute(.left, told: news.incarnation, at: now, into: &effects)
        }
        guard let place = table.place(of: news.subject), table[place].member.record.session == news.session,
            news.incarnation >= table[place].member.record.incarnation
        else { return }
        if news.incarnation > table[place].member.record.incarnation {
            raise(place, to: news.incarnation, at: now, into: &effects)
        }
        advance(
            place, to: .left, isRefused: false, accuser: news.subject, from: .packet(news.subject), since: now,
            at: now, into: &effects)
    }

    /// An incarnation without its record: alive again, with attributes that may be old.
    mutating func raise(
        _ place: Int, to incarnation: Incarnation, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let before = table[place].member
        endSuspicion(of: before.short)
        forgetRumours(about: before.short)
        table.change(place) {
            $0.member.record.incarnation = incarnation
            $0.member.record.status = .alive
            $0.isPartial = true
            if before.status != .alive { $0.member.since = now }
        }
        renewTerms()
        guard before.record.status != .alive else { return }
        if before.record.status == .dead { effects.append(.observed(.falseDeath(before.short))) }
        effects.append(.changed(table[place].member, from: before.status))
    }

    /// News of the incarnation that is held.
    private mutating func advance(
        _ place: Int, to status: MemberStatus, isRefused: Bool, accuser: ReplicaShortID, from source: NewsSource,
        since: Instant, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let held = table[place].member.record.status
        switch status {
        case .alive: break
        case .dead where source == .stream && !held.isGone: fallthrough
        case .suspect:
            guard !held.isGone else { return }
            suspect(
                place, by: accuser, isRefused: isRefused, because: source == .stream ? .sync : .rumour, from: source,
                at: now, into: &effects)
        case .dead, .left:
            guard held < status else {
                return hearAgain(Self.key(ofEndOf: table[place].member.short), from: source)
            }
            let member = settle(place, as: status, since: since, into: &effects)
            passOn(
                end: member, isRefused: isRefused, accuser: accuser, from: source, at: now, into: &effects)
        }
    }

    /// Nothing new: one who did not have to hear it from here.
    private mutating func hearAgain(_ key: RumourKey, from source: NewsSource) {
        guard !isDirect, case .packet = source else { return }
        rumours.countHeard(key)
    }

    /// Dead or left: no suspicion is needed any more.
    @discardableResult
    mutating func settle(
        _ place: Int, as status: MemberStatus, since: Instant, into effects: inout [MembershipEffect]
    ) -> Member {
        let before = table[place].member
        endSuspicion(of: before.short)
        forgetRumours(about: before.short)
        table.change(place) {
            $0.member.record.status = status
            // Whoever was dead before it was called left has been gone since then (M17).
            $0.member.since = before.record.status.isGone ? min(before.since, since) : since
            $0.differsSince = .never
            $0.soughtAfter = .zero
        }
        renewTerms()
        let member = table[place].member
        if member.status != before.status { effects.append(.changed(member, from: before.status)) }
        return member
    }

    // MARK: Removed by an operator

    mutating func merge(
        _ news: RemovedNews, from source: NewsSource, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        guard news.session.rawValue != 0, removed.insert(news, at: now) else { return }
        let key = RumourKey(kind: RumourKind.removed, subject: news.session.rawValue)
        tell(.removed(news), key: key, lane: 1, from: source, at: now, into: &effects)
        if news.session == own.session {
            effects.append(.observed(.rejoined))
            effects.append(.observed(.reached(.removedRejoined)))
            return wake(at: now, into: &effects)
        }
        guard let place = table.place(of: news.id.short), table[place].member.id == news.id,
            table[place].member.record.session == news.session
        else { return }
        let before = table[place].member.status
        table.change(place) {
            $0.member.isRemoved = true
            $0.member.isPruned = news.isPruned
            $0.member.since = now
        }
        endSuspicion(of: news.id.short)
        renewTerms()
        effects.append(.changed(table[place].member, from: before))
    }
}
