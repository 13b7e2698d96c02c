import Determinism
import WireCoding

@testable import Membership

/// One machine, and a test that plays everybody else: what is sent is kept, time passes deadline by deadline, dials end in
/// silence unless the test answers them, and peers that are said to answer acknowledge each ping at once.
struct LoneMachine {
    struct Sent {
        let at: Instant
        let to: PacketDestination
        let header: PacketHeader
        let messages: [Message]
        let wantsReceipt: Bool
        let counter: UInt64
        let bytes: Int
    }
    struct Dialled {
        let id: StreamID
        let to: PeerAddress
        let purpose: StreamPurpose
        let failsAt: Instant
    }

    var machine: MembershipMachine
    private(set) var now = Instant.zero
    private var sink = TestFlock.Sink()
    /// Everything since the test last forgot it.
    var sent: [Sent] = []
    var effects: [(at: Instant, MembershipEffect)] = []
    /// Streams that nobody has answered yet.
    private(set) var dials: [Dialled] = []
    /// Who answers pings, and from which attempt on.
    var answering: [MemberRecord] = []
    var answersAttempt: UInt8 = 0
    var seeds: [PeerAddress] = []
    var isDurable = true
    /// Nobody listens anywhere.
    var refuses = false
    private var heard: UInt64 = 0

    static let unixSecondsAtZero: Int64 = 1_000_000

    /// Alone or joining when it has seeds; otherwise with peers 1 … `peers`, and quiet.
    init(
        own: MemberRecord = MemberRecord.numbered(0).with { $0.flags = [] }, peers: Int = 0, seeds: [PeerAddress] = [],
        persisted: Incarnation? = nil,
        known: [PeerAddress] = [], timing: MembershipTiming = .lan, bounds: MembershipBounds = .init(), seed: UInt64 = 1
    ) {
        self.seeds = seeds
        machine = MembershipMachine(
            own: own, persisted: persisted, unixSecondsAtZero: Self.unixSecondsAtZero, hasSeeds: !seeds.isEmpty,
            knownAddresses: known, timing: timing, bounds: bounds, seed: seed, at: .zero)
        tell(.tick)
        for index in 0..<peers { introduce(.numbered(index + 1)) }
        if peers > 0 { forget() }
    }

    /// The member is there from now on, and nobody is told.
    mutating func introduce(_ record: MemberRecord) {
        var effects: [MembershipEffect] = []
        machine.merge(record, age: nil, from: .packet(record.id.short), at: now, into: &effects)
        machine.rumours.removeAll()
        machine.posts.removeAll()
        tell(.tick)
    }

    mutating func forget() {
        sent.removeAll()
        effects.removeAll()
    }

    // MARK: Inputs

    mutating func tell(_ input: MembershipInput) {
        var inputs = [input]
        while !inputs.isEmpty {
            var new: [MembershipEffect] = []
            machine.handle(inputs.removeFirst(), at: now, sending: &sink, into: &new)
            for packet in sink.sent {
                var messages: [Message] = []
                let drop = packet.bytes.withUnsafeBytes { Message.decodeAll($0, into: &messages) }
                precondition(drop == nil && packet.bytes.count <= Datagram.messageBytesMax, "W2")
                sent.append(
                    Sent(
                        at: now, to: packet.to, header: packet.header, messages: messages,
                        wantsReceipt: packet.wantsReceipt, counter: packet.counter, bytes: packet.bytes.count))
                guard let peer = answering.first(where: { $0.id.short == packet.to.short }) else { continue }
                for case .ping(let ping) in messages where ping.attempt >= answersAttempt {
                    let ack = Ack(probe: ping.probe, attempt: ping.attempt, isOnBehalf: ping.isOnBehalf)
                    inputs.append(.packet(self.packet([.ack(ack)], from: peer)))
                }
            }
            sink.sent.removeAll()
            for effect in new {
                effects.append((now, effect))
                switch effect {
                case .persist(let identity): if isDurable { inputs.append(.persisted(identity.incarnation)) }
                case .resolveSeeds: inputs.append(.resolved(seeds))
                case .openStream(let id, _, _, _) where refuses: inputs.append(.streamFailed(id, .refused))
                case .openStream(let id, let address, let purpose, let within):
                    dials.append(Dialled(id: id, to: address, purpose: purpose, failsAt: now + within))
                case .closeStream(let id): dials.removeAll { $0.id == id }
                default: break
                }
            }
        }
    }

    mutating func packet(
        _ messages: [Message], from peer: MemberRecord, at address: PeerAddress? = nil, digest: UInt64? = nil,
        wantsReceipt: Bool = false
    ) -> ReceivedPacket {
        heard += 1
        let header = PacketHeader(
            destination: machine.own.id.short, source: peer.id.short, incarnation: peer.incarnation,
            membershipDigest: digest ?? machine.digest)
        return ReceivedPacket(
            from: address ?? peer.address, session: peer.session, counter: heard, wantsReceipt: wantsReceipt,
            header: header, messages: messages)
    }

    mutating func hear(
        _ messages: Message..., from peer: MemberRecord, at address: PeerAddress? = nil, digest: UInt64? = nil,
        wantsReceipt: Bool = false
    ) {
        tell(.packet(packet(messages, from: peer, at: address, digest: digest, wantsReceipt: wantsReceipt)))
    }

    /// Takes the oldest dial there: the driver says so, and no timeout follows.
    @discardableResult
    mutating func answer(_ address: PeerAddress, with failure: StreamFailure? = nil) -> StreamID? {
        guard let index = dials.firstIndex(where: { $0.to == address }) else { return nil }
        let id = dials.remove(at: index).id
        tell(failure.map { .streamFailed(id, $0) } ?? .streamOpened(id))
        return id
    }

    /// As a driver that is never late.
    mutating func pass(_ span: Nanoseconds) {
        let end = now + span
        var steps = 0
        while true {
            let next = min(machine.nextDeadline, dials.map(\.failsAt).min() ?? .never)
            guard next <= end else { break }
            steps += 1
            precondition(steps < 200_000, "the machine asks for ticks without end")
            now = max(now, next)
            if let dial = dials.firstIndex(where: { $0.failsAt <= now }) {
                tell(.streamFailed(dials.remove(at: dial).id, .timeout))
            } else {
                tell(.tick)
            }
        }
        now = end
    }

    /// As a process that was stopped for so long.
    mutating func stall(for span: Nanoseconds) {
        now = max(now, machine.nextDeadline) + span
        tell(.tick)
    }

    /// Passes time until it has sent such a message, and says where to.
    mutating func passUntilSent(
        within limit: Nanoseconds = .seconds(10), _ isWanted: (Message) -> Bool
    ) -> (to: PacketDestination, message: Message)? {
        let end = now + limit
        while now < end {
            forget()
            pass(min(.milliseconds(5), end.span(since: now)))
            for packet in sent {
                if let message = packet.messages.first(where: isWanted) { return (packet.to, message) }
            }
        }
        return nil
    }

    // MARK: What is seen

    func member(_ record: MemberRecord) -> Member? { machine.table.slot(of: record.id.short)?.member }
    func status(of record: MemberRecord) -> MemberStatus? { member(record)?.status }

    var facts: [MembershipFact] {
        effects.compactMap { if case .observed(let fact) = $0.1 { fact } else { nil } }
    }
    func has(_ mark: Mark) -> Bool { facts.contains(.reached(mark)) }
    var messages: [Message] { sent.flatMap(\.messages) }
    var frames: [StreamFrame] {
        effects.compactMap { if case .sendFrame(_, let frame) = $0.1 { frame } else { nil } }
    }
    /// When it dialled, and where.
    var dialled: [(at: Instant, to: PeerAddress)] {
        effects.compactMap { if case .openStream(_, let address, _, _) = $0.1 { ($0.at, address) } else { nil } }
    }
    /// Each time that somebody was called so.
    func changes(to status: MemberStatus) -> [Member] {
        effects.compactMap { if case .changed(let member, _) = $0.1, member.status == status { member } else { nil } }
    }
}

extension StateNews {
    static func of(
        _ record: MemberRecord, _ status: MemberStatus, by accuser: MemberRecord, isRefused: Bool = false
    ) -> Message {
        .state(
            StateNews(
                subject: record.id.short, life: record.session.life, incarnation: record.incarnation, status: status,
                isRefused: isRefused, accuser: accuser.id.short))
    }
}

extension RemovedNews {
    static func of(_ record: MemberRecord, by: MemberRecord, age: UInt32 = 0, isPruned: Bool = false) -> RemovedNews {
        RemovedNews(
            tombstone: record.session.rawValue &* 7, id: record.id, session: record.session, by: by.id.short,
            ageSeconds: age, isPruned: isPruned)
    }
}
