import Determinism
import Membership
import WireCoding

/// Promises about packets.
extension Observer {
    /// The longest chain of packets that one may lead to, each sent in answer to the one before [ours]: a helper's ping,
    /// its ack and the word to the asker are three. News that is passed on makes longer ones, until all have it.
    static let depthMax = 16
    /// News that goes hop by hop is passed on at once by whoever it finds idle: it reaches everybody within 3 · log2 N
    /// rounds, and a chain is no longer than that.
    private var depthMax: Int {
        truths.count <= timing.directMax ? Self.depthMax : Self.depthMax + timing.sends(replicas: truths.count)
    }
    /// Hellos in answer to hellos: four, or six if an address differs.
    static let hellosMax = 6

    /// A datagram leaves: M2, M9, M22, W1, W2, W9.
    mutating func sent(_ process: Int, _ datagram: UnsafeRawBufferPointer, depth: Int, hellos: Int) {
        if datagram.count > Datagram.bytesMax { report(.w2, process, "sent \(datagram.count) bytes") }
        guard case .success(let header) = ClearHeader.decode(datagram),
            let place = place(of: header.session, of: process)
        else { return report(.w1, process, "sent what is no packet of its own") }
        if header.counter <= sessions[place].counter {
            report(
                .w1, process, "sealed \(header.counter) of session \(header.session) after \(sessions[place].counter)")
        }
        count(header.counter, of: place)
        if !sessions[place].isDurable { report(.m2, process, "spoke before its incarnation was durable") }
        if depth > depthMax { report(.m9, process, "answered the \(depth)th packet of a chain") }
        if header.hello != nil, hellos >= Self.hellosMax {
            report(.w9, process, "answered the \(hellos)th hello in a row")
        }
        measures.sent(process, datagram.count)
        guard header.hello == nil else { return }
        spend(process, Int64(datagram.count + Network.headerBytes))
    }

    /// Where a session of that process is noted: nearly always it is the one that it has now.
    private func place(of session: SessionID, of process: Int) -> Int? {
        let current = truths[process].session
        if sessions[current].id == session { return current }
        guard let place = sessionPlaces[session], sessions[place].process == process else { return nil }
        return place
    }

    /// The cap is a bucket: so much at once, so much a second, and a quarter of the bucket more for what is urgent.
    private mutating func spend(_ process: Int, _ bytes: Int64) {
        let passed = max(0, now.span(since: truths[process].budgetAt).rawValue)
        // A clock may run fast, and the machine counts on that clock.
        let rate = Int64(bounds.bytesPerSecond) * 1_001 / 1_000
        let gained = passed / 1_000 * rate / 1_000_000
        if gained > 0 {
            truths[process].budget = min(Int64(bounds.burstBytes), truths[process].budget + gained)
            truths[process].budgetAt = now
        }
        truths[process].budget -= bytes
        let least = -Int64(bounds.burstBytes) / 4 - Int64(Datagram.bytesMax)
        if truths[process].budget < least {
            report(.m22, process, "is \(-truths[process].budget) bytes over its cap")
            truths[process].budget = 0
        }
    }

    /// What is true of a packet that a process got.
    struct Delivery: Sendable {
        var packet: UInt32
        var receiver: Int
        var life: UInt32
        var sealedAt: Instant = .zero
        var origin: Int
        var intended: Int
        var isDamaged: Bool
        /// This process has applied it before.
        var wasApplied: Bool
        var bytes: Int
    }

    /// A process was given a packet: W3, W4, W5, W6. `dropped` is the reason that it gave, nil when it applied it.
    mutating func delivered(
        _ delivery: Delivery, dropped: DropReason?, hasEffects: Bool, answers: Int, answerBytes: Int
    ) {
        let receiver = delivery.receiver
        if let dropped {
            measures.drops[Int(dropped.rawValue)] += 1
            // Keys that it does not know may have been missed: it joins again.
            if hasEffects, dropped != .key {
                report(.w4, receiver, "dropped a packet as \(dropped.word), and yet did something")
            }
            switch dropped {
            case .misdelivered: break
            case .unproven:
                if answerBytes > delivery.bytes {
                    report(
                        .w5, receiver, "answered \(answerBytes) bytes to \(delivery.bytes) that were \(dropped.word)")
                }
            // It may join again for that, and does on the way what is due.
            case .key: break
            case .decode, .version, .replay, .overload, .auth, .mtu:
                if answers > 0 { report(.w5, receiver, "answered a packet that it dropped as \(dropped.word)") }
            }
            return
        }
        measures.applied += 1
        if delivery.isDamaged { report(.w4, receiver, "applied a packet that was changed on its way") }
        if delivery.wasApplied { report(.w4, receiver, "applied a packet twice") }
        if truths[delivery.origin].cluster != truths[receiver].cluster {
            report(.w6, receiver, "applied a packet of another cluster")
        }
        if delivery.intended != receiver { report(.w6, receiver, "applied a packet for r\(delivery.intended)") }
        if delivery.sealedAt < truths[receiver].began {
            report(.w3, receiver, "applied a packet that is older than itself")
        }
    }

    /// Whether a packet speaks of members.
    func hasNews(_ messages: UnsafeRawBufferPointer) -> Bool {
        var place = 0
        while place + Message.headerBytes <= messages.count {
            if Self.isNews(messages[place]) { return true }
            place += Message.headerBytes + (Int(messages[place + 1]) << 8 | Int(messages[place + 2]))
        }
        return false
    }

    private static func isNews(_ kind: UInt8) -> Bool {
        kind == MessageKind.member.rawValue || kind == MessageKind.state.rawValue
    }

    /// What an applied packet says, since the toy seal hides nothing: M1, M7. Called after the machine had it.
    mutating func heard(
        _ receiver: Int, _ messages: UnsafeRawBufferPointer, own: MemberRecord, table: MemberTable, local: Instant
    ) {
        said.removeAll(keepingCapacity: true)
        _ = Message.decodeAll(messages, into: &said)
        for message in said {
            switch message {
            case .member(let record): heard(receiver, record, own: own, table: table)
            case .state(let news): heard(receiver, news, own: own, table: table, local: local)
            default: break
            }
        }
    }

    private mutating func heard(_ receiver: Int, _ record: MemberRecord, own: MemberRecord, table: MemberTable) {
        guard record.id.short != own.id.short, record.id.short != truths[receiver].wasCalled, !record.status.isGone
        else { return }
        guard let held = table.slot(of: record.id.short)?.member.record, held.id == record.id else {
            // A full table, a taken short id: the only reasons not to hold it.
            let isExcused = bounds.members < 64 || (shorts[record.id.short.rawValue]?.count ?? 0) > 1
            if !isExcused { report(.m1, receiver, "was told of \(record.id.short) and does not hold it") }
            return
        }
        if (held.incarnation, held.session) < (record.incarnation, record.session) {
            report(.m1, receiver, "was told \(record.incarnation) of \(record.id.short) and holds \(held.incarnation)")
        }
    }

    private mutating func heard(
        _ receiver: Int, _ news: StateNews, own: MemberRecord, table: MemberTable, local: Instant
    ) {
        guard news.subject == own.id.short else {
            guard let held = table.slot(of: news.subject)?.member.record, held.session.life == news.life,
                held.incarnation == news.incarnation, held.status < news.status, let identity = identities[held.id],
                // News of a life that was not known is passed over: it comes again with its record.
                !truths[receiver].adopted.contains(identity)
            else { return }
            return report(.m1, receiver, "was told that \(news.subject) is \(news.status.word) and does not hold it so")
        }
        guard news.life == own.session.life, news.status > .alive, news.incarnation >= own.incarnation,
            own.status != .left, truths[receiver].accusation == nil
        else { return }
        truths[receiver].accusation = (news.incarnation, own.session, local)
    }
}
