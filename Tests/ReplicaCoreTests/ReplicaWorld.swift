import Determinism
import Membership
import WireCoding

@testable import ReplicaCore

/// Whole replicas on a network of a few lines: sealed datagrams take 0.3 ms, streams come in order.
struct ReplicaWorld {
    enum Event {
        case wake(Int)
        case datagram(to: Int, from: PeerAddress, [UInt8])
        case input(to: Int, MembershipInput)
    }
    struct Stream {
        let dialler: Int
        let listener: Int
        let id: StreamID
        let acceptedID: StreamID
    }
    struct Place {
        var machine: ReplicaMachine
        /// The secret of its cluster.
        let secret: UInt8
        var isUp = true
        var outbox = DatagramOutbox()
        var effects: [ReplicaEffect] = []
        var wakesAt = Instant.never
        var dropped: [DropReason: Int] = [:]
        var view = FlockView.empty
        var ring: Keyring?
        var refusals: [Keyring.Refusal] = []
        var probes: [WorkerShortID] = []
        var facts: [WorkerFlock.Fact] = []
        var hasLeft = false
    }

    var now = Instant.zero
    var places: [Place] = []
    var generator: SeededGenerator
    /// Everything that was ever sent.
    var tape: [(from: PeerAddress, bytes: [UInt8])] = []
    /// Pairs between which no datagram passes, one way.
    var cut: Set<[Int]> = []
    private var agenda: [(at: Instant, order: Int, event: Event)] = []
    var streamsOpened = 0
    private var order = 0
    private var streams: [Stream] = []
    private var accepted = StreamID.acceptedBit

    init(seed: UInt64 = 1) { generator = SeededGenerator(seed: seed) }

    static func address(_ index: Int) -> PeerAddress { PeerAddress(ipv4: 0x0a00_0001 + UInt32(index), port: 7_946) }

    static func key(_ number: UInt8) -> TrafficKey {
        guard let secret = TrafficSecret([UInt8](repeating: number, count: 32)) else { preconditionFailure("32 bytes") }
        return TrafficKey(id: UInt16(number), secret: secret)
    }

    /// Of a new identity, or again of an old one.
    mutating func start(
        as index: Int? = nil, id: ReplicaID? = nil, persisted: Incarnation? = nil, secret: UInt8 = 1,
        keyring: Keyring? = nil, gateBounds: GateBounds = GateBounds()
    ) {
        let place = index ?? places.count
        let own = MemberRecord(
            id: id ?? ReplicaID(high: generator.next() | 1 << 40, low: generator.next()),
            session: SessionID(rawValue: generator.next() | 1), incarnation: Incarnation(rawValue: 0),
            keyIDs: (keyring ?? Keyring(first: Self.key(secret))).keyIDs, address: Self.address(place),
            name: ShortText(clipping: "r\(place)"))
        let start = ReplicaStart(
            own: own, persisted: persisted, unixSecondsAtZero: 1_800_000_000, hasSeeds: true,
            keyring: keyring ?? Keyring(first: Self.key(secret)), gateBounds: gateBounds, seed: generator.next())
        let machine = ReplicaMachine(start, sealing: TestSealing(cookieSecret: generator.next()), at: now)
        let new = Place(machine: machine, secret: secret)
        if place < places.count { places[place] = new } else { places.append(new) }
        tell(place, .membership(.tick))
    }

    mutating func stop(_ index: Int) {
        places[index].isUp = false
        streams.removeAll { $0.dialler == index || $0.listener == index }
    }

    mutating func run(for span: Nanoseconds) {
        let end = now + span
        while let next = agenda.indices.min(by: {
            (agenda[$0].at, agenda[$0].order) < (agenda[$1].at, agenda[$1].order)
        }), agenda[next].at <= end {
            let entry = agenda.remove(at: next)
            now = max(now, entry.at)
            switch entry.event {
            case .wake(let index):
                guard places[index].isUp, places[index].wakesAt <= now else { break }
                places[index].wakesAt = .never
                tell(index, .membership(.tick))
            case .datagram(let index, let source, let bytes): hear(index, bytes, from: source)
            case .input(let index, let input): if places[index].isUp { tell(index, .membership(input)) }
            }
        }
        now = end
    }

    mutating func run(until limit: Nanoseconds, _ holds: (ReplicaWorld) -> Bool) -> Bool {
        let end = now + limit
        while now < end {
            if holds(self) { return true }
            run(for: .milliseconds(10))
        }
        return holds(self)
    }

    mutating func tell(_ index: Int, _ input: ReplicaInput) {
        var place = places[index]
        place.machine.handle(input, at: now, datagrams: &place.outbox, into: &place.effects)
        places[index] = place
        act(index)
    }

    mutating func hear(_ index: Int, _ bytes: [UInt8], from source: PeerAddress) {
        guard places[index].isUp else { return }
        var place = places[index]
        bytes.withUnsafeBytes {
            place.machine.receive($0, from: source, at: now, datagrams: &place.outbox, into: &place.effects)
        }
        places[index] = place
        act(index)
    }

    // MARK: Doing what is asked for

    private mutating func act(_ index: Int) {
        let (outbox, effects) = (places[index].outbox, places[index].effects)
        places[index].outbox.removeAll()
        places[index].effects.removeAll()
        for entry in outbox.entries {
            let bytes = outbox.withDatagram(entry) { Array($0) }
            tape.append((Self.address(index), bytes))
            guard let target = places.indices.first(where: { Self.address($0) == entry.to }),
                !cut.contains([index, target])
            else { continue }
            add(.datagram(to: target, from: Self.address(index), bytes), after: .microseconds(300))
        }
        for effect in effects {
            switch effect {
            case .membership(let effect): obey(effect, of: index)
            case .dropped(let reason, _): places[index].dropped[reason, default: 0] += 1
            case .published(let view): places[index].view = view
            case .observed(let fact): places[index].facts.append(fact)
            case .probe(let worker): places[index].probes.append(worker)
            case .keyring(let ring): places[index].ring = ring
            case .keyringRefused(_, let refusal): places[index].refusals.append(refusal)
            }
        }
        let deadline = places[index].machine.nextDeadline
        if places[index].isUp, deadline < places[index].wakesAt || places[index].wakesAt <= now {
            places[index].wakesAt = deadline
            if deadline != .never { add(.wake(index), after: deadline.span(since: now)) }
        }
    }

    private mutating func add(_ event: Event, after span: Nanoseconds) {
        order += 1
        agenda.append((now + Nanoseconds(rawValue: max(0, span.rawValue)), order, event))
    }

    private mutating func obey(_ effect: MembershipEffect, of index: Int) {
        switch effect {
        case .persist(let identity): add(.input(to: index, .persisted(identity.incarnation)), after: .microseconds(100))
        case .openStream(let id, let address, let purpose, let within):
            guard let listener = places.indices.first(where: { Self.address($0) == address && places[$0].isUp }),
                listener != index || purpose == .join
            else {
                return add(.input(to: index, .streamFailed(id, .timeout)), after: .nanoseconds(within.wholeNanoseconds))
            }
            guard opens(purpose, from: index, to: listener) else {
                return add(.input(to: index, .streamFailed(id, .handshake)), after: .milliseconds(1))
            }
            accepted += 1
            streamsOpened += 1
            let other = StreamID(rawValue: accepted)
            streams.append(Stream(dialler: index, listener: listener, id: id, acceptedID: other))
            add(
                .input(to: listener, .streamAccepted(other, purpose, from: Self.address(index))),
                after: .microseconds(600))
            add(.input(to: index, .streamOpened(id)), after: .microseconds(900))
        case .sendFrame(let id, let frame):
            guard let (_, other, otherID) = stream(id, of: index) else { return }
            add(.input(to: other, .streamFrame(otherID, Self.coded(frame))), after: .microseconds(300))
        case .closeStream(let id):
            guard let (place, other, otherID) = stream(id, of: index) else { return }
            add(.input(to: other, .streamClosed(otherID)), after: .microseconds(300))
            streams.remove(at: place)
        case .resolveSeeds:
            let seeds = (0..<min(3, places.count)).map(Self.address)
            add(.input(to: index, .resolved(seeds)), after: .microseconds(100))
        case .left:
            places[index].hasLeft = true
            stop(index)
        case .changed, .forgot, .becomes, .observed, .sendOtherRecords: break
        }
    }

    /// A join needs the secret, a peer's stream a key that both hold.
    private func opens(_ purpose: StreamPurpose, from dialler: Int, to listener: Int) -> Bool {
        guard purpose == .peer else { return places[dialler].secret == places[listener].secret }
        guard let primary = places[dialler].machine.keyring.primary else { return false }
        return places[listener].machine.keyring.trafficKeys.contains {
            $0.id == primary.id && $0.secret == primary.secret
        }
    }

    private func stream(_ id: StreamID, of index: Int) -> (place: Int, other: Int, otherID: StreamID)? {
        for place in streams.indices {
            let stream = streams[place]
            if stream.dialler == index, stream.id == id { return (place, stream.listener, stream.acceptedID) }
            if stream.listener == index, stream.acceptedID == id { return (place, stream.dialler, stream.id) }
        }
        return nil
    }

    private static func coded(_ frame: StreamFrame) -> StreamFrame {
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)
        guard case .success(let decoded) = bytes.withUnsafeBytes({ StreamFrame.decode($0) }) else {
            preconditionFailure("a machine's own frame must decode")
        }
        return decoded
    }

    // MARK: Views

    func status(of member: Int, at observer: Int) -> MemberStatus? {
        places[observer].machine.membership.table.slot(of: places[member].machine.membership.own.id.short)?.member
            .status
    }

    /// Those who are up hold each other alive and say the same digest.
    func agree(_ indices: some Collection<Int>) -> Bool {
        let up = indices.filter { places[$0].isUp }
        return up.allSatisfy { observer in
            places[observer].machine.membership.digest == places[up[0]].machine.membership.digest
                && up.allSatisfy { $0 == observer || status(of: $0, at: observer) == .alive }
        }
    }
}

/// A tag of two keyed hashes; the text stays readable.
struct TestSealing: PacketSealing {
    let cookieSecret: UInt64
    private var keys: [TrafficKey] = []

    init(cookieSecret: UInt64) { self.cookieSecret = cookieSecret }

    mutating func use(_ keys: [TrafficKey]) { self.keys = keys }

    mutating func seal(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        guard let hash = hash(clear, text, packet) else { return false }
        tag.storeBytes(of: hash, as: UInt64.self)
        tag.storeBytes(of: ~hash, toByteOffset: 8, as: UInt64.self)
        return true
    }

    mutating func open(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        guard let hash = hash(clear, text, packet) else { return false }
        return tag.loadUnaligned(as: UInt64.self) == hash
            && tag.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == ~hash
    }

    func cookie(for address: PeerAddress, slot: UInt32) -> UInt64 {
        var hash = StableHash64(seed: cookieSecret)
        for word in [address.high, address.low, UInt64(address.port), UInt64(slot)] { hash.update(word) }
        return hash.digest()
    }

    private func hash(
        _ clear: UnsafeRawBufferPointer, _ text: UnsafeMutableRawBufferPointer, _ packet: SealedPacket
    ) -> UInt64? {
        guard let key = keys.first(where: { $0.id == packet.keyID }) else { return nil }
        var hash = StableHash64(seed: packet.counter)
        key.secret.withBytes { hash.update($0) }
        hash.update(clear)
        hash.update(UnsafeRawBufferPointer(text))
        return hash.digest()
    }
}
