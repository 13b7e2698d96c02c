import Determinism
import Membership
import ReplicaCore
import WireCoding

/// What happens to processes: inputs come when they are free, wait when they are not, and cost time.
extension World {
    // MARK: Life

    mutating func start(_ place: Int) {
        guard processes[place].state == .down, phase != .over, !processes[place].isGoneForGood else { return }
        processes[place].life += 1
        processes[place].state = .running
        processes[place].busyUntil = now
        processes[place].armedAt = .never
        processes[place].armedFor = .never
        processes[place].crash = nil
        processes[place].leave = nil
        processes[place].slowness = 1
        let process = processes[place]
        let identity = process.disk.durable
        var id = identity?.id ?? ReplicaID(high: 0, low: 0)
        while !id.short.isDrawable { id = ReplicaID(high: lives.next(), low: lives.next()) }
        let own = MemberRecord(
            id: id, session: SessionID(rawValue: max(1, lives.next())), incarnation: Incarnation(rawValue: 0),
            agreement: 0x5ee1, httpPort: 8_000, address: process.address, versionMajor: 1,
            name: ShortText(clipping: "r\(place)"))
        let local = process.clock.local(now)
        let start = ReplicaStart(
            own: own, persisted: identity?.incarnation, unixSecondsAtZero: process.clock.unixSecondsAtZero,
            hasSeeds: options.replicas > 1, knownAddresses: process.known,
            keyring: process.disk.keyring ?? firstKeyring(of: process.cluster), timing: timing, bounds: bounds,
            gateBounds: gateBounds, seed: world.seed("replica \(place)", Int(process.life)))
        let sealing = ToySealing(
            cluster: process.cluster == 0 ? "flock" : "another flock",
            cookieSecret: world.seed("cookie \(place)", Int(process.life)))
        processes[place].replica = SimulatedProcess.Replica(ReplicaMachine(start, sealing: sealing, at: local))
        processes[place].deadline = local
        processes[place].membershipDeadline = .never
        let machineOwn = processes[place].replica!.machine.pointee.membership.own
        observer.began(place, life: process.life, own: machineOwn, isNewProcess: true)
        observer.disturbed(place, until: now)
        trace(
            place, "starts as \(machineOwn.id.short) at incarnation \(machineOwn.incarnation), address \(own.address)")
        if process.cluster == 0, phase == .faults { observer.watch(.join, observer.truths[place].session) }
        // A driver's first word.
        timer(of: place, nil)
    }

    /// The process is no more, at once.
    mutating func end(_ place: Int, answersDials: Bool) {
        guard processes[place].state.isUp else { return }
        if let membership = processes[place].replica?.machine.pointee.membership {
            processes[place].known = Array(
                membership.members.prefix(64).filter { !$0.status.isGone }.map(\.record.address))
        }
        processes[place].state = .down
        processes[place].refusesWhenDown = answersDials
        processes[place].replica = nil
        while let event = processes[place].inbox.popFirst() {
            if event.kind == .packet { arena.release(event.payload) }
        }
        processes[place].packetsWaiting = 0
        processes[place].isTickDue = false
        observer.ended(place)
        endStreams(of: place, answersDials: answersDials)
    }

    /// What everybody who knows the secret of a cluster begins with.
    private func firstKeyring(of cluster: UInt8) -> Keyring {
        Keyring(first: key(1, of: cluster))
    }

    /// Some key of a cluster.
    func key(_ number: Int, of cluster: UInt8) -> TrafficKey {
        var generator = SeededGenerator(seed: world.seed("keys of \(cluster)", number))
        var bytes: [UInt8] = []
        while bytes.count < 32 { bytes.append(UInt8(truncatingIfNeeded: generator.next())) }
        guard let secret = TrafficSecret(bytes) else { preconditionFailure("32 bytes are a secret") }
        // Two clusters may well use one id.
        return TrafficKey(id: UInt16(truncatingIfNeeded: 100 + number), secret: secret)
    }

    // MARK: Waiting

    /// Something comes to a process: now, or when it has time.
    mutating func arrive(_ event: WorldEvent) {
        let place = Int(event.target)
        let isPacket = event.kind == .packet
        guard processes[place].state.isUp, isPacket || event.life == processes[place].life else {
            if isPacket { arena.release(event.payload) }
            return
        }
        if processes[place].state == .running, processes[place].busyUntil <= now, processes[place].inbox.isEmpty {
            return give(event)
        }
        if isPacket {
            guard processes[place].packetsWaiting < SimulatedProcess.packetsWaitingMax else {
                return arena.release(event.payload)
            }
            processes[place].packetsWaiting += 1
        }
        let wasIdle = processes[place].inbox.isEmpty && !processes[place].isTickDue
        precondition(processes[place].inbox.append(event), "an inbox of \(SimulatedProcess.inboxMax) is full")
        if wasIdle { callWake(place) }
    }

    private mutating func callWake(_ place: Int) {
        guard processes[place].state == .running else { return }
        agenda.add(
            WorldEvent(.wake, target: place, life: processes[place].life), at: max(now, processes[place].busyUntil))
    }

    /// The next from the inbox; the timer only when it is empty, as the driver does.
    mutating func wake(_ place: Int) {
        guard processes[place].state == .running else { return }
        guard processes[place].busyUntil <= now else { return callWake(place) }
        if let event = processes[place].inbox.popFirst() {
            if event.kind == .packet { processes[place].packetsWaiting -= 1 }
            give(event)
        } else if processes[place].isTickDue {
            tick(place)
        }
        if processes[place].state.isUp, !processes[place].inbox.isEmpty || processes[place].isTickDue {
            callWake(place)
        }
    }

    mutating func resume(_ place: Int) {
        guard processes[place].state == .paused, processes[place].pausedUntil <= now else { return }
        processes[place].state = .running
        processes[place].busyUntil = now
        trace(place, "goes on")
        observer.disturbed(place, until: now)
        if plan.script.isEmpty == false { beginHealing() }
        // Its timer ran out meanwhile, most likely.
        processes[place].isTickDue = true
        callWake(place)
    }

    // MARK: The timer

    mutating func timer(of place: Int, _ event: WorldEvent?) {
        if let event {
            guard processes[place].state.isUp, event.life == processes[place].life, processes[place].armedAt == now
            else {
                return
            }
        }
        processes[place].armedAt = .never
        processes[place].armedFor = .never
        guard processes[place].state == .running, processes[place].busyUntil <= now, processes[place].inbox.isEmpty
        else {
            let wasIdle = processes[place].inbox.isEmpty && !processes[place].isTickDue
            processes[place].isTickDue = true
            if wasIdle { callWake(place) }
            return
        }
        tick(place)
    }

    private mutating func tick(_ place: Int) {
        processes[place].isTickDue = false
        let local = processes[place].clock.local(now)
        let deadline = processes[place].deadline
        // The deadline has moved on meanwhile: nothing to do yet.
        if local < deadline { return arm(place) }
        observer.measures.ticks[place] += 1
        tell(place, .tick, as: WorldEvent(.tick, target: place))
    }

    private mutating func arm(_ place: Int) {
        let deadline = processes[place].deadline
        guard deadline != processes[place].armedFor else { return }
        guard deadline < .never else { return }
        let at = max(now, processes[place].clock.world(deadline))
        // One that is set for earlier finds out by itself.
        if processes[place].armedAt <= at { return }
        processes[place].armedFor = deadline
        processes[place].armedAt = at
        agenda.add(WorldEvent(.tick, target: place, life: processes[place].life), at: at)
    }

    // MARK: Giving

    private mutating func give(_ event: WorldEvent) {
        let place = Int(event.target)
        switch event.kind {
        case .packet: receive(place, event)
        case .persisted:
            guard let identity = processes[place].disk.sync() else { return }
            observer.durable(place, identity)
            tell(place, .persisted(identity.incarnation), as: event)
        case .resolved:
            tell(place, .resolved((0..<min(3, options.replicas)).map { processes[$0].address }), as: event)
        case .order: give(place, orders[Int(event.payload)], as: event)
        case .opening: opened(place, event)
        case .dialled: dialled(place, event)
        case .frame: takeFrame(place, event)
        case .reset: reset(place, event)
        default: break
        }
    }

    private mutating func receive(_ place: Int, _ event: WorldEvent) {
        let packet = event.payload
        let provenance = arena.provenance[Int(packet)]
        let life = processes[place].life
        note(event)
        // Its bytes were hashed when it left.
        hash.update(UInt64(packet) << 1 | (provenance.isDamaged ? 1 : 0))
        let lag = lag(of: place)
        let local = processes[place].clock.local(now)
        // Who may not speak yet does not listen either.
        let listens = observer.note(place).isDurable
        processes[place].replica!.machine.pointee.receive(
            arena.packet(packet), from: provenance.from, at: local, datagrams: &outbox, into: &effects)
        var dropped: DropReason?
        var hasEffects = false
        for effect in effects {
            if case .dropped(let reason, _) = effect { dropped = reason } else { hasEffects = true }
        }
        var answerBytes = 0
        if dropped != nil { for entry in outbox.entries { answerBytes += entry.count } }
        if listens {
            observer.delivered(
                Observer.Delivery(
                    packet: packet, receiver: place, life: life, sealedAt: provenance.sealedAt,
                    origin: Int(provenance.origin), intended: Int(provenance.intended), isDamaged: provenance.isDamaged,
                    wasApplied: arena.wasApplied(packet, by: place, life: life), bytes: Int(provenance.count)),
                dropped: dropped, hasEffects: hasEffects, answers: outbox.entries.count, answerBytes: answerBytes)
        }
        if tell != nil, let dropped { trace(place, "drops what r\(provenance.origin) sent: \(dropped.word)") }
        let isApplied = listens && dropped == nil
        if isApplied { arena.noteApplied(packet, by: place, life: life) }
        depth = min(provenance.depth, 250) + 1
        cause = Int(provenance.origin)
        // One that took longer than the pause between hellos may be answered anew: that is no chain, it is another try.
        let isLate = now.span(since: provenance.sealedAt) >= gateBounds.helloEvery
        hellos = arena.isHello(packet) ? (isLate ? 1 : min(provenance.hellos, 250) + 1) : 0
        // A packet that is dropped at the gate tells membership nothing.
        perform(place, local: local, lag: isApplied ? lag : .zero)
        // Whoever has just begun another life has not read on.
        if isApplied, processes[place].state.isUp, observer.note(place).isDurable {
            let text = arena.text(packet)
            if observer.hasNews(text) {
                observer.heard(
                    place, text, own: processes[place].replica!.machine.pointee.membership.own,
                    table: processes[place].replica!.machine.pointee.membership.table, local: local)
            }
        }
        arena.release(packet)
    }

    /// By how much a process is late, as it will find.
    @inline(__always)
    private func lag(of place: Int) -> Nanoseconds {
        let deadline = processes[place].membershipDeadline
        guard deadline < .never else { return .zero }
        return max(.zero, processes[place].clock.local(now).span(since: deadline))
    }

    mutating func tell(_ place: Int, _ input: MembershipInput, as event: WorldEvent) {
        give(place, .membership(input), as: event)
    }

    private mutating func give(_ place: Int, _ input: ReplicaInput, as event: WorldEvent) {
        note(event)
        let lag = lag(of: place)
        let local = processes[place].clock.local(now)
        processes[place].replica!.machine.pointee.handle(input, at: local, datagrams: &outbox, into: &effects)
        depth = 0
        hellos = 0
        cause = -1
        perform(place, local: local, lag: lag)
    }

    /// Does what the machine asked for, and sets its timer.
    private mutating func perform(_ place: Int, local: Instant, lag: Nanoseconds) {
        processes[place].busyUntil =
            now + .nanoseconds(SimulatedProcess.usualCost.rawValue * Int64(processes[place].slowness))
        let own = processes[place].replica!.machine.pointee.membership.own
        // What concerns its other parts alone leaves membership as late as it is: it counts once, when it is told.
        let lag = processes[place].replica!.machine.pointee.membership.nextDeadline <= local ? .zero : lag
        if !effects.isEmpty { announceSessions(place) }
        observer.handled(
            place, own: own, members: processes[place].replica!.machine.pointee.membership.table.slots.count,
            removed: processes[place].replica!.machine.pointee.membership.removed.entries.count, local: local, lag: lag)
        let count = outbox.entries.count + effects.count
        var done = count
        let crash = processes[place].crash
        if crash != nil, count > 0 { done = Int(lives.below(UInt64(count + 1))) }
        sendOutbox(place, upTo: done)
        if !effects.isEmpty { obeyEffects(place, upTo: done - outbox.entries.count, local: local, lag: lag) }
        outbox.removeAll()
        effects.drain()
        if let crash, count > 0, processes[place].state.isUp { return self.crash(place, crash) }
        if processes[place].state.isUp {
            processes[place].deadline = processes[place].replica!.machine.pointee.nextDeadline
            processes[place].membershipDeadline = processes[place].replica!.machine.pointee.membership.nextDeadline
            arm(place)
        }
    }

    /// A machine may raise its incarnation twice and take another session within one input: each is announced.
    private mutating func announceSessions(_ place: Int) {
        for index in effects.indices {
            guard case .membership(let effect) = effects[index] else { continue }
            switch effect {
            case .persist(let identity): observer.raised(place, identity)
            case .becomes:
                let own = processes[place].replica!.machine.pointee.membership.own
                observer.began(place, life: processes[place].life, own: own, isNewProcess: false)
                trace(place, "becomes \(own.id.short)")
            default: break
            }
        }
    }
}
