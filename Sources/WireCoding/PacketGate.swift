package import Determinism

/// The gate through which all packets pass, in and out: it seals, counts, opens, proves and decodes.
///
/// A stranger gets silence and costs one opening at most. A member's packet proves three things before a byte of it is
/// believed: it holds the flock's key (the seal), it is now (cookie and replay window), it is for me (the destination
/// inside the seal). `+Receiving` has the ten steps in their order.
package struct PacketGate: Sendable {
    /// What is counted per address, proven or not.
    struct Source: Sendable {
        var rate = PacketRate()
        /// Hellos of mine that open, and that answer who is not proven: not before these.
        var opensAfter = Instant.zero
        var answersAfter = Instant.zero
        var misdeliveredAfter = Instant.zero
    }

    /// An echo that is to ride on the next packet to a peer.
    struct OwedEcho: Hashable, Sendable {
        let to: PacketDestination
        let hello: ClearHeader.Hello
    }

    package let bounds: GateBounds
    /// Slots of cookies are counted from here.
    let startedAt: Instant
    /// Not a parameter of the type: machines above would be generic as well, and unspecialised across rooms that costs more
    /// than two calls through a table for each packet.
    var sealing: any PacketSealing
    var keyIDs: [UInt16] = []
    /// Of this process: what its packets are sealed under.
    package private(set) var session: SessionID
    /// Of the last packet sent. One for all destinations: two would use nonces twice (W1).
    package private(set) var counter: UInt64 = 0
    package internal(set) var sessions: SessionTable
    var sources: RecencyTable<PeerAddress, Source>
    var strangers = PacketRate()
    var owed: OwedEcho?
    /// What passed last. Its messages' storage is used again.
    package internal(set) var packet: ReceivedPacket
    /// The text of the packet in hand.
    var text: [UInt8] = []
    private var answer: [UInt8] = []

    package init(sealing: some PacketSealing, session: SessionID, bounds: GateBounds = GateBounds(), at now: Instant) {
        self.bounds = bounds
        self.sealing = sealing
        self.session = session
        startedAt = now
        sessions = SessionTable(bound: bounds.sessions, kept: bounds.sessionKept, windowWidth: bounds.windowWidth)
        sources = RecencyTable(bound: bounds.sources)
        packet = ReceivedPacket(
            from: PeerAddress(high: 0, low: 0, port: 0), session: session, counter: 0, wantsReceipt: false,
            header: PacketHeader(
                destination: ReplicaShortID(rawValue: 0), source: ReplicaShortID(rawValue: 0),
                incarnation: Incarnation(rawValue: 0), membershipDigest: 0), messages: [])
        text.reserveCapacity(bounds.bytesMax)
    }

    /// The keys that open, the one that seals first.
    package mutating func use(_ keys: [TrafficKey]) {
        keyIDs = keys.map(\.id)
        sealing.use(keys)
    }

    /// This process speaks under another session from now on. What others have proven stays proven.
    package mutating func become(_ session: SessionID) {
        guard session != self.session else { return }
        self.session = session
        counter = 0
        owed = nil
    }

    /// Whether a session is a member's: a full table keeps those.
    package mutating func mark(_ session: SessionID, isMember: Bool) { sessions.mark(session, isMember: isMember) }

    // MARK: Sending

    /// Seals one packet, as data, or as a hello to a peer that has not proven itself yet. Its counter; nil when no key
    /// can seal it.
    package mutating func seal(
        messages: borrowing [UInt8], header: PacketHeader, to destination: PacketDestination, receiptWanted: Bool,
        at now: Instant, datagrams: inout DatagramOutbox
    ) -> UInt64? {
        var hello: ClearHeader.Hello?
        if let owed, owed.to.address == destination.address, owed.to.short == destination.short {
            hello = owed.hello
            self.owed = nil
        } else if destination.session.rawValue == 0 || !sessions.contains(destination.session) {
            // Between two hellos data is sent: the peer may well have proven me.
            if isTime(.opens, for: destination.address, every: bounds.helloEvery, at: now) {
                hello = ClearHeader.Hello(echo: 0, challenge: cookie(for: destination.address, at: now))
            }
        }
        return emit(
            hello, messages: messages, header: header, to: destination.address, receiptWanted: receiptWanted,
            datagrams: &datagrams)
    }

    /// Something proved itself and asked for the same, and no packet has answered it yet.
    package var owesEcho: Bool { owed != nil }

    /// Sends the echo that nothing was sent with.
    package mutating func settle(own: PacketHeader, datagrams: inout DatagramOutbox) {
        guard let owed else { return }
        self.owed = nil
        send(owed.hello, to: owed.to.short, at: owed.to.address, own: own, datagrams: &datagrams)
    }

    /// A hello without messages.
    mutating func send(
        _ hello: ClearHeader.Hello, to peer: ReplicaShortID, at address: PeerAddress, own: PacketHeader,
        datagrams: inout DatagramOutbox
    ) {
        var header = own
        header.destination = peer
        _ = emit(hello, messages: [], header: header, to: address, receiptWanted: false, datagrams: &datagrams)
    }

    /// «You looked for `sought` here, but this is me.»
    mutating func tellMisdelivered(
        _ sought: ReplicaShortID, to peer: ReplicaShortID, at address: PeerAddress, own: PacketHeader,
        datagrams: inout DatagramOutbox
    ) {
        var header = own
        header.destination = peer
        answer.removeAll(keepingCapacity: true)
        Message.misdelivered(Misdelivered(sought: sought, mine: own.source, session: session)).encode(into: &answer)
        _ = emit(nil, messages: answer, header: header, to: address, receiptWanted: false, datagrams: &datagrams)
    }

    private mutating func emit(
        _ hello: ClearHeader.Hello?, messages: borrowing [UInt8], header: PacketHeader, to address: PeerAddress,
        receiptWanted: Bool, datagrams: inout DatagramOutbox
    ) -> UInt64? {
        guard let keyID = keyIDs.first, counter < .max else { return nil }
        let clear = ClearHeader(
            isReceiptWanted: receiptWanted, keyID: keyID, session: session, counter: counter + 1, hello: hello)
        let clearCount = clear.encodedCount
        let textCount = Datagram.innerHeaderBytes + messages.count
        let count = clearCount + textCount + Datagram.tagBytes
        guard count <= bounds.bytesMax else {
            Fault.report("W2: a packet is longer than a datagram may be")
            return nil
        }
        counter += 1
        let sealed = SealedPacket(keyID: keyID, session: session, counter: counter, isProven: true)
        let isSealed = messages.withUnsafeBytes { messages in
            datagrams.append(to: address, count: count) { datagram in
                let text = UnsafeMutableRawBufferPointer(rebasing: datagram[clearCount..<clearCount + textCount])
                clear.encode(into: UnsafeMutableRawBufferPointer(rebasing: datagram[..<clearCount]))
                header.encode(into: text)
                UnsafeMutableRawBufferPointer(rebasing: text[Datagram.innerHeaderBytes...]).copyMemory(from: messages)
                return sealing.seal(
                    clear: UnsafeRawBufferPointer(rebasing: datagram[..<clearCount]), text: text,
                    tag: UnsafeMutableRawBufferPointer(rebasing: datagram[(clearCount + textCount)...]), for: sealed)
            }
        }
        return isSealed ? counter : nil
    }

    // MARK: Cookies and limits

    /// What I would give that address now. Never 0.
    func cookie(for address: PeerAddress, at now: Instant) -> UInt64 { cookie(for: address, slot: slot(at: now)) }

    /// Whether I gave that address this number in this half minute or the one before.
    func isMine(_ echo: UInt64, for address: PeerAddress, at now: Instant) -> Bool {
        guard echo != 0 else { return false }
        let slot = slot(at: now)
        return echo == cookie(for: address, slot: slot)
            || (slot > 0 && echo == cookie(for: address, slot: slot - 1))
    }

    private func cookie(for address: PeerAddress, slot: UInt32) -> UInt64 {
        max(1, sealing.cookie(for: address, slot: slot))
    }

    private func slot(at now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: max(0, now.span(since: startedAt).wholeSeconds) / HelloExchange.slotSeconds)
    }

    enum Answer { case opens, answers, misdelivered }

    /// True at most once in that time for that address.
    mutating func isTime(
        _ answer: Answer, for address: PeerAddress, every pause: Nanoseconds, at now: Instant
    ) -> Bool {
        let place = sources.place(of: address) ?? sources.insert(Source(), for: address)
        sources.touch(place)
        switch answer {
        case .opens: return sources.update(place) { Self.isTime(&$0.opensAfter, every: pause, at: now) }
        case .answers: return sources.update(place) { Self.isTime(&$0.answersAfter, every: pause, at: now) }
        case .misdelivered: return sources.update(place) { Self.isTime(&$0.misdeliveredAfter, every: pause, at: now) }
        }
    }

    private static func isTime(_ moment: inout Instant, every pause: Nanoseconds, at now: Instant) -> Bool {
        guard now >= moment else { return false }
        moment = now + pause
        return true
    }
}
