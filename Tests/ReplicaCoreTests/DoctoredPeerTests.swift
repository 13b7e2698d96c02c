import Balancing
import Determinism
import Membership
import Testing
import WireCoding

@testable import ReplicaCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A buggy member is still believed, since it holds the key. Whatever it says, a replica must neither trap nor turn round
/// in circles nor grow: failures that spread from member to member are the worst of all.
struct DoctoredPeerTests {
    /// Steps for each seed; `REPLICA_FUZZ_STEPS` for a longer run.
    private static let steps = getenv("REPLICA_FUZZ_STEPS").flatMap { Int(String(cString: $0)) } ?? 400

    @Test(
        "any true packets and frames with any content leave a replica within its bounds",
        arguments: 0..<8 as Range<UInt64>)
    func anyContent(seed: UInt64) {
        var bench = DoctoredBench(seed: seed)
        for _ in 0..<Self.steps { bench.step() }
        #expect(bench.passed > Self.steps / 5)
        #expect(bench.complaints.isEmpty, "\(bench.complaints.prefix(3))")
        let faults = Fault.collected { for _ in 0..<200 { bench.step() } }
        #expect(faults.isEmpty)
    }
}

/// One replica, and three gates that hold the key and are told to say nonsense.
private struct DoctoredBench {
    var chance: SeededGenerator
    var now = Instant.zero
    var machine: ReplicaMachine
    var peers: [(gate: PacketGate, address: PeerAddress, id: ReplicaID, session: SessionID)] = []
    var outbox = DatagramOutbox()
    var answers = DatagramOutbox()
    var effects: [ReplicaEffect] = []
    var streams: [StreamID] = []
    var accepted = StreamID.acceptedBit
    var passed = 0
    var complaints: [String] = []
    let bounds: MembershipBounds

    init(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var bounds = MembershipBounds()
        var gateBounds = GateBounds()
        if seed % 3 == 0 {
            bounds.members = 8
            bounds.removed = 4
            bounds.rumours = 4
            bounds.unreceiptedPerPeer = 2
            gateBounds.sessions = 2
            gateBounds.sources = 2
            gateBounds.windowWidth = 16
        }
        self.bounds = bounds
        let keyring = Keyring(first: ReplicaWorld.key(1))
        let own = MemberRecord(
            id: ReplicaID(high: 9 << 32 | 1, low: 1), session: SessionID(rawValue: 77),
            incarnation: Incarnation(rawValue: 0), keyIDs: keyring.keyIDs, address: PeerAddress(ipv4: 9, port: 9))
        let start = ReplicaStart(
            own: own, unixSecondsAtZero: 1_800_000_000, hasSeeds: true, keyring: keyring, bounds: bounds,
            gateBounds: gateBounds, seed: seed)
        machine = ReplicaMachine(start, sealing: TestSealing(cookieSecret: 1), at: .zero)
        for number in 1...3 as ClosedRange<UInt32> {
            let session = SessionID(rawValue: UInt64(number) << 40 | 5)
            var gate = PacketGate(sealing: TestSealing(cookieSecret: UInt64(number)), session: session, at: .zero)
            gate.use([ReplicaWorld.key(1)])
            peers.append(
                (gate, PeerAddress(ipv4: number, port: 1), ReplicaID(high: UInt64(number) << 32, low: 4), session))
        }
        self.chance = SeededGenerator(seed: chance.next())
        tell(.membership(.tick))
        tell(
            .workers((0..<4).map { RingedWorker(short: WorkerShortID(rawValue: $0), ringKey: UInt64($0), weight: 1) }))
    }

    mutating func step() {
        switch chance.below(40) {
        case 0: now = now + Nanoseconds.seconds(Int64(chance.below(100)))
        case 1 where chance.below(40) == 0: now = now + Nanoseconds.seconds(30_000)
        default: now = now + Nanoseconds.microseconds(Int64(chance.below(200_000)))
        }
        switch chance.below(12) {
        case 0...6: speak()
        case 7: streamIn()
        case 8 where !streams.isEmpty:
            let id = streams[Int(chance.below(UInt64(streams.count)))]
            tell(.membership(.streamFrame(id, frame())))
        case 9: command()
        default: tell(.membership(.tick))
        }
        // Whatever is due is done in a few ticks: a machine that always wants to be woken now would burn a core.
        var ticks = 0
        while machine.nextDeadline <= now, ticks < 40 {
            tell(.membership(.tick))
            ticks += 1
        }
        if ticks >= 40, complaints.count < 4 { complaints.append("turns round at \(now), \(machine.dues(at: now))") }
        if machine.membership.members.count > bounds.members { complaints.append("too many members") }
        if machine.sink.gate.sessions.count > machine.sink.gate.bounds.sessions { complaints.append("sessions") }
    }

    private mutating func tell(_ input: ReplicaInput) {
        machine.handle(input, at: now, datagrams: &outbox, into: &effects)
        obey()
    }

    private mutating func speak() {
        let index = Int(chance.below(3))
        var messages: [UInt8] = []
        for _ in 0..<chance.below(6) {
            let message = message()
            if messages.count + message.encodedCount <= Datagram.messageBytesMax { message.encode(into: &messages) }
        }
        let own = machine.membership.own
        let source = chance.below(8) == 0 ? short() : peers[index].id.short
        let header = PacketHeader(
            destination: chance.below(20) == 0 ? short() : own.id.short,
            source: source.isDrawable ? source : peers[index].id.short, incarnation: incarnation(),
            membershipDigest: chance.below(2) == 0 ? machine.membership.digest : chance.next())
        let to = PacketDestination(short: header.destination, session: own.session, address: own.address)
        _ = peers[index].gate.seal(
            messages: messages, header: header, to: to, receiptWanted: chance.below(3) == 0, at: now,
            datagrams: &answers)
        deliverAnswers(from: index)
    }

    private mutating func deliverAnswers(from index: Int) {
        for entry in answers.entries {
            let bytes = answers.withDatagram(entry) { Array($0) }
            bytes.withUnsafeBytes {
                machine.receive($0, from: peers[index].address, at: now, datagrams: &outbox, into: &effects)
            }
            if !effects.contains(where: { if case .dropped = $0 { true } else { false } }) { passed += 1 }
        }
        answers.removeAll()
        obey()
    }

    private mutating func streamIn() {
        accepted += 1
        let id = StreamID(rawValue: accepted)
        streams.append(id)
        if streams.count > 20 { streams.removeFirst() }
        let peer = peers[Int(chance.below(3))]
        tell(.membership(.streamAccepted(id, chance.below(2) == 0 ? .join : .peer, from: peer.address)))
        for _ in 0..<chance.below(4) { tell(.membership(.streamFrame(id, frame()))) }
    }

    private mutating func command() {
        switch chance.below(8) {
        case 0: tell(.membership(.command(.join([address()]))))
        case 1: tell(.membership(.command(.forceLeave(peers[Int(chance.below(3))].id, prune: chance.below(2) == 0))))
        case 2: tell(.membership(.clockBroke))
        case 3: tell(.keyring(.install(ReplicaWorld.key(UInt8(truncatingIfNeeded: chance.next()) | 1))))
        case 4: tell(.keyring(.remove(UInt16(truncatingIfNeeded: chance.below(256)), isImmediate: true)))
        case 5: tell(.wall(milliseconds: chance.next() >> chance.below(64)))
        case 6: tell(.order(WorkerShortID(rawValue: UInt32(chance.below(6))), .drain))
        default:
            tell(
                .loads([
                    WorkerLoadNews(
                        worker: WorkerShortID(rawValue: 1), running: 1, queued: 2, promptTokens: 3, outputTokens: .max)
                ]))
        }
    }

    /// Answers what the replica asks for, now and then in a bad way.
    private mutating func obey() {
        var rounds = 0
        while !effects.isEmpty || !outbox.isEmpty, rounds < 20 {
            rounds += 1
            let (asked, sent) = (effects, outbox)
            effects.removeAll()
            outbox.removeAll()
            for entry in sent.entries {
                if entry.count > Datagram.bytesMax { complaints.append("a datagram of \(entry.count)") }
                guard let index = peers.firstIndex(where: { $0.address == entry.to }) else { continue }
                let own = PacketHeader(
                    destination: machine.membership.own.id.short, source: peers[index].id.short,
                    incarnation: Incarnation(rawValue: 5), membershipDigest: 0)
                _ = sent.withDatagram(entry) {
                    peers[index].gate.receive(
                        $0, from: machine.membership.own.address, own: own, at: now, datagrams: &answers)
                }
                peers[index].gate.settle(own: own, datagrams: &answers)
                deliver(from: index)
            }
            for case .keyring(let ring) in asked {
                for index in peers.indices { peers[index].gate.use(ring.trafficKeys) }
            }
            for case .membership(let effect) in asked { obey(effect) }
        }
        if rounds >= 20 { complaints.append("an exchange without end") }
    }

    /// As `deliverAnswers`, but without following what comes of it.
    private mutating func deliver(from index: Int) {
        let sent = answers
        answers.removeAll()
        for entry in sent.entries {
            sent.withDatagram(entry) {
                machine.receive($0, from: peers[index].address, at: now, datagrams: &outbox, into: &effects)
            }
        }
    }

    private mutating func obey(_ effect: MembershipEffect) {
        let input: MembershipInput
        switch effect {
        case .persist(let identity): input = .persisted(identity.incarnation)
        case .resolveSeeds: input = .resolved(peers.map(\.address))
        case .openStream(let id, _, _, _):
            guard chance.below(3) > 0 else {
                input = .streamFailed(id, StreamFailure.allCases[Int(chance.below(7))])
                break
            }
            streams.append(id)
            input = .streamOpened(id)
        case .closeStream(let id):
            streams.removeAll { $0 == id }
            return
        default: return
        }
        machine.handle(.membership(input), at: now, datagrams: &outbox, into: &effects)
    }
}

// MARK: Nonsense

extension DoctoredBench {
    /// Small, or at the ends, or anything.
    private mutating func number() -> UInt64 {
        switch chance.below(5) {
        case 0: chance.below(4)
        case 1: .max - chance.below(4)
        case 2: UInt64(1) << chance.below(64)
        case 3: 1_800_000_000 + chance.below(1_000)
        default: chance.next()
        }
    }

    private mutating func u32() -> UInt32 { UInt32(truncatingIfNeeded: number()) }
    private mutating func u16() -> UInt16 { UInt16(truncatingIfNeeded: number()) }
    private mutating func u8() -> UInt8 { UInt8(truncatingIfNeeded: number()) }
    private mutating func incarnation() -> Incarnation { Incarnation(rawValue: u32()) }

    private mutating func identity() -> ReplicaID {
        switch chance.below(6) {
        case 0: machine.membership.own.id
        case 1...3: peers[Int(chance.below(3))].id
        case 4: ReplicaID(high: chance.below(12) << 32, low: chance.below(3))
        default: ReplicaID(high: number(), low: number())
        }
    }

    private mutating func short() -> ReplicaShortID { identity().short }

    private mutating func session() -> SessionID {
        switch chance.below(4) {
        case 0: machine.membership.own.session
        case 1, 2: peers[Int(chance.below(3))].session
        default: SessionID(rawValue: number())
        }
    }

    private mutating func address() -> PeerAddress {
        chance.below(2) == 0
            ? peers[Int(chance.below(3))].address : PeerAddress(high: number(), low: number(), port: u16())
    }

    private mutating func record() -> MemberRecord {
        MemberRecord(
            id: identity(), session: session(), incarnation: incarnation(),
            status: MemberStatus.allCases[Int(chance.below(4))], flags: MemberFlags(rawValue: u8()),
            protocolMin: u8() & 3, protocolMax: u8() & 3, agreement: u32(), keyIDs: KeyIDs(u16(), u16(), u16(), u16()),
            httpPort: u16(), address: address(), versionMajor: u8(), versionMinor: u8(),
            name: ShortText(clipping: String(number())))
    }

    private mutating func message() -> Message {
        let worker = WorkerShortID(rawValue: UInt32(chance.below(6)))
        switch chance.below(17) {
        case 0: return .ping(Ping(probe: u32(), attempt: UInt8(chance.below(3)), isOnBehalf: chance.below(2) == 0))
        case 1: return .ack(Ack(probe: u32(), attempt: UInt8(chance.below(3)), lagMilliseconds: u16()))
        case 2: return .indirectPing(IndirectPing(probe: u32(), target: short(), budgetMilliseconds: u16()))
        case 3:
            return .nack(Nack(probe: u32(), target: short(), reason: Nack.Reason.allCases[Int(chance.below(3))]))
        case 4, 5: return .member(record())
        case 6, 7:
            return .state(
                StateNews(
                    subject: short(), life: session().life, incarnation: incarnation(),
                    status: MemberStatus.allCases[Int(chance.below(4))], isRefused: chance.below(2) == 0,
                    accuser: short()))
        case 8: return .leave(LeaveNews(subject: short(), incarnation: incarnation(), session: session()))
        case 9:
            return .workerHealth(
                WorkerHealthNews(
                    worker: worker, observer: short(), epoch: u32(),
                    state: WorkerHealthNews.State.allCases[Int(chance.below(5))], reason: u8(), running: u16(),
                    waiting: u16(), cachePercent: u8(), memoryPressure: u8(), firstTokenMilliseconds: u16()))
        case 10:
            return .workerLoad(
                (0..<chance.below(4)).map { _ in
                    WorkerLoadNews(
                        worker: worker, running: u16(), queued: u16(), promptTokens: u32(), outputTokens: u32())
                })
        case 11:
            return .addressBlock(
                AddressBlockNews(
                    prefixLength: UInt8(chance.below(129)), isCleared: chance.below(2) == 0, reason: u16(),
                    high: number(), low: number(), stamp: number(), origin: short(), durationSeconds: u32(),
                    ageSeconds: u32()))
        case 12: return .receipt((0..<chance.below(5)).map { _ in number() })
        case 13:
            return .removed(
                RemovedNews(
                    tombstone: number(), id: identity(), session: session(), by: short(), ageSeconds: u32(),
                    isPruned: chance.below(2) == 0))
        case 14: return .misdelivered(Misdelivered(sought: short(), mine: short(), session: session()))
        case 15:
            return chance.below(2) == 0
                ? .keyringNotice(number())
                : .views(Views(replicaRing: u32(), workerRing: u32(), workerHealth: u32(), addressBlocks: u32()))
        default:
            return .workerOrder(
                WorkerOrderNews(
                    worker: worker, order: WorkerOrderNews.Order.allCases[Int(chance.below(3))], stamp: number(),
                    origin: short(), ageSeconds: u32()))
        }
    }

    private mutating func frame() -> StreamFrame {
        switch chance.below(9) {
        case 0: return .ping(Ping(probe: u32(), attempt: 0), destination: short())
        case 1: return .ack(Ack(probe: u32(), attempt: 0), destination: short())
        case 2: return .joinRequest(record())
        case 3: return .joinRefused(JoinRefusal.allCases[Int(chance.below(5))])
        case 4:
            if chance.below(2) == 0 { return .keyring((0..<chance.below(200)).map { _ in u8() }) }
            var ring = Keyring(first: ReplicaWorld.key(1))
            for _ in 0..<chance.below(4) {
                try? ring.install(
                    ReplicaWorld.key(u8() | 1), stamp: number(), maker: short(), wallMilliseconds: number())
            }
            var bytes: [UInt8] = []
            ring.encodeFrame(into: &bytes)
            return .keyring(bytes)
        case 5:
            return .summary(
                (0..<chance.below(6)).map { _ in
                    MemberSummary(
                        short: short(), incarnation: incarnation(),
                        status: MemberStatus.allCases[Int(chance.below(4))], life: u32())
                })
        case 6, 7:
            var messages: [Message] = []
            for _ in 0..<chance.below(8) {
                let message = chance.below(3) == 0 ? Message.agedMember(age: u32(), record()) : message()
                if message.kind.isRecord { messages.append(message) }
            }
            return .records(messages)
        default: return .done
        }
    }
}

extension ReplicaMachine {
    /// Which parts want to be woken now.
    fileprivate func dues(at now: Instant) -> [String] {
        [
            ("membership", membership.nextDeadline), ("flock", flock.nextDeadline),
            ("ring", wantedRing?.nextTry ?? .never), ("promotion", promotion.nextDeadline ?? .never),
            ("sweep", sweepsAt),
        ].filter { $0.1 <= now }.map(\.0)
    }
}
