package import Determinism
package import WireCoding

/// Comparing everything with one peer: summaries first, then only the records that differ.
extension MembershipMachine {
    /// Records of one frame: below 64 KiB with the longest names.
    static let recordsPerFrame = 512

    mutating func syncWithAnyone(at now: Instant, into effects: inout [MembershipEffect]) {
        let isFirst = syncsAt == .zero
        syncsAt = now + jittered(timing.syncEvery(replicas: replicas))
        candidates.removeAll(keepingCapacity: true)
        for slot in table.slots where slot.member.status == .alive { candidates.append(slot.member.short) }
        guard !isFirst, !candidates.isEmpty else { return }
        let peer = candidates[Int(generator.below(UInt64(candidates.count)))]
        guard let address = table.slot(of: peer)?.member.record.address else { return }
        sync(with: peer, at: address, for: .timer, at: now, into: &effects)
    }

    mutating func sync(
        with peer: ReplicaShortID, at address: PeerAddress, for reason: SyncReason, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        guard syncs.count < Sync.atOnce, !syncs.contains(where: { $0.peer == peer }) else { return }
        if let place = table.place(of: peer) {
            guard now >= table[place].syncAfter else { return }
            table.touch(place) { $0.syncAfter = now + Sync.apart }
        }
        let stream = nextStream()
        syncs.append(Sync(stream: stream, peer: peer, reason: reason))
        effects.append(.openStream(stream, to: address, .peer, within: Sync.within.duration))
    }

    /// Somebody speaks whose life is not known here: it holds the flock's key, so everything is compared.
    mutating func contact(
        _ peer: ReplicaShortID, at address: PeerAddress, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        guard phase == .member, syncs.count < Sync.atOnce, contacts.mayContact(peer, at: now) else { return }
        sync(with: peer, at: address, for: .contact, at: now, into: &effects)
    }

    /// Views of a peer differ for long: `reason` is `.views`.
    package mutating func syncForViews(
        with peer: ReplicaShortID, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        guard phase == .member, let member = table.slot(of: peer)?.member, !member.status.isGone else { return }
        sync(with: peer, at: member.record.address, for: .views, at: now, into: &effects)
        nextDeadline = deadline
    }

    /// Without those whose records are missing here: the peer is to send them.
    var summary: [MemberSummary] {
        var summary = [Self.summary(of: own)]
        summary.reserveCapacity(table.count + 1)
        for slot in table.slots where !slot.isPartial { summary.append(Self.summary(of: slot.member.record)) }
        return summary
    }

    private static func summary(of record: MemberRecord) -> MemberSummary {
        MemberSummary(
            short: record.id.short, incarnation: record.incarnation, status: record.status, life: record.session.life)
    }

    /// Sends what the peer does not know, and the end.
    mutating func sendRecords(
        on stream: StreamID, unlike theirs: [MemberSummary], at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let known = theirs.sorted { ($0.short, $0.incarnation) < ($1.short, $1.incarnation) }
        var messages: [Message] = []
        func flush(_ effects: inout [MembershipEffect]) {
            guard !messages.isEmpty else { return }
            effects.append(.sendFrame(stream, .records(messages)))
            messages.removeAll(keepingCapacity: true)
        }
        if isNews(own, to: known) { messages.append(.agedMember(age: 0, own)) }
        for slot in table.slots where !slot.isPartial && isNews(slot.member.record, to: known) {
            let age = now.span(since: slot.member.since)
            if slot.member.record.status.isGone, age >= timing.retention / 2 { continue }
            messages.append(.agedMember(age: UInt32(clamping: age.wholeSeconds), slot.member.record))
            if messages.count >= Self.recordsPerFrame { flush(&effects) }
        }
        for news in removed.news(at: now) {
            messages.append(.removed(news))
            if messages.count >= Self.recordsPerFrame { flush(&effects) }
        }
        flush(&effects)
        effects.append(.sendOtherRecords(stream))
        effects.append(.sendFrame(stream, .done))
    }

    private func isNews(_ record: MemberRecord, to known: [MemberSummary]) -> Bool {
        guard let position = known.position(of: record.id.short, sortedBy: \.short) else { return true }
        let theirs = known[position]
        if theirs.incarnation != record.incarnation { return theirs.incarnation < record.incarnation }
        return theirs.life != record.session.life || theirs.status < record.status
    }

    mutating func mergeRecords(_ messages: [Message], at now: Instant, into effects: inout [MembershipEffect]) {
        for message in messages {
            guard maySpeak else { return }
            switch message {
            case .agedMember(let age, let record): merge(record, age: age, from: .stream, at: now, into: &effects)
            case .member(let record): merge(record, age: 0, from: .stream, at: now, into: &effects)
            case .removed(let news): merge(news, from: .stream, at: now, into: &effects)
            default: break
            }
        }
    }

    mutating func syncFrame(
        _ index: Int, _ frame: StreamFrame, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let sync = syncs[index]
        switch frame {
        case .summary(let theirs):
            sendRecords(on: sync.stream, unlike: theirs, at: now, into: &effects)
        case .records(let messages):
            mergeRecords(messages, at: now, into: &effects)
        case .keyring: break
        case .done:
            syncs.remove(at: index)
            effects.append(.closeStream(sync.stream))
            effects.append(.observed(.synced(sync.peer, sync.reason)))
            if let place = table.place(of: sync.peer) { table.touch(place) { $0.differsSince = .never } }
        default:
            syncs.remove(at: index)
            effects.append(.closeStream(sync.stream))
        }
    }
}
