import Determinism
import Testing

@testable import WireCoding

/// Two that know each other, and what they need to say.
private func acquainted(_ bounds: GateBounds = GateBounds()) -> (a: GateEnd, b: GateEnd) {
    var (a, b) = (GateEnd(1, bounds: bounds), GateEnd(2, bounds: bounds))
    GateEnd.introduce(&a, &b)
    return (a, b)
}

@Test("each reason for a drop, in the order of the steps")
func dropReasons() {
    var (a, b) = acquainted()
    let good = a.say([ping, aViews], to: b.destination())
    func passage(_ change: (inout [UInt8]) -> Void) -> Passage {
        var datagram = good
        change(&datagram)
        return b.hear(datagram, from: a.address).passage
    }
    // 1
    #expect(passage { $0.removeLast($0.count - 63) } == .dropped(.decode))
    #expect(passage { $0 = [] } == .dropped(.decode))
    #expect(passage { $0 += [UInt8](repeating: 0, count: 1_201 - $0.count) } == .dropped(.decode))
    #expect(passage { $0[0] = 2 << 4 } == .dropped(.version))
    #expect(passage { $0[0] = 1 << 4 | 2 } == .dropped(.version))
    #expect(passage { $0[1] = 2 } == .dropped(.version))
    #expect(passage { $0.replaceSubrange(4..<12, with: [UInt8](repeating: 0, count: 8)) } == .dropped(.decode))
    #expect(passage { $0.replaceSubrange(12..<20, with: [UInt8](repeating: 0, count: 8)) } == .dropped(.decode))
    // 2: what was heard before comes before a wrong key.
    #expect(passage { _ in } == .passed(isNew: false))
    #expect(passage { $0[2] ^= 0xff } == .dropped(.replay))
    #expect(b.hear(b.say([], to: a.destination()), from: a.address).passage == .dropped(.replay))
    // 4, 5
    let next = a.say([ping], to: b.destination())
    var wrong = next
    wrong[2] ^= 0xff
    #expect(b.hear(wrong, from: a.address).passage == .dropped(.key))
    wrong = next
    wrong[30] ^= 1
    #expect(b.hear(wrong, from: a.address).passage == .dropped(.auth))
    #expect(b.hear(next, from: a.address).passage == .passed(isNew: false))
    // 7
    let foreign = a.say(
        [ping], to: PacketDestination(short: ReplicaShortID(rawValue: 9), session: b.session, address: b.address))
    let misdelivered = b.hear(foreign, from: a.address)
    #expect(misdelivered.passage == .dropped(.misdelivered) && misdelivered.answers.count == 1)
    #expect(a.hear(misdelivered.answers[0], from: b.address).passage == .passed(isNew: false))
    #expect(
        a.gate.packet.messages
            == [.misdelivered(Misdelivered(sought: ReplicaShortID(rawValue: 9), mine: b.short, session: b.session))])
    // Its counter was not marked, and it is answered once a second.
    #expect(b.hear(foreign, from: a.address, at: moment(999)) == (.dropped(.misdelivered), []))
    #expect(b.hear(foreign, from: a.address, at: moment(1_000)).answers.count == 1)
}

@Test("a stranger is limited by address, and all strangers together")
func strangers() {
    var bounds = GateBounds()
    bounds.strangerPackets = 3
    bounds.strangersPackets = 5
    var b = GateEnd(2, bounds: bounds)
    var a = GateEnd(1)
    let datagrams = (0..<9).map { _ in a.say([ping, aViews], to: b.destination()) }
    let here = datagrams[..<4].map { b.hear($0, from: a.address).passage }
    #expect(here == [.dropped(.unproven), .dropped(.unproven), .dropped(.unproven), .dropped(.overload)])
    let other = PeerAddress(ipv4: 1, port: 1)
    let there = datagrams[4..<7].map { b.hear($0, from: other).passage }
    #expect(there == [.dropped(.unproven), .dropped(.unproven), .dropped(.overload)])
    #expect(b.counts.all[1] == 5)
    #expect(b.hear(datagrams[7], from: other, at: moment(1_000)).passage == .dropped(.unproven))
}

@Test("a member is limited too, and what was too much is not heard later")
func members() {
    var bounds = GateBounds()
    bounds.memberPackets = 3
    var (a, b) = (GateEnd(1), GateEnd(2, bounds: bounds))
    GateEnd.introduce(&a, &b)
    let datagrams = (0..<4).map { _ in a.say([ping], to: b.destination()) }
    // One of three was the hello.
    let passages = datagrams.map { b.hear($0, from: a.address, at: moment(1)).passage }
    #expect(passages == [.passed(isNew: false), .passed(isNew: false), .dropped(.overload), .dropped(.overload)])
    #expect(b.hear(datagrams[3], from: a.address, at: moment(2_000)).passage == .dropped(.replay))
}

@Test("before proof: one opening, one seal, no more bytes out than in, nothing kept (W5)")
func beforeProof() {
    for size in 0...40 {
        var (a, b) = (GateEnd(1), GateEnd(2))
        _ = a.say([], to: b.destination())
        // Data, since the hello has just gone.
        let messages: [Message] = size < 3 ? [] : size < 12 ? [ping] : [ping, aViews]
        for datagram in [a.say(messages, to: b.destination()), a.say(messages, to: b.destination(), at: moment(60))] {
            let before = b.counts.all
            let heard = b.hear(datagram, from: a.address, at: moment(60))
            let after = b.counts.all
            #expect(heard.passage == .dropped(.unproven))
            #expect(after[1] - before[1] == 1 && after[0] - before[0] <= 1)
            #expect(heard.answers.map(\.count).reduce(0, +) <= datagram.count)
            #expect(b.gate.sessions.count == 0)
        }
    }
    // Without authenticity there is no answer at all.
    var (stranger, b) = (GateEnd(1, keys: [key(2)]), GateEnd(2))
    #expect(b.hear(stranger.say([ping, aViews], to: b.destination()), from: stranger.address).answers.isEmpty)
    #expect(b.counts.all == [0, 0, 0])
}

@Test("a half-bad packet passes in no part, and the next one passes")
func halfBad() {
    var (a, b) = acquainted()
    _ = b.hear(a.say([ping], to: b.destination()), from: a.address)
    let tails: [([UInt8], DropReason)] = [
        ([1], .decode), ([1, 0], .decode), ([1, 0, 6, 0, 0, 0, 1, 0], .decode), ([0x80, 0, 0], .version),
        ([16, 0, 15] + [UInt8](repeating: 0, count: 15), .decode),
    ]
    for (tail, reason) in tails {
        var bytes: [UInt8] = []
        aViews.encode(into: &bytes)
        bytes += tail
        var header = a.own
        header.destination = b.short
        _ = a.gate.seal(
            messages: bytes, header: header, to: b.destination(), receiptWanted: false, at: .zero,
            datagrams: &a.outbox)
        let heard = b.hear(a.take()[0], from: a.address)
        #expect(heard.passage == .dropped(reason) && heard.answers.isEmpty)
    }
    #expect(b.hear(a.say([ping], to: b.destination()), from: a.address).passage == .passed(isNew: false))
    #expect(b.gate.packet.messages == [ping])
}

@Test("every bit of a packet, flipped, keeps it out", arguments: [false, true])
func flippedBits(isHello: Bool) {
    var (a, b) = acquainted()
    let to = isHello ? b.destination(session: false) : b.destination()
    let good = a.say([ping, aViews], to: to, receiptWanted: true, at: moment(100))
    #expect((clear(good)?.hello != nil) == isHello)
    let reasons: Set<DropReason> = [.auth, .version, .decode, .key, .replay, .unproven]
    var wrong: [Int] = []
    var answers = 0
    for bit in 0..<good.count * 8 {
        var flipped = good
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        let heard = b.hear(flipped, from: a.address, at: moment(100))
        answers += heard.answers.count
        guard case .dropped(let reason) = heard.passage, reasons.contains(reason) else {
            wrong.append(bit)
            continue
        }
    }
    #expect(wrong.isEmpty && answers == 0)
    #expect(b.hear(good, from: a.address, at: moment(100)).passage == .passed(isNew: false))
    #expect(b.gate.packet.wantsReceipt)
}

@Test("what was recorded changes nothing, now or after restarts")
func replays() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    var tape: [[UInt8]] = []
    var toB = [a.say([ping], to: b.destination())]
    for _ in 0..<2 {
        tape += toB
        let toA = toB.flatMap { b.hear($0, from: a.address).answers }
        tape += toA
        toB = toA.flatMap { a.hear($0, from: b.address).answers }
    }
    for step in 0..<20 { tape.append(a.say([ping, aViews], to: b.destination(), at: moment(Int64(step)))) }
    for datagram in tape.suffix(20) { _ = b.hear(datagram, from: a.address, at: moment(20)) }
    let third = GateEnd(3)
    for time in [30, 59_000, 61_000, 700_000] as [Int64] {
        for place in 0..<3 {
            for var listener in [b, GateEnd(2, life: 2, at: moment(time)), third] {
                var passed = 0
                for datagram in tape {
                    let source = place == 0 ? a.address : place == 1 ? b.address : third.address
                    if case .passed = listener.hear(datagram, from: source, at: moment(time)).passage { passed += 1 }
                }
                #expect(passed == 0)
            }
        }
    }
}

@Test("no session and counter are sealed twice, through a change of session too (W1)")
func countersRise() {
    var (a, b) = acquainted()
    var seen: Set<[UInt64]> = []
    var repeated = 0
    for step in 0..<200 {
        if step == 100 { a.gate.become(SessionID(rawValue: 77)) }
        let to =
            step % 3 == 0
            ? b.destination()
            : PacketDestination(
                short: b.short, session: SessionID(rawValue: 0), address: PeerAddress(ipv4: UInt32(step), port: 1))
        guard let header = clear(a.say([ping], to: to, at: moment(Int64(step * 20)))) else { continue }
        if !seen.insert([header.session.rawValue, header.counter]).inserted { repeated += 1 }
    }
    #expect(repeated == 0 && seen.count == 200)
    #expect(a.gate.counter == 100 && a.gate.sessions.contains(b.session))
}

@Test("after a rotation all keys open and the first seals")
func rotation() {
    var (a, b) = acquainted()
    a.gate.use([key(2), key(1)])
    b.gate.use([key(1), key(2)])
    let new = a.say([ping], to: b.destination())
    #expect(clear(new)?.keyID == key(2).id)
    #expect(b.hear(new, from: a.address).passage == .passed(isNew: false))
    #expect(a.hear(b.say([ping], to: a.destination()), from: b.address).passage == .passed(isNew: false))
    b.gate.use([key(1)])
    #expect(b.hear(a.say([ping], to: b.destination()), from: a.address).passage == .dropped(.key))
    b.gate.use([])
    #expect(b.say([ping], to: a.destination()).isEmpty)
}

@Test("garbage of every length is dropped and answered by silence")
func garbage() {
    var (a, b) = acquainted()
    var chance = SeededGenerator(seed: 4)
    let good = a.say([ping, aViews], to: b.destination())
    var passed = 0
    var answers = 0
    for round in 0..<4_000 {
        var datagram: [UInt8]
        if round % 2 == 0 {
            datagram = (0..<Int(chance.below(1_300))).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
            if round % 4 == 0, datagram.count > 12 {
                datagram.replaceSubrange(0..<12, with: good[0..<12])
            }
        } else {
            datagram = good
            for _ in 0...chance.below(6) {
                datagram[Int(chance.below(UInt64(datagram.count)))] = UInt8(truncatingIfNeeded: chance.next())
            }
            if datagram == good { continue }
        }
        let heard = b.hear(datagram, from: a.address, at: moment(Int64(round)))
        if case .passed = heard.passage { passed += 1 }
        answers += heard.answers.count
    }
    #expect(passed == 0 && answers == 0)
}
