import Determinism
import WireCoding

/// What a packet says, and what is sent.
extension MembershipMachine {
    mutating func receive<Sink: PacketSink>(
        _ packet: ReceivedPacket, at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        guard mayspeak else { return }
        let source = packet.header.source
        guard source != own.id.short else { return }
        let speaker = noteSpeaker(packet, at: now, sending: &sink, into: &effects)
        if packet.wantsReceipt, speaker { withPost(of: source) { $0.owe(packet.counter, at: now) } }
        for message in packet.messages {
            apply(message, of: packet, at: now, sending: &sink, into: &effects)
        }
    }

    /// True when the speaker is a member in the life that this replica knows.
    private mutating func noteSpeaker<Sink: PacketSink>(
        _ packet: ReceivedPacket, at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) -> Bool {
        for place in twinChecks.indices where twinChecks[place].session == packet.session {
            twinChecks[place].hasAnswered = true
        }
        guard let place = table.place(of: packet.header.source), table[place].member.record.session == packet.session
        else {
            contact(packet.header.source, at: packet.from, at: now, into: &effects)
            return false
        }
        let slot = table[place]
        if slot.member.status.isGone {
            tellThatItIsGone(place, to: packet.from, at: now, sending: &sink)
            // It lives, so the cut between us may have healed: compare everything.
            if slot.member.status == .dead, !slot.member.isRemoved {
                sync(with: packet.header.source, at: packet.from, for: .contact, at: now, into: &effects)
            }
            return true
        }
        let differs = packet.header.membershipDigest != digest
        var isTime = false
        table.touch(place) { slot in
            slot.heardAt = now
            if !differs {
                slot.differsSince = .never
            } else if slot.differsSince == .never {
                slot.differsSince = now
            } else {
                isTime = now.span(since: slot.differsSince) >= timing.digestPatience
            }
        }
        if isTime {
            sync(with: packet.header.source, at: slot.member.record.address, for: .digest, at: now, into: &effects)
        }
        return true
    }

    private mutating func apply<Sink: PacketSink>(
        _ message: Message, of packet: ReceivedPacket, at now: Instant, sending sink: inout Sink,
        into effects: inout [MembershipEffect]
    ) {
        let source = packet.header.source
        switch message {
        case .ping(let ping): answer(ping, of: packet, at: now, sending: &sink)
        case .ack(let ack): acknowledged(ack, by: source, at: now, sending: &sink, into: &effects)
        case .indirectPing(let request): help(source, with: request, at: now, sending: &sink)
        case .nack(let nack): refused(nack)
        case .member(let record): merge(record, age: nil, from: .packet(source), at: now, into: &effects)
        case .state(let news): merge(news, of: packet, at: now, into: &effects)
        case .leave(let news): merge(news, at: now, into: &effects)
        case .removed(let news): merge(news, from: .packet(source), at: now, into: &effects)
        case .misdelivered(let news): misdelivered(news, of: packet, at: now, into: &effects)
        case .receipt(let counters):
            guard let place = posts.firstIndex(where: { $0.peer == source }) else { break }
            for counter in counters { posts[place].received(counter) }
            if posts[place].isEmpty { posts.remove(at: place) }
        case .views, .workerHealth, .workerLoad, .addressBlock, .workerOrder, .keyringNotice, .agedMember: break
        }
    }

    // MARK: Sending

    var header: PacketHeader {
        PacketHeader(
            destination: ReplicaShortID(rawValue: 0), source: own.id.short, incarnation: own.incarnation,
            membershipDigest: digest, keyLogDigest: keyLogDigest)
    }

    /// Bytes of a packet beside its messages: its own, and the headers of IPv6 and UDP.
    static let overhead = Datagram.clearHeaderBytes + Datagram.innerHeaderBytes + Datagram.tagBytes + 48

    /// Builds a packet around what `urgent` writes, fills it with what else the peer is owed, and sends it. The counter,
    /// or nil when it could not go.
    @discardableResult
    mutating func send<Sink: PacketSink>(
        to destination: PacketDestination, at now: Instant, sending sink: inout Sink,
        _ urgent: (inout [UInt8]) -> Void
    ) -> UInt64? {
        packet.removeAll(keepingCapacity: true)
        urgent(&packet)
        var serials: [UInt64] = []
        if !posts.isEmpty, let place = posts.firstIndex(where: { $0.peer == destination.short }) {
            serials = fill(from: place, at: now)
        }
        rumours.fill(&packet, upTo: Datagram.messageBytesMax, lanes: 1...4)
        return dispatch(to: destination, serials: serials, tries: 0, isUrgent: true, at: now, sending: &sink)
    }

    /// Seals and sends what stands in `packet`.
    @discardableResult
    mutating func dispatch<Sink: PacketSink>(
        to destination: PacketDestination, serials: [UInt64], tries: Int, isUrgent: Bool, at now: Instant,
        sending sink: inout Sink
    ) -> UInt64? {
        guard budget.take(packet.count + Self.overhead, isUrgent: isUrgent, at: now) else {
            isThrottled = true
            return nil
        }
        var header = header
        header.destination = destination.short
        let counter = sink.send(
            packet, header: header, to: destination, receiptWanted: !serials.isEmpty, at: now)
        if let counter, !serials.isEmpty {
            let bound = bounds.unreceiptedPerPeer
            withPost(of: destination.short) {
                $0.expectReceipt(of: serials, counter: counter, tries: tries, at: now, bound: bound)
            }
        }
        return counter
    }

    /// Puts receipts and waiting news into `packet`. Returns the numbers of those that want a receipt.
    mutating func fill(from place: Int, at now: Instant) -> [UInt64] {
        let owed = posts[place].takeOwed()
        if !owed.isEmpty { Message.receipt(owed).encode(into: &packet) }
        return pack(posts[place].takeWaiting(), of: place, at: now)
    }

    /// Appends the rumours with these numbers that are still told, as many as fit; the others wait on.
    mutating func pack(_ serials: [UInt64], of place: Int, at now: Instant) -> [UInt64] {
        var wanted: [UInt64] = []
        for (index, serial) in serials.enumerated() {
            guard let rumour = rumours.rumour(serial: serial) else { continue }
            guard packet.count + rumour.bytes <= Datagram.messageBytesMax else {
                posts[place].putBack(Array(serials[index...]), until: now)
                break
            }
            rumour.message.encode(into: &packet)
            if rumour.lane <= 3 { wanted.append(serial) }
        }
        return wanted
    }

    /// The peer's post, made when there is none.
    mutating func withPost(of peer: ReplicaShortID, _ body: (inout PeerPost) -> Void) {
        if let place = posts.firstIndex(where: { $0.peer == peer }) { return body(&posts[place]) }
        guard posts.count < Self.postsMax else { return }
        posts.append(PeerPost(peer: peer))
        body(&posts[posts.count - 1])
    }

    /// Peers that are owed something at a time: all of a flock that tells everybody at once, and as many dead.
    static let postsMax = 256

    private mutating func tellThatItIsGone<Sink: PacketSink>(
        _ place: Int, to address: PeerAddress, at now: Instant, sending sink: inout Sink
    ) {
        let slot = table[place]
        guard now >= slot.toldAfter else { return }
        table.touch(place) { $0.toldAfter = now + .milliseconds(500) }
        var destination = slot.member.destination
        destination.address = address
        if let entry = removed.entry(for: slot.member.record.session) {
            let news = RemovedNews(
                tombstone: entry.tombstone, id: entry.id, session: entry.session, by: entry.by,
                ageSeconds: UInt32(clamping: now.span(since: entry.since).wholeSeconds), isPruned: entry.isPruned)
            send(to: destination, at: now, sending: &sink) { Message.removed(news).encode(into: &$0) }
        } else {
            send(to: destination, at: now, sending: &sink) {
                Message.member(slot.member.record).encode(into: &$0)
            }
        }
    }
}
