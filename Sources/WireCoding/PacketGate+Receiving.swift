package import Determinism

/// What became of a datagram.
package enum Passage: Hashable, Sendable {
    /// `PacketGate.packet` has it. `isNew`: its session was proven by it.
    case passed(isNew: Bool)
    case dropped(DropReason)
}

extension PacketGate {
    /// Takes one datagram through all steps: the cheap ones first, so that a stranger costs little. `own` is the header of
    /// this replica's packets, for the answers that the gate gives by itself.
    ///
    /// Afterwards `settle` has to be called, once what passed is applied.
    package mutating func receive(
        _ datagram: UnsafeRawBufferPointer, from source: PeerAddress, own: PacketHeader, at now: Instant,
        datagrams: inout DatagramOutbox
    ) -> Passage {
        // 1: a packet of ours, of a version that is spoken here.
        let clear: ClearHeader
        switch ClearHeader.decode(datagram, bytesMax: bounds.bytesMax) {
        case .success(let header): clear = header
        case .failure(let reason): return .dropped(reason)
        }
        // 2: not seen before. Nobody but me speaks under my session, so what comes back of it is an echo.
        guard clear.session != session else { return .dropped(.replay) }
        let known = sessions.place(of: clear.session)
        if let known {
            guard !sessions.hasSeen(clear.counter, at: known) else { return .dropped(.replay) }
        } else {
            // 3: strangers may only cost so much.
            guard allowsStranger(at: source, now) else { return .dropped(.overload) }
        }
        // 4, 5: sealed by who holds a key of the flock.
        guard keyIDs.contains(clear.keyID) else { return .dropped(.key) }
        guard Self.open(datagram, clear, isProven: known != nil, into: &text, with: &sealing) else {
            return .dropped(.auth)
        }
        guard let header = text.withUnsafeBytes({ PacketHeader(decoding: $0) }) else { return .dropped(.decode) }
        // 6: it is now.
        let verdict = HelloExchange.verdict(
            on: clear.hello, isProven: known != nil,
            isEchoed: known == nil && clear.hello.map { isMine($0.echo, for: source, at: now) } ?? false,
            bytes: datagram.count, cookie: known == nil ? cookie(for: source, at: now) : 0)
        let echo: ClearHeader.Hello?
        switch verdict {
        case .unproven(let answer):
            if let answer, isTime(.answers, for: source, every: bounds.helloEvery, at: now) {
                send(answer, to: header.source, at: source, own: own, datagrams: &datagrams)
            }
            return .dropped(.unproven)
        case .apply(let answer): echo = answer
        }
        let place = known ?? sessions.insert(clear.session, after: clear.counter - 1, at: now)
        sessions.hear(place, at: now)
        if let echo, sessions.update(place, { [bounds] in $0.mayEcho(at: now, every: bounds.helloEvery) }) {
            let peer = PacketDestination(short: header.source, session: clear.session, address: source)
            owed = OwedEcho(to: peer, hello: echo)
        }
        // 7: it is for me. The window is not marked by what is for others.
        guard header.destination == own.source else {
            if isTime(.misdelivered, for: source, every: bounds.misdeliveredEvery, at: now) {
                tellMisdelivered(
                    header.destination, to: header.source, at: source, own: own, datagrams: &datagrams)
            }
            return .dropped(.misdelivered)
        }
        let isAllowed = sessions.update(place) { [bounds] session in
            session.window.mark(clear.counter)
            // 8: a member may only cost so much either, and what was too much is not heard later.
            return session.rate.allows(bounds.memberPackets, at: now)
        }
        guard isAllowed else { return .dropped(.overload) }
        // 9: all of it can be read.
        packet.messages.drain()
        if let reason = Self.decode(text, into: &packet.messages) { return .dropped(reason) }
        packet.from = source
        packet.session = clear.session
        packet.counter = clear.counter
        packet.wantsReceipt = clear.isReceiptWanted
        packet.header = header
        return .passed(isNew: known == nil)
    }

    private mutating func allowsStranger(at address: PeerAddress, _ now: Instant) -> Bool {
        let place = sources.place(of: address) ?? sources.insert(Source(), for: address)
        sources.touch(place)
        return sources.update(place) { [bounds] in $0.rate.allows(bounds.strangerPackets, at: now) }
            && strangers.allows(bounds.strangersPackets, at: now)
    }

    /// Opens a copy of the datagram's text in `text`.
    private static func open(
        _ datagram: UnsafeRawBufferPointer, _ clear: ClearHeader, isProven: Bool, into text: inout [UInt8],
        with sealing: inout any PacketSealing
    ) -> Bool {
        let clearCount = clear.encodedCount
        let textEnd = datagram.count - Datagram.tagBytes
        text.removeAll(keepingCapacity: true)
        text.append(contentsOf: UnsafeRawBufferPointer(rebasing: datagram[clearCount..<textEnd]))
        let sealed = SealedPacket(
            keyID: clear.keyID, session: clear.session, counter: clear.counter, isProven: isProven)
        return text.withUnsafeMutableBytes { text in
            sealing.open(
                clear: UnsafeRawBufferPointer(rebasing: datagram[..<clearCount]), text: text,
                tag: UnsafeRawBufferPointer(rebasing: datagram[textEnd...]), for: sealed)
        }
    }

    private static func decode(_ text: [UInt8], into messages: inout [Message]) -> DropReason? {
        text.withUnsafeBytes { text in
            Message.decodeAll(UnsafeRawBufferPointer(rebasing: text[Datagram.innerHeaderBytes...]), into: &messages)
        }
    }
}
