import Determinism
import WireCoding

/// What an operator orders: join, leave, call another gone.
extension MembershipMachine {
    mutating func obey<Sink: PacketSink>(
        _ command: MembershipCommand, at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        switch command {
        case .join(let addresses):
            for address in addresses
            where !knocking.ordered.contains(address) && knocking.ordered.count < bounds.seeds {
                knocking.ordered.append(address)
            }
            if maySpeak, !knocking.isResolving, knocks.isEmpty { knocking.nextRound = now }
        case .rejoin(let address):
            guard maySpeak, !knocking.estranged.contains(address),
                knocking.estranged.count < Knocking.estrangedMax
            else { return }
            knocking.estranged.append(address)
            if !knocking.isResolving, knocks.isEmpty { knocking.nextRound = now }
        case .leave: leave(at: now, into: &effects)
        case .forceLeave(let id, let prune):
            guard maySpeak, let member = table.slot(of: id.short)?.member, member.id == id else { return }
            // It never invents an incarnation for another (scylla #3331): what it names is that session.
            let news = RemovedNews(
                tombstone: generator.next(), id: id, session: member.record.session, by: own.id.short, ageSeconds: 0,
                isPruned: prune)
            merge(news, from: .own, at: now, into: &effects)
        }
    }

    private mutating func leave(at now: Instant, into effects: inout [MembershipEffect]) {
        guard maySpeak else {
            phase = .ended
            effects.append(.left)
            return
        }
        if case .leaving = phase { return }
        phase = .leaving(until: now + timing.leaveWait)
        own.status = .left
        let news = LeaveNews(subject: own.id.short, incarnation: own.incarnation, session: own.session)
        let key = RumourKey(kind: RumourKind.leave, subject: UInt64(own.id.short.rawValue))
        // What it said of itself before is old.
        forgetRumours(about: own.id.short)
        tell(.leave(news), key: key, lane: 1, from: .own, at: now, into: &effects)
        guard !isDirect else { return }
        // Above direct mode √N hear it with receipts, the rest by gossip.
        candidates.removeAll(keepingCapacity: true)
        for slot in table.slots where !slot.member.status.isGone { candidates.append(slot.member.short) }
        var told = 1
        while told * told < replicas { told += 1 }
        Shuffle.first(told, of: &candidates, drawing: &generator)
        guard let serial = rumours.newestSerial else { return }
        for peer in candidates.prefix(told) { withPost(of: peer) { $0.add(serial, lane: 1, leavingAt: now) } }
    }

    mutating func advanceLeave(to now: Instant, into effects: inout [MembershipEffect]) {
        guard case .leaving(let until) = phase else { return }
        let targets = isDirect ? table.presentCount : posts.count
        let waiting = posts.reduce(0) { $0 + ($1.isWaitedFor ? 1 : 0) }
        // Nine of ten have said that they heard it.
        guard now >= until || (waiting * 10 <= targets && (isDirect || waiting == 0)) else { return }
        phase = .ended
        effects.append(.left)
    }
}
