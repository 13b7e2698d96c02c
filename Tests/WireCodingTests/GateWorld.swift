import Determinism

@testable import WireCoding

/// A gate with what a replica has around it.
struct GateEnd {
    var gate: PacketGate
    let short: ReplicaShortID
    let session: SessionID
    let address: PeerAddress
    var outbox = DatagramOutbox()
    let counts: CountingSealing.Counts

    /// Number 1 … 250: its short id, address and session follow from it and `life`.
    init(
        _ number: UInt8, life: UInt64 = 1, bounds: GateBounds = GateBounds(), keys: [TrafficKey] = [key(1)],
        at now: Instant = .zero
    ) {
        short = ReplicaShortID(rawValue: UInt32(number))
        session = SessionID(rawValue: UInt64(number) << 32 | life)
        address = PeerAddress(ipv4: 0x0a00_0000 | UInt32(number), port: 7_946)
        let sealing = CountingSealing(secret: session.rawValue)
        counts = sealing.counts
        gate = PacketGate(sealing: sealing, session: session, bounds: bounds, at: now)
        gate.use(keys)
    }

    var own: PacketHeader {
        PacketHeader(
            destination: ReplicaShortID(rawValue: 0), source: short, incarnation: Incarnation(rawValue: 7),
            membershipDigest: UInt64(short.rawValue))
    }

    func destination(session known: Bool = true) -> PacketDestination {
        PacketDestination(short: short, session: known ? session : SessionID(rawValue: 0), address: address)
    }

    /// What this end sends to `peer` with these messages.
    mutating func say(
        _ messages: [Message], to peer: PacketDestination, receiptWanted: Bool = false, at now: Instant = .zero
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        for message in messages { message.encode(into: &bytes) }
        var header = own
        header.destination = peer.short
        _ = gate.seal(
            messages: bytes, header: header, to: peer, receiptWanted: receiptWanted, at: now, datagrams: &outbox)
        return take().last ?? []
    }

    /// What becomes of the datagram, and what is answered by the gate alone.
    mutating func hear(
        _ datagram: [UInt8], from source: PeerAddress, at now: Instant = .zero
    ) -> (passage: Passage, answers: [[UInt8]]) {
        let own = own
        let passage = datagram.withUnsafeBytes {
            gate.receive($0, from: source, own: own, at: now, datagrams: &outbox)
        }
        gate.settle(own: own, datagrams: &outbox)
        return (passage, take())
    }

    mutating func take() -> [[UInt8]] {
        defer { outbox.removeAll() }
        return outbox.entries.map { entry in outbox.withDatagram(entry) { Array($0) } }
    }

    /// Proves each to the other.
    static func introduce(_ a: inout GateEnd, _ b: inout GateEnd, at now: Instant = .zero) {
        let first = a.say([], to: b.destination(), at: now)
        let second = b.hear(first, from: a.address, at: now).answers
        let third = second.flatMap { a.hear($0, from: b.address, at: now).answers }
        for datagram in third { _ = b.hear(datagram, from: a.address, at: now) }
    }
}

func key(_ number: UInt8) -> TrafficKey {
    guard let secret = TrafficSecret([UInt8](repeating: number, count: 32)) else { preconditionFailure("32 bytes") }
    return TrafficKey(id: UInt16(number) << 8 | 1, secret: secret)
}

func moment(_ milliseconds: Int64) -> Instant { .zero + Nanoseconds.milliseconds(milliseconds) }

/// Clear type and hello of a datagram.
func clear(_ datagram: [UInt8]) -> ClearHeader? {
    let decoded = datagram.withUnsafeBytes { ClearHeader.decode($0) }
    guard case .success(let header) = decoded else { return nil }
    return header
}

let ping = Message.ping(Ping(probe: 1, attempt: 0))
let aViews = Message.views(Views(replicaRing: 1))
