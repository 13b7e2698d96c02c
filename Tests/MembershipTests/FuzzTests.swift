import Determinism
import Testing
import WireCoding

@testable import Membership

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Members are trusted; a buggy one must still not bring the flock down.
struct FuzzTests {
    /// `MEMBERSHIP_FUZZ_INPUTS` for a longer run.
    private static let inputs = getenv("MEMBERSHIP_FUZZ_INPUTS").flatMap { Int(String(cString: $0)) } ?? 5_000

    private static func tinyBounds() -> MembershipBounds {
        var bounds = MembershipBounds()
        (bounds.members, bounds.removed, bounds.rumours, bounds.rumourBytes) = (8, 4, 4, 512)
        (bounds.unreceiptedPerPeer, bounds.streamsAccepted, bounds.probeStreamsAccepted) = (4, 4, 4)
        (bounds.seeds, bounds.bytesPerSecond, bounds.burstBytes) = (4, 10_000, 4_000)
        return bounds
    }

    @Test("M12, M23: whatever members say, bounds hold, nothing traps, and it can be repeated", arguments: 0..<4)
    func fuzz(seed: UInt64) {
        let first = Self.run(seed: seed, inputs: Self.inputs)
        #expect(first.broken == nil)
        #expect(first.effects > Self.inputs / 10, "the inputs reached nothing")
        if seed == 0 {
            let again = Self.run(seed: seed, inputs: Self.inputs / 10, traces: true)
            let half = Self.run(seed: seed, inputs: Self.inputs / 10, traces: true)
            #expect(again.trace.digest() == half.trace.digest() && again.effects == half.effects)
        }
    }

    private struct Outcome {
        var trace = StableHash64()
        var effects = 0
        var broken: String?
    }

    private static func run(seed: UInt64, inputs: Int, traces: Bool = false) -> Outcome {
        var random = SeededGenerator(seed: 1_000 + seed)
        let bounds = seed % 2 == 0 ? tinyBounds() : MembershipBounds()
        var machine = MembershipMachine(
            own: .numbered(0).with { $0.flags = [] }, persisted: nil, unixSecondsAtZero: 1_000_000, hasSeeds: true,
            bounds: bounds, seed: seed, at: .zero)
        var doctor = Doctor(random: SeededGenerator(seed: 2_000 + seed))
        var sink = TestFlock.Sink()
        var outcome = Outcome()
        var now = Instant.zero
        var effects: [MembershipEffect] = []
        var asked: [MembershipInput] = [.tick]
        for step in 0..<inputs {
            let isDue = machine.nextDeadline <= now
            let input = asked.popLast() ?? (isDue ? .tick : doctor.input(for: machine))
            if random.below(4) == 0 { now = now + Nanoseconds.milliseconds(Int64(random.below(120))) }
            if random.below(2_000) == 0 { now = now + Nanoseconds.seconds(Int64(random.below(100_000))) }
            machine.handle(input, at: now, sending: &sink, into: &effects)
            for effect in effects {
                switch effect {
                case .persist(let identity): asked.append(.persisted(identity.incarnation))
                case .resolveSeeds:
                    asked.append(.resolved((0..<UInt32(random.below(90))).map { TestFlock.address(Int($0)) }))
                case .openStream(let id, _, _, _):
                    doctor.streams.append(id)
                    if random.below(2) == 0 { asked.append(.streamOpened(id)) }
                default: break
                }
            }
            if traces { outcome.trace.update("\(effects)") }
            for packet in sink.sent {
                outcome.trace.update(packet.counter)
                outcome.trace.update(UInt64(packet.bytes.count))
                if packet.bytes.count > Datagram.messageBytesMax { outcome.broken = "W2 at step \(step)" }
            }
            outcome.effects += effects.count
            if outcome.broken == nil, step % 20 == 0 {
                outcome.broken = broken(machine, bounds).map { "\($0) at step \(step)" }
            }
            effects.removeAll(keepingCapacity: true)
            sink.sent.removeAll(keepingCapacity: true)
            if doctor.streams.count > 64 { doctor.streams.removeFirst() }
        }
        return outcome
    }

    /// The bound that does not hold.
    private static func broken(_ machine: MembershipMachine, _ bounds: MembershipBounds) -> String? {
        let sizes: [(String, Int, Int)] = [
            ("members", machine.table.count, bounds.members),
            ("removed", machine.removed.entries.count, bounds.removed),
            ("rumours", machine.rumours.count, bounds.rumours),
            ("rumour bytes", machine.rumours.byteCount, bounds.rumourBytes),
            ("suspicions", machine.suspicions.count, bounds.members), ("posts", machine.posts.count, 256),
            ("helps", machine.helps.count, Help.countMax), ("dials", machine.dials.count, Dial.countMax),
            ("knocks", machine.knocks.count, Knocking.atOnce), ("syncs", machine.syncs.count, Sync.atOnce),
            ("accepted", machine.accepted.count, bounds.streamsAccepted + bounds.probeStreamsAccepted),
            ("twins", machine.twinChecks.count, TwinCheck.countMax), ("round", machine.round.count, 2 * bounds.members),
            ("queue", machine.knocking.queue.count, Knocking.addressesMax),
            ("own", machine.knocking.own.count, Knocking.addressesMax),
            ("estranged", machine.knocking.estranged.count, Knocking.estrangedMax),
            ("ordered", machine.knocking.ordered.count, bounds.seeds), ("awareness", machine.awareness, 7),
        ]
        if let size = sizes.first(where: { $0.1 > $0.2 }) { return "M12: \(size)" }
        for suspicion in machine.suspicions where suspicion.accusers.count > 7 { return "M4" }
        for post in machine.posts
        where post.awaited.count > bounds.unreceiptedPerPeer || post.owed.count > 16 || post.waiting.count > 256 {
            return "M12: post"
        }
        var digest: UInt64 = 0
        var present = 0
        for slot in machine.table.slots where !slot.member.status.isGone {
            present += 1
            if !slot.isPartial { digest &+= DigestTerm.of(slot.member.record) }
        }
        if present != machine.table.presentCount || digest != machine.table.digest { return "sums of the table" }
        if machine.table.slot(of: machine.own.id.short) != nil { return "itself a member" }
        for suspicion in machine.suspicions {
            guard machine.table.slot(of: suspicion.subject)?.member.record.status == .suspect else {
                return "a suspicion of nobody"
            }
        }
        return nil
    }
}

/// Makes valid inputs with wrong contents: numbers at their ends, other people's names, the machine's own secrets.
private struct Doctor {
    var random: SeededGenerator
    var streams: [StreamID] = []

    mutating func input(for machine: MembershipMachine) -> MembershipInput {
        switch random.below(40) {
        case 0..<26:
            let messages = (0..<(1 + random.below(4))).map { _ in message(for: machine) }
            let source = record(for: machine)
            return .packet(
                ReceivedPacket(
                    from: random.below(2) == 0 ? source.address : address(), session: source.session,
                    counter: random.next(), wantsReceipt: random.below(2) == 0,
                    header: PacketHeader(
                        destination: machine.own.id.short, source: source.id.short, incarnation: source.incarnation,
                        membershipDigest: random.below(2) == 0 ? machine.digest : random.next()),
                    messages: messages))
        case 26, 27:
            let id = StreamID(rawValue: StreamID.acceptedBit | UInt32(random.below(40)))
            streams.append(id)
            return .streamAccepted(id, random.below(2) == 0 ? .join : .peer, from: address())
        case 28..<33: return .streamFrame(stream(), frame(for: machine))
        case 33: return .streamFailed(stream(), StreamFailure.allCases[Int(random.below(7))])
        case 34: return .streamClosed(stream())
        case 35: return .streamOpened(stream())
        case 36:
            return .changed(
                .flags(
                    set: MemberFlags(rawValue: UInt8(random.below(64))),
                    clear: MemberFlags(rawValue: UInt8(random.below(64)))))
        case 37: return random.below(3) == 0 ? .changed(.address(address())) : .tick
        case 38:
            if random.below(2) == 0 { return .command(.join((0..<random.below(9)).map { _ in address() })) }
            if random.below(2) == 0 { return .command(.rejoin(address())) }
            return .command(.forceLeave(record(for: machine).id, prune: random.below(2) == 0))
        default: return random.below(20) == 0 ? .clockBroke : .resolved((0..<random.below(9)).map { _ in address() })
        }
    }

    private mutating func stream() -> StreamID {
        streams.isEmpty ? StreamID(rawValue: 1) : streams[Int(random.below(UInt64(streams.count)))]
    }

    private mutating func address() -> PeerAddress { TestFlock.address(Int(random.below(30))) }

    private mutating func number() -> UInt32 {
        switch random.below(6) {
        case 0: 0
        case 1: .max
        case 2: .max - 1
        case 3: 1_000 + UInt32(random.below(3))
        case 4: 1_000_000 + UInt32(random.below(100))
        default: UInt32(truncatingIfNeeded: random.next())
        }
    }

    private mutating func record(for machine: MembershipMachine) -> MemberRecord {
        var record: MemberRecord
        switch random.below(10) {
        case 0: record = machine.own
        case 1..<6 where machine.table.count > 0:
            record = machine.table[Int(random.below(UInt64(machine.table.count)))].member.record
        default: record = .numbered(Int(random.below(20)), life: random.below(2))
        }
        if random.below(3) == 0 { record.incarnation = Incarnation(rawValue: number()) }
        if random.below(20) == 0 { record.session = SessionID(rawValue: random.below(2) == 0 ? 0 : random.next()) }
        if random.below(40) == 0 {
            record.id = ReplicaID(high: random.below(2) == 0 ? 0 : random.next(), low: random.next())
        }
        record.status = MemberStatus.allCases[Int(random.below(4))]
        if random.below(10) == 0 { record.address = address() }
        if random.below(30) == 0 { (record.protocolMin, record.protocolMax) = (9, 0) }
        return record
    }

    private mutating func message(for machine: MembershipMachine) -> Message {
        let record = record(for: machine)
        let probe = random.below(2) == 0 ? machine.probeNumber : number()
        switch random.below(14) {
        case 0: return .ping(Ping(probe: number(), attempt: UInt8(random.below(3)), isOnBehalf: random.below(2) == 0))
        case 1:
            return .ack(
                Ack(
                    probe: probe, attempt: UInt8(random.below(3)), isOnBehalf: random.below(2) == 0,
                    lagMilliseconds: UInt16(truncatingIfNeeded: number())))
        case 2:
            return .indirectPing(
                IndirectPing(
                    probe: number(), target: record.id.short, budgetMilliseconds: UInt16(truncatingIfNeeded: number())))
        case 3:
            return .nack(
                Nack(probe: probe, target: record.id.short, reason: Nack.Reason.allCases[Int(random.below(3))]))
        case 4, 5: return .member(record)
        case 6, 7:
            return .state(
                StateNews(
                    subject: record.id.short, life: record.session.life, incarnation: record.incarnation,
                    status: record.status, isRefused: random.below(3) == 0,
                    accuser: ReplicaShortID(rawValue: 1 + UInt32(random.below(12)))))
        case 8:
            return .leave(LeaveNews(subject: record.id.short, incarnation: record.incarnation, session: record.session))
        case 9: return .removed(.of(record, by: .numbered(1), age: number(), isPruned: random.below(2) == 0))
        case 10:
            return .misdelivered(
                Misdelivered(
                    sought: record.id.short, mine: MemberRecord.numbered(Int(random.below(20))).id.short,
                    session: record.session))
        case 11: return .receipt((0..<random.below(17)).map { _ in random.below(500) })
        case 12: return .agedMember(age: number(), record)
        default: return .views(Views(replicaRing: number()))
        }
    }

    private mutating func frame(for machine: MembershipMachine) -> StreamFrame {
        let record = record(for: machine)
        switch random.below(9) {
        case 0: return .ping(Ping(probe: number(), attempt: 0), destination: record.id.short)
        case 1: return .ack(Ack(probe: machine.probeNumber, attempt: 0), destination: record.id.short)
        case 2: return .joinRequest(record)
        case 3: return .joinRefused(JoinRefusal.allCases[Int(random.below(5))])
        case 4:
            return .summary(
                (0..<random.below(6)).map { _ in
                    MemberSummary(
                        short: ReplicaShortID(rawValue: 1 + UInt32(random.below(20))),
                        incarnation: Incarnation(rawValue: number()), status: record.status, life: number())
                })
        case 5: return .done
        case 6: return .keyring([])
        default:
            return .records(
                (0..<random.below(5)).map { _ in message(for: machine) } + [.agedMember(age: number(), record)])
        }
    }
}
