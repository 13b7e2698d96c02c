import Determinism
import WireCoding

@testable import Membership

/// A failed expectation would print the whole flock that was asked.
func isTrue(_ value: Bool) -> Bool { value }

/// Machines on a network of a few lines: packets take 0.3 ms, streams come in order, links may be cut one way.
struct TestFlock {
    enum Event {
        case wake(Int)
        case packet(to: Int, ReceivedPacket)
        case input(to: Int, MembershipInput)
    }
    struct Stream {
        let dialler: Int
        let listener: Int
        let id: StreamID
        let acceptedID: StreamID
    }
    struct Sink: PacketSink {
        var sent: [(bytes: [UInt8], header: PacketHeader, to: PacketDestination, wantsReceipt: Bool, counter: UInt64)] =
            []
        var counter: UInt64 = 0
        mutating func send(
            _ messages: borrowing [UInt8], header: PacketHeader, to destination: PacketDestination, receiptWanted: Bool,
            at now: Instant
        ) -> UInt64? {
            counter += 1
            sent.append((copy messages, header, destination, receiptWanted, counter))
            return counter
        }
    }

    var now = Instant.zero
    var machines: [MembershipMachine] = []
    var isUp: [Bool] = []
    /// A dead host is silent; a dead process refuses.
    var isSilent: [Bool] = []
    var sinks: [Sink] = []
    var facts: [[(Instant, MembershipFact)]] = []
    var changes: [[(Instant, Member)]] = []
    var hasLeft: [Instant?] = []
    var cut: Set<[Int]> = []
    var isUDPCut: Set<[Int]> = []
    var lossPerMille: UInt64 = 0
    var generator: SeededGenerator
    var bytesSent = 0
    /// What each packet's messages must be like.
    var watch: ([Message]) -> Bool = { _ in true }
    private(set) var hasKeptWatch = true
    /// A heap: what comes first stands first.
    private var agenda: [(at: Instant, order: Int, event: Event)] = []
    private var order = 0
    /// Of replicas that are started from now on.
    var hasSeeds = true
    private var streams: [Stream] = []
    private var accepted: UInt32 = StreamID.acceptedBit
    private var wakesAt: [Instant] = []
    let timing: MembershipTiming
    let unixSecondsAtZero: Int64 = 1_800_000_000

    init(seed: UInt64 = 1, timing: MembershipTiming = .lan) {
        generator = SeededGenerator(seed: seed)
        self.timing = timing
    }

    /// Replicas that know each other already, and are quiet.
    static func settled(
        _ count: Int, seed: UInt64 = 1, ids: [ReplicaID] = [], bounds: MembershipBounds = .init()
    ) -> TestFlock {
        var flock = TestFlock(seed: seed)
        flock.hasSeeds = false
        for index in 0..<count { flock.start(id: index < ids.count ? ids[index] : nil, bounds: bounds) }
        flock.run(for: .milliseconds(1))
        flock.hasSeeds = true
        flock.introduce(Array(0..<count))
        return flock
    }

    /// These know each other from now on, without a word.
    mutating func introduce(_ indices: [Int]) {
        let records = indices.map { machines[$0].own }
        for index in indices {
            var effects: [MembershipEffect] = []
            for record in records where record.id != machines[index].own.id {
                machines[index].merge(record, age: nil, from: .packet(record.id.short), at: now, into: &effects)
            }
            machines[index].rumours.removeAll()
            machines[index].posts.removeAll()
            tell(index, .tick)
        }
    }

    static func address(_ index: Int) -> PeerAddress { PeerAddress(ipv4: 0x0a00_0000 + UInt32(index + 1), port: 7946) }

    /// A replica that knows the first `seeds` replicas' addresses.
    @discardableResult
    mutating func start(
        id: ReplicaID? = nil, persisted: Incarnation? = nil, as index: Int? = nil, at address: PeerAddress? = nil,
        bounds: MembershipBounds = .init()
    ) -> Int {
        let place = index ?? machines.count
        let id = id ?? ReplicaID(high: generator.next() | 1 << 40, low: generator.next())
        let record = MemberRecord(
            id: id, session: SessionID(rawValue: generator.next() | 1), incarnation: Incarnation(rawValue: 0),
            httpPort: 8_000, address: address ?? Self.address(place), name: ShortText(clipping: "r\(place)"))
        let machine = MembershipMachine(
            own: record, persisted: persisted, unixSecondsAtZero: unixSecondsAtZero, hasSeeds: hasSeeds, timing: timing,
            bounds: bounds, seed: generator.next(), at: now)
        if let index {
            machines[index] = machine
            isUp[index] = true
            isSilent[index] = false
            wakesAt[index] = .never
            hasLeft[index] = nil
        } else {
            machines.append(machine)
            isUp.append(true)
            isSilent.append(false)
            sinks.append(Sink())
            facts.append([])
            changes.append([])
            hasLeft.append(nil)
            wakesAt.append(.never)
        }
        tell(place, .tick)
        return place
    }

    mutating func stop(_ index: Int, silently: Bool) {
        isUp[index] = false
        isSilent[index] = silently
        for stream in streams where stream.dialler == index || stream.listener == index {
            let other = stream.dialler == index ? stream.listener : stream.dialler
            let id = stream.dialler == index ? stream.acceptedID : stream.id
            if !silently { add(.input(to: other, .streamFailed(id, .reset)), after: .microseconds(300)) }
        }
        streams.removeAll { $0.dialler == index || $0.listener == index }
    }

    mutating func run(for span: Nanoseconds) {
        let end = now + span
        while let first = agenda.first, first.at <= end {
            let entry = removeFirst()
            now = max(now, entry.at)
            switch entry.event {
            case .wake(let index):
                guard isUp[index], wakesAt[index] <= now else { break }
                wakesAt[index] = .never
                tell(index, .tick)
            case .packet(let index, let packet): if isUp[index] { tell(index, .packet(packet)) }
            case .input(let index, let input): if isUp[index] { tell(index, input) }
            }
        }
        now = end
    }

    /// Runs until it holds; false when it does not within `limit`.
    mutating func run(until limit: Nanoseconds, _ holds: (TestFlock) -> Bool) -> Bool {
        let end = now + limit
        while now < end {
            if holds(self) { return true }
            run(for: .milliseconds(10))
        }
        return holds(self)
    }

    mutating func tell(_ index: Int, _ input: MembershipInput) {
        var effects: [MembershipEffect] = []
        machines[index].handle(input, at: now, sending: &sinks[index], into: &effects)
        let sent = sinks[index].sent
        sinks[index].sent.removeAll(keepingCapacity: true)
        for packet in sent { deliver(packet, from: index) }
        for effect in effects { obey(effect, of: index) }
        let deadline = machines[index].nextDeadline
        if isUp[index], deadline < wakesAt[index] || wakesAt[index] <= now {
            wakesAt[index] = deadline
            if deadline != .never { add(.wake(index), after: deadline.span(since: now)) }
        }
    }

    private mutating func add(_ event: Event, after span: Nanoseconds) {
        order += 1
        agenda.append((now + Nanoseconds(rawValue: max(0, span.rawValue)), order, event))
        var place = agenda.count - 1
        while place > 0, isEarlier(place, than: (place - 1) / 2) {
            agenda.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func removeFirst() -> (at: Instant, order: Int, event: Event) {
        agenda.swapAt(0, agenda.count - 1)
        let first = agenda.removeLast()
        var place = 0
        while true {
            var earliest = place
            for child in [2 * place + 1, 2 * place + 2] where child < agenda.count && isEarlier(child, than: earliest) {
                earliest = child
            }
            guard earliest != place else { return first }
            agenda.swapAt(place, earliest)
            place = earliest
        }
    }

    private func isEarlier(_ a: Int, than b: Int) -> Bool {
        (agenda[a].at, agenda[a].order) < (agenda[b].at, agenda[b].order)
    }

    private mutating func deliver(
        _ packet: (bytes: [UInt8], header: PacketHeader, to: PacketDestination, wantsReceipt: Bool, counter: UInt64),
        from index: Int
    ) {
        bytesSent += packet.bytes.count + MembershipMachine.overhead
        guard let target = machines.indices.first(where: { machines[$0].own.address == packet.to.address && isUp[$0] }),
            !cut.contains([index, target]), !isUDPCut.contains([index, target]),
            generator.below(1_000) >= lossPerMille
        else { return }
        let sender = machines[index].own
        var messages: [Message] = []
        let drop = packet.bytes.withUnsafeBytes { Message.decodeAll($0, into: &messages) }
        precondition(drop == nil, "a machine's own bytes must decode")
        hasKeptWatch = hasKeptWatch && watch(messages)
        guard packet.header.destination == machines[target].own.id.short else {
            // What the gate does with a packet for another.
            let news = Misdelivered(
                sought: packet.header.destination, mine: machines[target].own.id.short,
                session: machines[target].own.session)
            let header = PacketHeader(
                destination: sender.id.short, source: machines[target].own.id.short,
                incarnation: machines[target].own.incarnation, membershipDigest: machines[target].digest)
            let answer = ReceivedPacket(
                from: machines[target].own.address, session: machines[target].own.session, counter: 0,
                wantsReceipt: false, header: header, messages: [.misdelivered(news)])
            return add(.packet(to: index, answer), after: .microseconds(600))
        }
        let received = ReceivedPacket(
            from: sender.address, session: sender.session, counter: packet.counter, wantsReceipt: packet.wantsReceipt,
            header: packet.header, messages: messages)
        add(.packet(to: target, received), after: .microseconds(300))
    }

    private mutating func obey(_ effect: MembershipEffect, of index: Int) {
        switch effect {
        case .persist(let identity): add(.input(to: index, .persisted(identity.incarnation)), after: .microseconds(100))
        case .openStream(let id, let address, let purpose, let within):
            let listener = machines.indices.first { machines[$0].own.address == address && !isSilent[$0] }
            guard let listener, !cut.contains([index, listener]), !cut.contains([listener, index]) else {
                return add(.input(to: index, .streamFailed(id, .timeout)), after: .nanoseconds(within.wholeNanoseconds))
            }
            guard isUp[listener] else {
                return add(.input(to: index, .streamFailed(id, .refused)), after: .microseconds(600))
            }
            accepted += 1
            let other = StreamID(rawValue: accepted)
            streams.append(Stream(dialler: index, listener: listener, id: id, acceptedID: other))
            add(
                .input(to: listener, .streamAccepted(other, purpose, from: machines[index].own.address)),
                after: .microseconds(600))
            add(.input(to: index, .streamOpened(id)), after: .microseconds(900))
        case .sendFrame(let id, let frame):
            guard let stream = stream(id, of: index) else { return }
            let (other, otherID) =
                stream.dialler == index ? (stream.listener, stream.acceptedID) : (stream.dialler, stream.id)
            add(.input(to: other, .streamFrame(otherID, frame)), after: .microseconds(300))
        case .closeStream(let id):
            guard let stream = stream(id, of: index) else { return }
            let (other, otherID) =
                stream.dialler == index ? (stream.listener, stream.acceptedID) : (stream.dialler, stream.id)
            add(.input(to: other, .streamClosed(otherID)), after: .microseconds(300))
            streams.removeAll { $0.acceptedID == stream.acceptedID }
        case .resolveSeeds:
            let seeds = (0..<min(3, max(machines.count, 1))).map(Self.address)
            add(.input(to: index, .resolved(seeds)), after: .microseconds(100))
        case .observed(let fact): facts[index].append((now, fact))
        case .changed(let member, _): changes[index].append((now, member))
        case .left:
            hasLeft[index] = now
            stop(index, silently: false)
        case .becomes, .forgot, .sendOtherRecords: break
        }
    }

    private func stream(_ id: StreamID, of index: Int) -> Stream? {
        streams.first { ($0.dialler == index && $0.id == id) || ($0.listener == index && $0.acceptedID == id) }
    }

    // MARK: Views

    func status(of member: Int, at observer: Int) -> MemberStatus? {
        machines[observer].table.slot(of: machines[member].own.id.short)?.member.status
    }

    /// Everybody who is up holds everybody else who is up alive, in this life, and says the same digest.
    var agrees: Bool {
        let up = machines.indices.filter { isUp[$0] }
        return up.allSatisfy { observer in
            machines[observer].digest == machines[up[0]].digest
                && up.allSatisfy { member in
                    member == observer
                        || machines[observer].table.slot(of: machines[member].own.id.short).map {
                            $0.member.status == .alive && $0.member.record == machines[member].own
                        } == true
                }
        }
    }

    func has(_ mark: Mark, at index: Int) -> Bool { facts[index].contains { $0.1 == .reached(mark) } }
}
