import Determinism
import WireCoding

/// Finding the flock, and letting others in.
extension MembershipMachine {
    mutating func nextStream() -> StreamID {
        streamNumber = (streamNumber + 1) & ~StreamID.acceptedBit
        return StreamID(rawValue: streamNumber)
    }

    private var hasSomewhereToKnock: Bool {
        hasSeeds || !knocking.known.isEmpty || !knocking.ordered.isEmpty
    }

    mutating func beginJoining(at now: Instant, into effects: inout [MembershipEffect]) {
        knocking.rounds = 0
        knocking.refusedRounds = 0
        knocking.queue = []
        knocking.nextKnock = .never
        guard hasSomewhereToKnock else {
            phase = .joining
            return becomeMember(isFounder: true, at: now, into: &effects)
        }
        phase = .joining
        knocking.nextRound = now
        knocking.aloneAt = now + timing.aloneAfter
    }

    private mutating func becomeMember(
        isFounder: Bool, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        guard phase == .joining else { return }
        phase = .member
        knocking.aloneAt = .never
        knocking.aloneSince = now
        knocking.isDeserted = table.presentCount == 0
        if table.presentCount == 0 { effects.append(.observed(.alone)) }
        // Who founds alone has nobody to wait for; who joins is an authority only once it has stayed.
        settlesAt = isFounder && table.presentCount == 0 ? now : now + timing.settledAfter
        changeFlags(
            set: own.flags.contains(.draining) ? [] : .ready, clear: [], at: now, into: &effects)
    }

    mutating func advanceJoin<Sink: PacketSink>(
        to now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        if now >= knocking.aloneAt { becomeMember(isFounder: true, at: now, into: &effects) }
        noteDesertion(at: now)
        if now >= knocking.nextRound, !knocking.isResolving {
            knocking.nextRound = .never
            knocking.isResolving = true
            effects.append(.resolveSeeds)
        }
        if now >= knocking.nextKnock { knock(at: now, into: &effects) }
        for index in twinChecks.indices.reversed()
        where twinChecks[index].hasAnswered || now >= twinChecks[index].until {
            let check = twinChecks.remove(at: index)
            if check.hasAnswered {
                refuse(check.stream, .identityInUse, into: &effects)
            } else {
                letIn(check.joiner, on: check.stream, at: now, into: &effects)
            }
        }
    }

    /// The last of the others has gone: whoever looked seeds up once a minute among members does so at once.
    private mutating func noteDesertion(at now: Instant) {
        let isDeserted = phase == .member && table.presentCount == 0
        guard isDeserted != knocking.isDeserted else { return }
        knocking.isDeserted = isDeserted
        guard isDeserted, hasSomewhereToKnock else { return }
        knocking.aloneSince = now
        if !knocking.isResolving, knocks.isEmpty {
            knocking.nextRound = min(knocking.nextRound, now + jittered(Knocking.aloneEvery))
        }
    }

    mutating func resolved(_ addresses: [PeerAddress], at now: Instant, into effects: inout [MembershipEffect]) {
        guard maySpeak, knocking.isResolving else { return }
        knocking.isResolving = false
        knocking.rounds += 1
        knocking.wasOnlyRefused = true
        var candidates: [PeerAddress] = []
        let isAlone = table.presentCount == 0
        for address in knocking.estranged where !candidates.contains(address) { candidates.append(address) }
        knocking.estranged.removeAll()
        for address in addresses + knocking.ordered + (isAlone ? knocking.known : [])
        where candidates.count < Knocking.addressesMax && !candidates.contains(address) && isStrange(address) {
            candidates.append(address)
        }
        Shuffle.all(&candidates, drawing: &generator)
        knocking.foundNewAddresses = !candidates.isEmpty
        knocking.queue = candidates
        if candidates.isEmpty { endRound(at: now, into: &effects) } else { knocking.nextKnock = now }
    }

    /// Neither this replica nor one that is here.
    private func isStrange(_ address: PeerAddress) -> Bool {
        address != own.address && !knocking.own.contains(address)
            && !table.slots.contains { !$0.member.status.isGone && $0.member.record.address == address }
    }

    private mutating func knock(at now: Instant, into effects: inout [MembershipEffect]) {
        knocking.nextKnock = .never
        guard knocks.count < Knocking.atOnce, let address = knocking.queue.popLast() else { return }
        let stream = nextStream()
        knocks.append(Knock(stream: stream, address: address))
        effects.append(.openStream(stream, to: address, .join, within: Knocking.connectWithin.duration))
        if !knocking.queue.isEmpty { knocking.nextKnock = now + Knocking.apart }
    }

    private mutating func endRound(at now: Instant, into effects: inout [MembershipEffect]) {
        if phase == .joining {
            if knocking.wasOnlyRefused { knocking.refusedRounds += 1 }
            if knocking.refusedRounds >= 2 { becomeMember(isFounder: true, at: now, into: &effects) }
        }
        if phase == .joining {
            let doubled = Knocking.backoffMin * (1 << min(knocking.rounds - 1, 5))
            knocking.nextRound = now + jittered(min(doubled, Knocking.backoffMax))
        } else if !hasSomewhereToKnock {
            knocking.nextRound = .never
        } else if table.presentCount == 0 {
            let isFresh = now.span(since: knocking.aloneSince) < Knocking.aloneFor
            knocking.nextRound = now + jittered(isFresh ? Knocking.aloneEvery : Knocking.laterEvery)
        } else {
            knocking.nextRound =
                now + jittered(knocking.foundNewAddresses ? Knocking.laterEvery : Knocking.settledEvery)
        }
        if !knocking.estranged.isEmpty { knocking.nextRound = now }
    }

    /// ± a quarter.
    mutating func jittered(_ span: Nanoseconds) -> Nanoseconds {
        let half = UInt64(span.rawValue / 2)
        return Nanoseconds(rawValue: span.rawValue - Int64(half / 2) + Int64(generator.below(half + 1)))
    }

    private mutating func endKnock(
        _ index: Int, failure: StreamFailure?, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let knock = knocks.remove(at: index)
        if failure != .refused { knocking.wasOnlyRefused = false }
        if let failure { effects.append(.observed(.joinFailed(knock.address, failure))) }
        if knocking.queue.isEmpty {
            if knocks.isEmpty { endRound(at: now, into: &effects) }
        } else {
            knocking.nextKnock = min(knocking.nextKnock, now)
        }
    }

    // MARK: Streams

    mutating func streamOpened(_ id: StreamID, at now: Instant, into effects: inout [MembershipEffect]) {
        if knocks.contains(where: { $0.stream == id }) {
            effects.append(.sendFrame(id, .joinRequest(own)))
        } else if syncs.contains(where: { $0.stream == id }) {
            effects.append(.sendFrame(id, .summary(summary)))
        } else if let probe, probe.stream == id {
            effects.append(
                .sendFrame(id, .ping(Ping(probe: probe.number, attempt: 0), destination: probe.target)))
        } else {
            // Somebody listens where others were refused, or what wanted it is over.
            if let dial = dials.firstIndex(where: { $0.stream == id }) {
                dialled(dial, isRefused: false, at: now, into: &effects)
            }
            effects.append(.closeStream(id))
        }
    }

    mutating func streamFailed<Sink: PacketSink>(
        _ id: StreamID, _ failure: StreamFailure, at now: Instant, sending sink: inout Sink,
        into effects: inout [MembershipEffect]
    ) {
        if let index = knocks.firstIndex(where: { $0.stream == id }) {
            endKnock(index, failure: failure, at: now, into: &effects)
        } else if let index = syncs.firstIndex(where: { $0.stream == id }) {
            syncs.remove(at: index)
        } else if let index = dials.firstIndex(where: { $0.stream == id }) {
            dialled(index, isRefused: failure == .refused, at: now, into: &effects)
        } else if probe?.stream == id {
            probe?.stream = nil
            if failure == .refused { probeWasRefused(at: now, into: &effects) }
        } else {
            accepted.removeAll { $0.id == id }
            twinChecks.removeAll { $0.stream == id }
        }
    }

    mutating func streamAccepted(
        _ id: StreamID, _ purpose: StreamPurpose, from: PeerAddress, at now: Instant,
        into effects: inout [MembershipEffect]
    ) {
        let sameSource = accepted.count { $0.from.isSameSource(as: from) }
        guard maySpeak, accepted.count < bounds.streamsAccepted + bounds.probeStreamsAccepted,
            sameSource < bounds.streamsPerSource
        else {
            effects.append(.closeStream(id))
            return
        }
        accepted.append(AcceptedStream(id: id, purpose: purpose, from: from))
    }

    mutating func streamFrame<Sink: PacketSink>(
        _ id: StreamID, _ frame: StreamFrame, at now: Instant, sending sink: inout Sink,
        into effects: inout [MembershipEffect]
    ) {
        guard maySpeak else { return }
        if id.isAccepted {
            acceptedFrame(id, frame, at: now, sending: &sink, into: &effects)
        } else if let index = knocks.firstIndex(where: { $0.stream == id }) {
            knockFrame(index, frame, at: now, into: &effects)
        } else if let index = syncs.firstIndex(where: { $0.stream == id }) {
            syncFrame(index, frame, at: now, into: &effects)
        } else if let probe, probe.stream == id, case .ack(let ack, let answerer) = frame, answerer == probe.target {
            acknowledgedByStream(ack, at: now, into: &effects)
        }
    }

    private mutating func acceptedFrame<Sink: PacketSink>(
        _ id: StreamID, _ frame: StreamFrame, at now: Instant, sending sink: inout Sink,
        into effects: inout [MembershipEffect]
    ) {
        guard let index = accepted.firstIndex(where: { $0.id == id }) else { return }
        let stream = accepted[index]
        switch (stream.purpose, stream.use, frame) {
        case (.peer, .unknown, .ping(let ping, let destination)), (.peer, .probe, .ping(let ping, let destination)):
            accepted[index].use = .probe
            guard destination == own.id.short else { return end(id, into: &effects) }
            let ack = Ack(probe: ping.probe, attempt: ping.attempt)
            effects.append(.sendFrame(id, .ack(ack, destination: destination)))
        case (.join, .unknown, .joinRequest(let joiner)):
            guard isFree(for: .join) else { return refuse(id, .busy, into: &effects) }
            accepted[index].use = .join
            examine(joiner, on: id, at: now, sending: &sink, into: &effects)
        case (.peer, .unknown, .summary(let theirs)):
            guard isFree(for: .sync) else { return end(id, into: &effects) }
            accepted[index].use = .sync
            effects.append(.sendFrame(id, .summary(summary)))
            sendRecords(on: id, unlike: theirs, at: now, into: &effects)
        case (.peer, .sync, .records(let messages)):
            mergeRecords(messages, at: now, into: &effects)
        case (_, _, .keyring): break
        default: end(id, into: &effects)
        }
    }

    /// Probes have places of their own: a storm of syncs must not block the last way to answer (W10).
    private func isFree(for use: AcceptedStream.Use) -> Bool {
        accepted.reduce(0) { $0 + ($1.use == .join || $1.use == .sync ? 1 : 0) } < bounds.streamsAccepted
    }

    private mutating func end(_ id: StreamID, into effects: inout [MembershipEffect]) {
        accepted.removeAll { $0.id == id }
        effects.append(.closeStream(id))
    }

    // MARK: Letting in

    private mutating func examine<Sink: PacketSink>(
        _ joiner: MemberRecord, on id: StreamID, at now: Instant, sending sink: inout Sink,
        into effects: inout [MembershipEffect]
    ) {
        if joiner.protocolMin > own.protocolMax { return refuse(id, .protocolTooNew, into: &effects) }
        if joiner.protocolMax < own.protocolMin { return refuse(id, .protocolTooOld, into: &effects) }
        if joiner.id == own.id {
            guard joiner.session == own.session else { return refuse(id, .identityInUse, into: &effects) }
            // It knocked at its own door: it will know its own record.
            effects.append(.sendFrame(id, .records([.member(own)])))
            effects.append(.sendFrame(id, .done))
            return end(id, into: &effects)
        }
        guard joiner.id.short.isDrawable, joiner.session.rawValue != 0, joiner.id.short != own.id.short else {
            return refuse(id, .shortIDTaken, into: &effects)
        }
        if let held = table.slot(of: joiner.id.short)?.member {
            if held.id != joiner.id { return refuse(id, .shortIDTaken, into: &effects) }
            if !held.status.isGone, held.record.session != joiner.session, held.record.address != joiner.address {
                guard twinChecks.count < TwinCheck.countMax else { return refuse(id, .busy, into: &effects) }
                twinChecks.append(
                    TwinCheck(
                        stream: id, joiner: joiner, session: held.record.session, until: now + TwinCheck.patience))
                probeNumber &+= 1
                let number = probeNumber
                send(to: held.destination, at: now, sending: &sink) {
                    Message.ping(Ping(probe: number, attempt: 0)).encode(into: &$0)
                }
                return
            }
        }
        letIn(joiner, on: id, at: now, into: &effects)
    }

    private mutating func refuse(_ id: StreamID, _ refusal: JoinRefusal, into effects: inout [MembershipEffect]) {
        effects.append(.sendFrame(id, .joinRefused(refusal)))
        end(id, into: &effects)
    }

    private mutating func letIn(
        _ joiner: MemberRecord, on id: StreamID, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        var record = joiner
        record.status = .alive
        merge(record, age: 0, from: .stream, at: now, into: &effects)
        sendRecords(on: id, unlike: [], at: now, into: &effects)
        end(id, into: &effects)
    }

    private mutating func knockFrame(
        _ index: Int, _ frame: StreamFrame, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        let knock = knocks[index]
        switch frame {
        case .joinRefused(let refusal):
            effects.append(.observed(.joinRefused(knock.address, refusal)))
            effects.append(.closeStream(knock.stream))
            endKnock(index, failure: nil, at: now, into: &effects)
            switch refusal {
            case .shortIDTaken: renew(because: .shortIDTaken, at: now, into: &effects)
            case .identityInUse: renew(because: .twin, at: now, into: &effects)
            case .protocolTooOld, .protocolTooNew, .busy: break
            }
        case .records(let messages):
            if case .member(let record) = messages.first, record.id == own.id, record.session == own.session {
                if knocking.own.count < Knocking.addressesMax { knocking.own.append(knock.address) }
                return
            }
            mergeRecords(messages, at: now, into: &effects)
        case .done:
            effects.append(.closeStream(knock.stream))
            let isOwn = knocking.own.contains(knock.address)
            endKnock(index, failure: isOwn ? .refused : nil, at: now, into: &effects)
            // Its own news may have ended this life meanwhile.
            guard !isOwn, maySpeak else { return }
            effects.append(.observed(.joined(members: replicas)))
            if phase == .joining {
                becomeMember(isFounder: false, at: now, into: &effects)
            } else {
                tellOwn(lane: 4, at: now, into: &effects)
            }
        case .keyring: break
        default:
            effects.append(.closeStream(knock.stream))
            endKnock(index, failure: .malformed, at: now, into: &effects)
        }
    }
}
