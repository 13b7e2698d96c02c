import Determinism
import WireCoding

/// Asking others whether they are there, and answering for oneself and for others.
extension MembershipMachine {
    mutating func advanceProbe<Sink: PacketSink>(
        to now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        if table.presentCount == 0 {
            probesAt = .never
            if probe != nil { endProbe(into: &effects) }
        } else if probesAt == .never, probe == nil {
            probesAt = now + .nanoseconds(Int64(generator.below(UInt64(timing.period.rawValue))))
        }
        if let probe, now >= probe.deadline { step(at: now, sending: &sink, into: &effects) }
        if probe == nil, now >= probesAt { beginProbe(at: now, sending: &sink, into: &effects) }
        if table.deadCount == 0, suspicions.isEmpty {
            reachesOutAt = .never
        } else if reachesOutAt == .never {
            reachesOutAt = now + timing.reachOutEvery
        } else if now >= reachesOutAt {
            reachesOutAt = now + timing.reachOutEvery
            reachOut(to: .suspect, at: now, sending: &sink)
            reachOut(to: .dead, at: now, sending: &sink)
        }
        for place in helps.indices.reversed() where now >= helps[place].deadline {
            stepHelp(place, at: now, sending: &sink)
        }
    }

    private mutating func beginProbe<Sink: PacketSink>(
        at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        let patience = awareness + 1
        probesAt = now + timing.period * patience
        guard let target = round.next(of: table, drawing: &generator), let slot = table.slot(of: target) else { return }
        let usual = slot.roundTrip.usualMax.map { $0 * 4 } ?? timing.timeoutMax
        let timeout = min(max(usual, timing.timeoutMin), timing.timeoutMax) * patience
        probeNumber &+= 1
        probe = Probe(
            number: probeNumber, target: target, session: slot.member.record.session,
            incarnation: slot.member.record.incarnation, began: now, timeout: timeout, endsAt: probesAt,
            nextPing: now)
        step(at: now, sending: &sink, into: &effects)
    }

    /// The probe's next act: a ping, the call for help, or the verdict.
    private mutating func step<Sink: PacketSink>(
        at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        guard var probe else { return }
        guard let place = table.place(of: probe.target), table[place].member.record.session == probe.session,
            table[place].member.record.incarnation == probe.incarnation, !table[place].member.status.isGone
        else { return endProbe(into: &effects) }
        if now >= probe.endsAt || probe.isElsewhere { return conclude(probe, at: now, into: &effects) }
        if probe.path == nil, now >= probe.timesOutAt, !probe.hasTimedOut {
            probe.hasTimedOut = true
            self.probe = probe
            callForHelp(at: now, sending: &sink, into: &effects)
            return
        }
        if probe.path == nil, now >= probe.nextPing, probe.sent < timing.attempts {
            let attempt = UInt8(probe.sent)
            probe.noteSent(at: now)
            probe.nextPing =
                probe.sent < timing.attempts
                ? probe.began + .nanoseconds(probe.timeout.rawValue * Int64(probe.sent) / Int64(timing.attempts))
                : .never
            self.probe = probe
            let slot = table[place]
            let tellsViews = attempt == 0 && probe.number % Self.viewsEveryProbe == 0
            let accusation = slot.member.status == .suspect ? accusation(of: slot.member) : nil
            let views = views
            send(to: slot.member.destination, at: now, sending: &sink) { packet in
                Message.ping(Ping(probe: probe.number, attempt: attempt)).encode(into: &packet)
                if tellsViews { Message.views(views).encode(into: &packet) }
                // Buddy (Lifeguard §IV.C): whoever is accused hears of it first from those who ask.
                if let accusation { accusation.encode(into: &packet) }
            }
        }
    }

    /// Views ride on one probe in this many: what they show may be some seconds old, and idle bytes count.
    static let viewsEveryProbe: UInt32 = 4

    private func accusation(of member: Member) -> Message? {
        guard let suspicion = suspicions.first(where: { $0.subject == member.short }) else { return nil }
        return .state(
            StateNews(
                subject: member.short, life: suspicion.session.life, incarnation: suspicion.incarnation,
                status: .suspect, accuser: suspicion.accusers[0]))
    }

    private mutating func callForHelp<Sink: PacketSink>(
        at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        guard var probe, let target = table.slot(of: probe.target)?.member else { return }
        candidates.removeAll(keepingCapacity: true)
        for slot in table.slots where slot.member.status == .alive && slot.member.short != probe.target {
            candidates.append(slot.member.short)
        }
        // A full shuffle's beginning: drawing k at random missed the only candidate of three (memberlist #350).
        Shuffle.first(timing.helpers, of: &candidates, drawing: &generator)
        let left = probe.endsAt.span(since: now)
        let budget = UInt16(clamping: min(left, timing.timeoutMax * 8 / 10 * (awareness + 1)).wholeMilliseconds)
        for helper in candidates.prefix(timing.helpers) {
            guard let destination = table.slot(of: helper)?.member.destination else { continue }
            probe.helpersAsked += 1
            send(to: destination, at: now, sending: &sink) {
                Message.indirectPing(
                    IndirectPing(probe: probe.number, target: probe.target, budgetMilliseconds: budget)
                ).encode(into: &$0)
            }
        }
        let stream = nextStream()
        probe.stream = stream
        self.probe = probe
        effects.append(.openStream(stream, to: target.record.address, .peer, within: left.duration))
    }

    private mutating func conclude(_ probe: Probe, at now: Instant, into effects: inout [MembershipEffect]) {
        defer { endProbe(into: &effects) }
        if let path = probe.path {
            raiseAwareness(by: -1, into: &effects)
            learnClimate(of: probe, at: now, into: &effects)
            note(path, to: probe.target, into: &effects)
            return
        }
        effects.append(.observed(.probeFailed(probe.target)))
        raiseAwareness(by: probe.helpersAsked > 0 ? probe.helpersAsked - probe.nacks : 1, into: &effects)
        accuse(probe.target, because: probe.isElsewhere ? .misdelivered : .probe, at: now, into: &effects)
    }

    private mutating func learnClimate(of probe: Probe, at now: Instant, into effects: inout [MembershipEffect]) {
        let answered = probe.answered.nonzeroBitCount
        guard
            climate.learn(sent: probe.sent, answered: answered, at: now, holds: timing.climateHolds)
        else { return }
        effects.append(.observed(.climate(isLossy: climate.isLossy)))
        effects.append(.observed(.reached(climate.isLossy ? .climateDoubled : .climateBack)))
        renewTerms()
        changeFlags(set: climate.isLossy ? .lossy : [], clear: climate.isLossy ? [] : .lossy, at: now, into: &effects)
    }

    /// Of how many probes in a row none was answered directly before the way is called blocked: one may be loss [ours].
    static let detoursToBlock: UInt8 = 2

    private mutating func note(_ path: ProbePath, to peer: ReplicaShortID, into effects: inout [MembershipEffect]) {
        guard let place = table.place(of: peer) else { return }
        let before = table[place]
        let detours = path == .direct ? 0 : min(before.detours + 1, Self.detoursToBlock)
        let isByOthersOnly = path == .indirect && detours == Self.detoursToBlock
        let isBlocked = path == .stream && detours == Self.detoursToBlock
        table.touch(place) {
            $0.detours = detours
            $0.isReachedByOthersOnly = isByOthersOnly
            $0.isUDPBlocked = isBlocked
        }
        if before.isReachedByOthersOnly != isByOthersOnly {
            effects.append(.observed(.reachedByOthersOnly(peer, isByOthersOnly)))
        }
        guard before.isUDPBlocked != isBlocked else { return }
        effects.append(.observed(.udpBlocked(peer, isBlocked)))
        if isBlocked { effects.append(.observed(.reached(.udpBlockedButAlive))) }
    }

    mutating func endProbe(into effects: inout [MembershipEffect]) {
        if let stream = probe?.stream { effects.append(.closeStream(stream)) }
        probe = nil
    }

    // MARK: Answers

    mutating func answer<Sink: PacketSink>(
        _ ping: Ping, of packet: ReceivedPacket, at now: Instant, sending sink: inout Sink
    ) {
        let destination = PacketDestination(
            short: packet.header.source, session: packet.session, address: packet.from)
        let ack = Ack(
            probe: ping.probe, attempt: ping.attempt, isOnBehalf: ping.isOnBehalf,
            lagMilliseconds: UInt16(clamping: now.span(since: nextDeadline).wholeMilliseconds))
        send(to: destination, at: now, sending: &sink) { Message.ack(ack).encode(into: &$0) }
    }

    mutating func acknowledged<Sink: PacketSink>(
        _ ack: Ack, by source: ReplicaShortID, at now: Instant, sending sink: inout Sink,
        into effects: inout [MembershipEffect]
    ) {
        if ack.isOnBehalf {
            if let place = helps.firstIndex(where: { $0.number == ack.probe && $0.target == source }) {
                let help = helps.remove(at: place)
                guard let asker = table.slot(of: help.asker)?.member.destination else { return }
                send(to: asker, at: now, sending: &sink) {
                    Message.ack(Ack(probe: help.askersProbe, attempt: 0, isOnBehalf: true)).encode(into: &$0)
                }
                return
            }
            // A helper's word on the target of this replica's own probe.
            guard var probe, probe.number == ack.probe, source != probe.target else { return }
            if probe.path == nil {
                probe.path = .indirect
                effects.append(.observed(.acknowledged(probe.target, now.span(since: probe.began).duration, .indirect)))
                effects.append(.observed(.reached(.helperAnswered)))
            }
            self.probe = probe
            return
        }
        guard var probe, probe.number == ack.probe, source == probe.target, Int(ack.attempt) < probe.sent else {
            return
        }
        probe.answered |= 1 << ack.attempt
        let took = now.span(since: probe.sentAt(attempt: ack.attempt))
        if ack.lagMilliseconds <= Self.lagLearnedMax, let place = table.place(of: source) {
            table.touch(place) { $0.roundTrip.learn(took) }
        }
        if probe.path != .direct {
            probe.path = .direct
            effects.append(.observed(.acknowledged(source, took.duration, .direct)))
        }
        self.probe = probe
    }

    /// Answers of loops that were later than this say nothing about the network.
    static let lagLearnedMax: UInt16 = 20

    /// The target of the running probe answered by stream. A helper was quicker, mostly; that its own stream passes says more.
    mutating func acknowledgedByStream(_ ack: Ack, at now: Instant, into effects: inout [MembershipEffect]) {
        guard var probe, probe.number == ack.probe, probe.path != .direct else { return }
        probe.path = .stream
        effects.append(.observed(.acknowledged(probe.target, now.span(since: probe.began).duration, .stream)))
        self.probe = probe
    }

    mutating func refused(_ nack: Nack) {
        guard var probe, probe.number == nack.probe, probe.target == nack.target else { return }
        probe.nacks = min(probe.nacks + 1, probe.helpersAsked)
        self.probe = probe
    }

    /// Honoured only from the sought one's own address, by a speaker whose record names that address: else a recorded
    /// packet thrown at a third replica would raise suspicions.
    mutating func misdelivered(
        _ news: Misdelivered, of packet: ReceivedPacket, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        if news.mine == packet.header.source { noteReplacement(of: news.sought, by: packet, at: now) }
        guard news.mine == packet.header.source, var probe, probe.target == news.sought, probe.path == nil,
            let sought = table.slot(of: news.sought)?.member, sought.record.address == packet.from,
            let speaker = table.slot(of: news.mine)?.member, speaker.record.address == packet.from,
            speaker.record.session == packet.session
        else { return }
        probe.isElsewhere = true
        self.probe = probe
        effects.append(.observed(.reached(.misdeliveredKilled)))
        conclude(probe, at: now, into: &effects)
    }

    /// A replica that began anew without its disk stands where the one that it was is dead. All others would ask there
    /// each second for a day, and be told each time who is there. It may answer from another of its addresses, so nothing
    /// is concluded but that it is asked less often.
    private mutating func noteReplacement(of sought: ReplicaShortID, by packet: ReceivedPacket, at now: Instant) {
        guard let place = table.place(of: sought), table[place].member.status == .dead,
            table.slot(of: packet.header.source)?.member.record.session == packet.session
        else { return }
        table.touch(place) { $0.soughtAfter = now + Self.replacedPause }
    }

    /// Until somebody dead is asked for again where another answered [ours].
    static let replacedPause = Nanoseconds.seconds(60)

    // MARK: Help

    mutating func help<Sink: PacketSink>(
        _ asker: ReplicaShortID, with request: IndirectPing, at now: Instant, sending sink: inout Sink
    ) {
        guard let destination = table.slot(of: asker)?.member.destination else { return }
        guard request.target != own.id.short, table.slot(of: request.target) != nil, helps.count < Help.countMax
        else {
            send(to: destination, at: now, sending: &sink) {
                Message.nack(Nack(probe: request.probe, target: request.target, reason: .unknown)).encode(into: &$0)
            }
            return
        }
        probeNumber &+= 1
        let budget = Nanoseconds.milliseconds(Int64(request.budgetMilliseconds))
        helps.append(
            Help(
                asker: asker, askersProbe: request.probe, number: probeNumber, target: request.target, began: now,
                nackAt: now + min(budget, timing.timeoutMax * 8 / 10 * (timing.awarenessMax + 1)), nextPing: now))
        stepHelp(helps.count - 1, at: now, sending: &sink)
    }

    private mutating func stepHelp<Sink: PacketSink>(_ place: Int, at now: Instant, sending sink: inout Sink) {
        var help = helps[place]
        if now >= help.nackAt {
            helps.remove(at: place)
            guard let asker = table.slot(of: help.asker)?.member.destination else { return }
            send(to: asker, at: now, sending: &sink) {
                Message.nack(Nack(probe: help.askersProbe, target: help.target, reason: .silent)).encode(into: &$0)
            }
            return
        }
        guard let target = table.slot(of: help.target)?.member else {
            helps.remove(at: place)
            return
        }
        let attempt = UInt8(help.sent)
        help.sent += 1
        help.nextPing = help.sent < timing.attempts ? now + timing.timeoutMax / 4 : .never
        helps[place] = help
        send(to: target.destination, at: now, sending: &sink) {
            Message.ping(Ping(probe: help.number, attempt: attempt, isOnBehalf: true)).encode(into: &$0)
        }
    }

    // MARK: The dead

    /// One ping a second to somebody dead: who hears of its own death answers, and a cut that has healed is found. And one
    /// to somebody suspect: the accusation may have been lost on the way, and a replica that has lost trust in itself
    /// probes it again only after seconds.
    private mutating func reachOut<Sink: PacketSink>(
        to status: MemberStatus, at now: Instant, sending sink: inout Sink
    ) {
        candidates.removeAll(keepingCapacity: true)
        for slot in table.slots
        where slot.member.status == status
            && (status == .suspect || (now >= slot.soughtAfter && isDrawn(slot.member, at: now)))
        {
            candidates.append(slot.member.short)
        }
        guard !candidates.isEmpty else { return }
        let chosen = candidates[Int(generator.below(UInt64(candidates.count)))]
        guard let member = table.slot(of: chosen)?.member else { return }
        probeNumber &+= 1
        let number = probeNumber
        send(to: member.destination, at: now, sending: &sink) {
            Message.ping(Ping(probe: number, attempt: 0)).encode(into: &$0)
            Message.member(member.record).encode(into: &$0)
        }
    }

    /// Dead for ten minutes: drawn every fifth time at most; for an hour: every sixtieth.
    private func isDrawn(_ member: Member, at now: Instant) -> Bool {
        let age = now.span(since: member.since).wholeSeconds
        let every: Int64 = age < 600 ? 1 : age < 3_600 ? 5 : 60
        return now.nanoseconds / 1_000_000_000 % every == 0
    }
}
