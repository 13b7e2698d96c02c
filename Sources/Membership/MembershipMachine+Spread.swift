package import Determinism
package import WireCoding

/// Kinds of subjects of rumours. Numbers of messages where there is one message for each.
package enum RumourKind {
    static let member: UInt8 = 5
    static let state: UInt8 = 6
    static let leave: UInt8 = 7
    static let removed: UInt8 = 20
}

/// Passing news on.
///
/// Up to 64 replicas whoever has news tells everybody at once and wants receipts for it; besides, all who learned
/// something put it on their next packets. Above that it travels by these, and by packets every 100 ms to three others.
extension MembershipMachine {
    static let company = Nanoseconds.milliseconds(5)
    /// As long as somebody may still want it sent again.
    static let kept = Nanoseconds.milliseconds(700)
    /// The dead of the last moments hear of it as well: they may be alive.
    static let toldAfterDeath = Nanoseconds.seconds(30)

    /// Queues a message of others for everybody, as if this replica had found it out, and says whether it was taken.
    @discardableResult
    package mutating func tell(
        _ message: Message, key: RumourKey, lane: UInt8, at now: Instant, into effects: inout [MembershipEffect]
    ) -> Bool {
        guard maySpeak else { return false }
        let isTaken = tell(message, key: key, lane: lane, from: .own, at: now, into: &effects)
        nextDeadline = deadline
        return isTaken
    }

    /// Queues a message of others that came by UDP: it rides along, whoever began it told everybody.
    @discardableResult
    package mutating func passOn(
        _ message: Message, key: RumourKey, lane: UInt8, heardFrom peer: ReplicaShortID, at now: Instant,
        into effects: inout [MembershipEffect]
    ) -> Bool {
        guard maySpeak else { return false }
        let isTaken = tell(message, key: key, lane: lane, from: .packet(peer), at: now, into: &effects)
        nextDeadline = deadline
        return isTaken
    }

    @discardableResult
    mutating func tell(
        _ message: Message, key: RumourKey, lane: UInt8, from source: NewsSource, at now: Instant,
        into effects: inout [MembershipEffect]
    ) -> Bool {
        guard replicas > 1 || table.deadCount > 0 else { return true }
        var dropped: UInt8?
        let insertion = rumours.insert(
            message, key: key, lane: lane, sendsMax: timing.sends(replicas: replicas), keptUntil: now + Self.kept,
            dropped: &dropped)
        if let dropped { effects.append(.observed(.rumourDropped(lane: dropped))) }
        guard case .queued(let serial) = insertion else {
            effects.append(.observed(.rumourDropped(lane: lane)))
            return false
        }
        if case .packet = source { return true }
        guard isDirect else {
            gossipsAt = min(gossipsAt, now)
            return true
        }
        let leavesAt = lane <= 1 ? now : now + Self.company
        for slot in table.slots where isTold(slot.member, at: now) {
            withPost(of: slot.member.short) { $0.add(serial, lane: lane, leavingAt: leavesAt) }
        }
        return true
    }

    private func isTold(_ member: Member, at now: Instant) -> Bool {
        switch member.status {
        case .alive, .suspect: true
        case .dead: now.span(since: member.since) < Self.toldAfterDeath
        case .left: false
        }
    }

    // MARK: Kinds of news

    /// `isCure`: it ends a suspicion or a death, and a false death costs most.
    mutating func passOn(
        recordOf member: Member, isCure: Bool, from source: NewsSource, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        let record = member.record
        // A packet says no age: whoever went long ago would be kept for another day (M17).
        if record.status.isGone, now.span(since: member.since) >= Self.toldAfterDeath { return }
        tell(
            .member(record), key: Self.key(ofRecord: member.short), lane: isCure ? 1 : 4, from: source, at: now,
            into: &effects)
    }

    mutating func passOn(
        suspicionOf record: MemberRecord, isRefused: Bool, accuser: ReplicaShortID, from source: NewsSource,
        at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let news = StateNews(
            subject: record.id.short, life: record.session.life, incarnation: record.incarnation, status: .suspect,
            isRefused: isRefused, accuser: accuser)
        tell(.state(news), key: Self.key(of: news), lane: 2, from: source, at: now, into: &effects)
    }

    mutating func passOn(
        end member: Member, isRefused: Bool, accuser: ReplicaShortID, from source: NewsSource, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        let record = member.record
        if record.status == .left {
            let news = LeaveNews(subject: member.short, incarnation: record.incarnation, session: record.session)
            let key = RumourKey(kind: RumourKind.leave, subject: UInt64(member.short.rawValue))
            tell(.leave(news), key: key, lane: 1, from: source, at: now, into: &effects)
        } else {
            let news = StateNews(
                subject: member.short, life: record.session.life, incarnation: record.incarnation, status: .dead,
                isRefused: isRefused, accuser: accuser)
            tell(.state(news), key: Self.key(of: news), lane: 2, from: source, at: now, into: &effects)
        }
    }

    static func key(ofRecord short: ReplicaShortID) -> RumourKey {
        RumourKey(kind: RumourKind.member, subject: UInt64(short.rawValue))
    }

    /// Accusations of several accusers stand beside each other: each counts.
    private static func key(of news: StateNews) -> RumourKey {
        guard news.status == .suspect else { return key(ofEndOf: news.subject) }
        return RumourKey(
            kind: RumourKind.state, subject: UInt64(news.subject.rawValue) << 32 | UInt64(news.accuser.rawValue))
    }

    static func key(ofEndOf short: ReplicaShortID) -> RumourKey {
        RumourKey(kind: RumourKind.state, subject: UInt64(short.rawValue) << 32 | UInt64(UInt32.max))
    }

    /// What was said of an earlier state is no news any more.
    mutating func forgetRumours(about subject: ReplicaShortID) {
        guard !rumours.isEmpty else { return }
        rumours.remove { key in
            switch key.kind {
            case RumourKind.state: key.subject >> 32 == UInt64(subject.rawValue)
            case RumourKind.member, RumourKind.leave: key.subject == UInt64(subject.rawValue)
            default: false
            }
        }
    }

    // MARK: Time

    mutating func advanceSpread<Sink: PacketSink>(
        to now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        if !posts.isEmpty { flushPosts(at: now, sending: &sink, into: &effects) }
        if !rumours.isEmpty { rumours.prune(at: now) }
        if isDirect || rumours.isEmpty {
            gossipsAt = .never
        } else {
            gossipsAt = gossipsAt == .never ? now : gossipsAt
            if now >= gossipsAt { gossip(at: now, sending: &sink) }
        }
        if isThrottled {
            isThrottled = false
            effects.append(.observed(.throttled))
        }
    }

    private mutating func flushPosts<Sink: PacketSink>(
        at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        for place in posts.indices.reversed() where posts[place].deadline <= now {
            guard let destination = table.slot(of: posts[place].peer)?.member.destination else {
                posts.remove(at: place)
                continue
            }
            while let overdue = posts[place].takeOverdue(at: now) {
                let lane = laneThatRides(at: now)
                beginPacket()
                var serials: [UInt64] = []
                var later: [UInt64] = []
                for serial in overdue.serials {
                    guard let itsLane = rumours.lane(of: serial) else { continue }
                    if itsLane > lane {
                        later.append(serial)
                    } else if case .packed = rumours.pack(serial, into: &packet, upTo: Datagram.messageBytesMax) {
                        serials.append(serial)
                    }
                }
                posts[place].expectReceipt(
                    of: later, counter: 0, tries: overdue.tries, at: now, bound: bounds.unreceiptedPerPeer)
                guard !serials.isEmpty else { continue }
                effects.append(.observed(.reached(.receiptResent)))
                dispatch(to: destination, serials: serials, tries: overdue.tries + 1, at: now, sending: &sink)
            }
            if posts[place].leavesAt <= now || posts[place].oweUntil <= now {
                let lane = laneThatRides(at: now)
                beginPacket()
                let serials = fill(from: place, upToLane: lane)
                if !packet.isEmpty {
                    rumours.fill(&packet, upTo: Datagram.messageBytesMax, lanes: 1...lane)
                    dispatch(to: destination, serials: serials, tries: 0, at: now, sending: &sink)
                }
                if lane < 6, posts[place].leavesAt <= now {
                    posts[place].postpone(
                        until: max(budget.deadline(for: Self.packetCostMax, at: now), now + Self.company))
                }
            }
            if posts[place].isEmpty { posts.remove(at: place) }
        }
    }

    private mutating func gossip<Sink: PacketSink>(at now: Instant, sending sink: inout Sink) {
        gossipsAt = now + timing.epidemicEvery
        guard rumours.hasSendsLeft else { return }
        for _ in 0..<timing.epidemicPeers {
            guard let peer = anyonePresent() else { return }
            let lane = laneThatRides(at: now)
            beginPacket()
            rumours.fill(&packet, upTo: Datagram.messageBytesMax, lanes: 1...lane)
            guard !packet.isEmpty else { return }
            dispatch(to: peer.destination, serials: [], tries: 0, at: now, sending: &sink)
        }
    }

    /// A few draws find somebody in any but a ruined flock, and a large one is not gone through ten times a second.
    private mutating func anyonePresent() -> Member? {
        guard table.count > 0 else { return nil }
        for _ in 0..<Self.drawsMax {
            let member = table[Int(generator.below(UInt64(table.count)))].member
            if !member.status.isGone { return member }
        }
        return nil
    }

    private static let drawsMax = 8
}
