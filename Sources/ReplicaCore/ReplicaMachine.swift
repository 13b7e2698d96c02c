package import Determinism
package import Membership
package import WireCoding

/// A replica's part in the flock, whole: the gate of its packets, the members, the keys, and what all know of workers.
///
/// One owner tells it everything and does what it asks for. Packets go out through the `DatagramOutbox` of the caller,
/// everything else through `effects`, in the order in which it is to be done. `+Keys` has the ring's part, `+Flock` the
/// workers'.
package struct ReplicaMachine: Sendable {
    var sink: GateSink
    package internal(set) var membership: MembershipMachine
    /// What membership asked for, before it is passed on. Kept for its room.
    var asked: [MembershipEffect] = []
    /// Milliseconds of the wall clock where `Instant` is zero.
    var wallAtZero: Int64

    package internal(set) var keyring: Keyring
    /// The ring as streams carry it: nearly every one that is heard is this.
    var keyringFrame: [UInt8] = []
    var promotion = KeyPromotion()
    /// When a retired key's day is over.
    var sweepsAt = Instant.never
    /// Members or keys have changed since promotion was considered.
    var considersPromotion = true
    var wantedRing: WantedRing?
    var unknownKeys = UnknownKeys()

    var flock: WorkerFlock
    var flockIsTold = true
    /// What the workers' part was last told of this replica itself.
    var shownOwnChanges: UInt64
    var disagreement = Disagreement()

    /// When to come back with a tick at the latest. Kept, since it is asked for after each input and by others than the owner.
    package private(set) var nextDeadline: Instant

    package init(_ start: ReplicaStart, sealing: some PacketSealing, at now: Instant) {
        membership = MembershipMachine(
            own: start.own, persisted: start.persisted, unixSecondsAtZero: start.unixSecondsAtZero,
            hasSeeds: start.hasSeeds, knownAddresses: start.knownAddresses, timing: start.timing, bounds: start.bounds,
            seed: start.seed, at: now)
        keyring = start.keyring
        wallAtZero = max(0, min(start.unixSecondsAtZero, .max / 2_000)) * 1_000
        let own = membership.own
        sink = GateSink(
            gate: PacketGate(sealing: sealing, session: own.session, bounds: start.gateBounds, at: now))
        flock = WorkerFlock(me: own.id.short, epoch: own.incarnation.rawValue)
        shownOwnChanges = membership.ownChanges
        nextDeadline = now
        flock.setWall(milliseconds: wall(at: now), at: now)
        flock.memberChanged(Member(record: own, since: now), at: now)
        useKeyring()
        nextDeadline = deadline
    }

    package mutating func handle(
        _ input: ReplicaInput, at now: Instant, datagrams: inout DatagramOutbox, into effects: inout [ReplicaEffect]
    ) {
        swap(&sink.datagrams, &datagrams)
        defer { swap(&sink.datagrams, &datagrams) }
        switch input {
        case .membership(let input):
            tell(input, at: now, into: &effects)
            if case .streamFrame(_, let frame) = input { heard(frame, at: now, into: &effects) }
        case .keyring(let command): obey(command, at: now, into: &effects)
        case .wall(let milliseconds):
            wallAtZero = Int64(clamping: milliseconds) &- now.nanoseconds / 1_000_000
            flock.setWall(milliseconds: milliseconds, at: now)
            renewSweep()
        case .observed, .loads, .order, .workers, .block: tellFlock(input, at: now)
        }
        conclude(at: now, into: &effects)
        nextDeadline = deadline
    }

    /// A datagram came. What the gate lets through is applied before this returns.
    package mutating func receive(
        _ datagram: UnsafeRawBufferPointer, from source: PeerAddress, at now: Instant,
        datagrams: inout DatagramOutbox, into effects: inout [ReplicaEffect]
    ) {
        // Before the incarnation is durable nothing may leave, the gate's own answers included (M2).
        guard membership.maySpeak else { return }
        swap(&sink.datagrams, &datagrams)
        defer { swap(&sink.datagrams, &datagrams) }
        let passage = sink.gate.receive(datagram, from: source, own: header, at: now, datagrams: &sink.datagrams)
        switch passage {
        case .dropped(let reason):
            effects.append(.dropped(reason, from: source))
            if reason == .key { heardUnknownKey(from: source, at: now, into: &effects) }
        case .passed(let isNew):
            tell(.packet(sink.gate.packet), at: now, into: &effects)
            if isNew { markSpeaker() }
            hearPacket(at: now, into: &effects)
        }
        if sink.gate.owesEcho { sink.gate.settle(own: header, datagrams: &sink.datagrams) }
        if case .passed = passage { conclude(at: now, into: &effects) }
        nextDeadline = deadline
    }

    @inline(__always)
    private var deadline: Instant {
        let deadline = min(membership.nextDeadline, flock.nextDeadline, wantedRing?.nextTry ?? .never)
        return min(deadline, promotion.nextDeadline ?? .never, sweepsAt)
    }

    // MARK: Parts

    /// Tells membership, and does what it asks for.
    mutating func tell(_ input: MembershipInput, at now: Instant, into effects: inout [ReplicaEffect]) {
        membership.handle(input, at: now, sending: &sink, into: &asked)
        passOnAsked(at: now, into: &effects)
    }

    mutating func passOnAsked(at now: Instant, into effects: inout [ReplicaEffect]) {
        guard !asked.isEmpty else { return }
        for effect in asked {
            switch effect {
            case .becomes(let id, let session):
                sink.gate.become(session)
                flock.becomes(id.short, at: now)
                flockIsTold = true
            case .changed(let member, _):
                sink.gate.mark(member.record.session, isMember: !member.status.isGone)
                flock.memberChanged(member, at: now)
                flockIsTold = true
                considersPromotion = true
            case .forgot(let id):
                flock.memberForgotten(id.short, at: now)
                flockIsTold = true
                considersPromotion = true
            case .sendFrame(let stream, .joinRequest):
                // Whoever lets it in may have missed a rotation as well as the one who joins.
                effects.append(.membership(.sendFrame(stream, .keyring(keyringFrame))))
            case .sendOtherRecords(let stream):
                sendOtherRecords(on: stream, at: now, into: &effects)
                continue
            default: break
            }
            effects.append(.membership(effect))
        }
        asked.drain()
    }

    /// Everything that follows from what was told.
    private mutating func conclude(at now: Instant, into effects: inout [ReplicaEffect]) {
        if membership.ownChanges != shownOwnChanges {
            shownOwnChanges = membership.ownChanges
            flock.memberChanged(Member(record: membership.own, since: now), at: now)
            flockIsTold = true
            considersPromotion = true
        }
        concludeKeys(at: now, into: &effects)
        concludeFlock(at: now, into: &effects)
    }

    /// Of this replica's packets; the destination is whoever gets it.
    @inline(__always)
    private var header: PacketHeader {
        PacketHeader(
            destination: ReplicaShortID(rawValue: 0), source: membership.own.id.short,
            incarnation: membership.own.incarnation, membershipDigest: membership.digest,
            keyLogDigest: membership.keyLogDigest)
    }

    /// Who has just proven itself may be known from others already.
    private mutating func markSpeaker() {
        let packet = sink.gate.packet
        guard let member = membership.table.slot(of: packet.header.source)?.member,
            member.record.session == packet.session, !member.status.isGone
        else { return }
        sink.gate.mark(packet.session, isMember: true)
    }

    func wall(at now: Instant) -> UInt64 {
        UInt64(max(0, wallAtZero.addingReportingOverflow(now.nanoseconds / 1_000_000).partialValue))
    }
}
