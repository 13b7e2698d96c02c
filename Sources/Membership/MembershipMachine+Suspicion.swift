import Determinism
import WireCoding

/// From an accusation to a death, or to the answer that ends it.
extension MembershipMachine {
    /// This replica's own finding.
    mutating func accuse(
        _ target: ReplicaShortID, because cause: SuspicionCause, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        guard let place = table.place(of: target), !table[place].member.status.isGone else { return }
        suspect(
            place, by: own.id.short, isRefused: cause == .refused, because: cause, from: .own, at: now, into: &effects)
        if cause == .misdelivered, let suspicion = suspicions.firstIndex(where: { $0.subject == target }) {
            suspicions[suspicion].isElsewhere = true
        }
    }

    /// Raises a suspicion or confirms the one that there is, and passes on what is new of it.
    mutating func suspect(
        _ place: Int, by accuser: ReplicaShortID, isRefused: Bool, because cause: SuspicionCause,
        from source: NewsSource, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let record = table[place].member.record
        let short = record.id.short
        var isNew = false
        var index = suspicions.firstIndex { $0.subject == short }
        if index == nil {
            suspicions.append(
                Suspicion(
                    subject: short, incarnation: record.incarnation, session: record.session, raisedAt: now, by: accuser
                ))
            index = suspicions.count - 1
            isNew = true
            let before = table[place].member.status
            table.change(place) {
                $0.member.record.status = .suspect
                $0.member.since = now
            }
            effects.append(.observed(.suspected(short, cause)))
            if table[place].member.status != before { effects.append(.changed(table[place].member, from: before)) }
        } else if let index, suspicions[index].confirm(by: accuser, wanted: terms.wanted) == .counted {
            isNew = true
        }
        guard let index else { return }
        if isRefused, accuser != Self.anonymous, suspicions[index].refuse(by: accuser, at: now) {
            isNew = true
            if suspicions[index].isRefused(under: terms) { effects.append(.observed(.reached(.refusedByTwo))) }
            if accuser != own.id.short { dial(short, at: now, into: &effects) }
        }
        guard isNew else { return }
        passOn(suspicionOf: record, isRefused: isRefused, accuser: accuser, from: source, at: now, into: &effects)
    }

    mutating func endSuspicion(of subject: ReplicaShortID) {
        suspicions.removeAll { $0.subject == subject }
    }

    mutating func advanceSuspicions(to now: Instant, into effects: inout [MembershipEffect]) {
        // A death changes the terms of the others: they are looked at anew.
        while let index = suspicions.lastIndex(where: { $0.deadline(under: terms) <= now }) {
            let suspicion = suspicions.remove(at: index)
            guard let place = table.place(of: suspicion.subject) else { continue }
            let record = table[place].member.record
            guard record.session == suspicion.session, record.incarnation == suspicion.incarnation,
                !record.status.isGone
            else { continue }
            let isRefused = suspicion.isRefused(under: terms)
            effects.append(
                .observed(
                    .matured(
                        suspicion.subject, accusers: suspicion.accusers.count,
                        waited: now.span(since: suspicion.raisedAt).duration, isRefused: isRefused)))
            let member = settle(place, as: .dead, since: now, into: &effects)
            passOn(end: member, isRefused: isRefused, accuser: own.id.short, from: .own, at: now, into: &effects)
        }
    }

    // MARK: Refusals

    /// Others say that nobody listens there: one look of our own.
    private mutating func dial(_ subject: ReplicaShortID, at now: Instant, into effects: inout [MembershipEffect]) {
        guard let member = table.slot(of: subject)?.member, dials.count < Dial.countMax,
            !dials.contains(where: { $0.subject == subject })
        else { return }
        // In a large flock three of those who hear of it are enough.
        guard isDirect || generator.below(UInt64(replicas)) < 3 else { return }
        let stream = nextStream()
        dials.append(Dial(subject: subject, session: member.record.session, stream: stream))
        effects.append(.openStream(stream, to: member.record.address, .peer, within: timing.timeoutMax.duration))
    }

    mutating func dialled(_ index: Int, isRefused: Bool, at now: Instant, into effects: inout [MembershipEffect]) {
        let dial = dials.remove(at: index)
        guard isRefused, table.slot(of: dial.subject)?.member.record.session == dial.session else { return }
        accuse(dial.subject, because: .refused, at: now, into: &effects)
    }

    /// The host of the probe's target says that nobody listens: a result of its own.
    mutating func probeWasRefused(at now: Instant, into effects: inout [MembershipEffect]) {
        guard let probe, probe.path == nil else { return }
        self.probe?.stream = nil
        accuse(probe.target, because: .refused, at: now, into: &effects)
    }
}
