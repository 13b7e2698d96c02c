import Determinism
import WireCoding

/// What a packet says, and what is sent.
extension MembershipMachine {
    mutating func receive<Sink: PacketSink>(
        _ packet: ReceivedPacket, at now: Instant, sending sink: inout Sink, into effects: inout [MembershipEffect]
    ) {
        guard maySpeak else { return }
        let source = packet.header.source
        guard source != own.id.short else { return }
        let speaker = noteSpeaker(packet, at: now, sending: &sink, into: &effects)
        if packet.wantsReceipt, speaker { withPost(of: source) { $0.owe(packet.counter, at: now) } }
        // One question a packet is answered: one with a hundred of them would cause a hundred packets (M9).
        var hasAsked = false
        for message in packet.messages {
            switch message {
            case .ping, .indirectPing:
                if hasAsked { continue }
                hasAsked = true
            default: break
            }
            apply(message, of: packet, at: now, sending: &sink, into: &effects)
        }
        if !suspicions.isEmpty { acquit(packet.header, of: packet.session, at: now, into: &effects) }
    }

    /// Whoever speaks at a later incarnation than the accused one need not hear of the accusation, which is old to it. The
    /// record may have been lost: a change that nobody had accused when it was told wants no receipt.
    private mutating func acquit(
        _ speaker: PacketHeader, of session: SessionID, at now: Instant, into effects: inout [MembershipEffect]
    ) {
        guard let place = table.place(of: speaker.source), table[place].member.status == .suspect,
            table[place].member.record.session == session,
            speaker.incarnation > table[place].member.record.incarnation
        else { return }
        raise(place, to: speaker.incarnation, at: now, into: &effects)
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
        beginPacket()
        urgent(&packet)
        let lane = laneThatRides(at: now)
        var serials: [UInt64] = []
        if !posts.isEmpty, let place = posts.firstIndex(where: { $0.peer == destination.short }) {
            serials = fill(from: place, upToLane: lane)
        }
        rumours.fill(&packet, upTo: Datagram.messageBytesMax, lanes: 1...min(lane, 4))
        return dispatch(to: destination, serials: serials, tries: 0, at: now, sending: &sink)
    }

    mutating func beginPacket() {
        packet.removeAll(keepingCapacity: true)
        rumours.beginPacket()
    }

    /// What costs the budget of bytes at most, and therefore what must be there for all lanes.
    static let packetCostMax = Datagram.messageBytesMax + overhead

    /// Up to which lane news is packed now. An empty bucket is for questions, answers and what is most urgent (M22): other
    /// news waits, it would count as told while nobody heard it.
    mutating func laneThatRides(at now: Instant) -> UInt8 {
        if budget.holds(Self.packetCostMax, at: now) { return 6 }
        isThrottled = true
        return 1
    }

    /// Seals and sends what stands in `packet`.
    @discardableResult
    mutating func dispatch<Sink: PacketSink>(
        to destination: PacketDestination, serials: [UInt64], tries: Int, at now: Instant, sending sink: inout Sink
    ) -> UInt64? {
        var counter: UInt64?
        if budget.take(packet.count + Self.overhead, at: now) {
            var header = header
            header.destination = destination.short
            counter = sink.send(packet, header: header, to: destination, receiptWanted: !serials.isEmpty, at: now)
        } else {
            isThrottled = true
        }
        if !serials.isEmpty {
            // What could not go is as good as lost: no packet has the number 0, so it is sent again.
            let bound = bounds.unreceiptedPerPeer
            withPost(of: destination.short) {
                $0.expectReceipt(of: serials, counter: counter ?? 0, tries: tries, at: now, bound: bound)
            }
        }
        return counter
    }

    /// Puts receipts and waiting news into `packet`, as much as fits. Returns the numbers of those that want a receipt.
    mutating func fill(from place: Int, upToLane lane: UInt8) -> [UInt64] {
        let owed = posts[place].takeOwed()
        if !owed.isEmpty { Message.receipt(owed).encode(into: &packet) }
        var wanted: [UInt64] = []
        while let serial = posts[place].nextWaiting(upToLane: lane) {
            switch rumours.pack(serial, into: &packet, upTo: Datagram.messageBytesMax) {
            case .packed(let lane): if lane <= Self.receiptedLaneMax { wanted.append(serial) }
            case .old: break
            case .noRoom: return wanted
            }
            posts[place].dropNextWaiting()
        }
        return wanted
    }

    static let receiptedLaneMax: UInt8 = 3

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
