import Determinism
import Testing

@testable import WireCoding

@Test("every row of the hello table")
func helloTable() {
    for isProven in [false, true] {
        for isEchoed in isProven ? [false] : [false, true] {
            for challenge in [0, 9] as [UInt64] {
                let verdict = HelloExchange.verdict(
                    on: ClearHeader.Hello(echo: 5, challenge: challenge), isProven: isProven, isEchoed: isEchoed,
                    bytes: 80,
                    cookie: 7)
                // Who proves itself or has done so is heard, and answered without a question. Who returns a number that
                // it was not given gets another.
                let isHeard = isProven || isEchoed
                let answer = ClearHeader.Hello(echo: challenge, challenge: isHeard ? 0 : 7)
                #expect(verdict == (isHeard ? .apply(challenge == 0 ? nil : answer) : .unproven(answer)))
            }
        }
    }
    func data(_ bytes: Int, isProven: Bool) -> HelloExchange.Verdict {
        HelloExchange.verdict(on: nil, isProven: isProven, isEchoed: false, bytes: bytes, cookie: 7)
    }
    #expect(HelloExchange.bytesMin == 80)
    #expect(data(80, isProven: false) == .unproven(ClearHeader.Hello(echo: 0, challenge: 7)))
    #expect(data(79, isProven: false) == .unproven(nil))
    #expect(data(64, isProven: true) == .apply(nil))
}

@Test("three packets prove both sides when the first is a hello")
func threePackets() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    let first = a.say([ping], to: b.destination(session: false))
    #expect(clear(first)?.hello?.echo == 0 && clear(first)?.hello?.challenge != 0)
    let second = b.hear(first, from: a.address)
    #expect(second.passage == .dropped(.unproven) && second.answers.map(\.count) == [80])
    let third = a.hear(second.answers[0], from: b.address)
    #expect(third.passage == .passed(isNew: true) && third.answers.map(\.count) == [80])
    let end = b.hear(third.answers[0], from: a.address)
    #expect(end.passage == .passed(isNew: true) && end.answers.isEmpty)
    let data = b.say([ping], to: a.destination())
    #expect(clear(data)?.hello == nil)
    #expect(a.hear(data, from: b.address).passage == .passed(isNew: false))
    #expect(a.gate.packet.messages == [ping] && a.gate.packet.header.source == b.short)
}

@Test("four packets prove both sides when the first is data to a process that has started anew")
func fourPackets() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    GateEnd.introduce(&a, &b)
    var again = GateEnd(2, life: 2)
    var datagrams = [a.say([ping, aViews], to: b.destination(), at: moment(1_000))]
    #expect(clear(datagrams[0])?.hello == nil)
    var count = 0
    var passages: [Passage] = []
    while let datagram = datagrams.popLast() {
        count += 1
        let isFromA = clear(datagram)?.session == a.session
        let heard =
            isFromA
            ? again.hear(datagram, from: a.address, at: moment(1_000))
            : a.hear(datagram, from: b.address, at: moment(1_000))
        passages.append(heard.passage)
        datagrams += heard.answers
    }
    #expect(count == 4)
    #expect(passages[1...] == [.dropped(.unproven), .passed(isNew: true), .passed(isNew: true)])
    #expect(a.gate.sessions.contains(again.session) && again.gate.sessions.contains(a.session))
}

@Test("hellos that cross end after three packets each, and both sides are proven")
func helloCrossed() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    var toB = [a.say([ping], to: b.destination())]
    var toA = [b.say([ping], to: a.destination())]
    var count = 0
    while !toA.isEmpty || !toB.isEmpty {
        count += toA.count + toB.count
        let answersB = toB.flatMap { b.hear($0, from: a.address).answers }
        let answersA = toA.flatMap { a.hear($0, from: b.address).answers }
        (toA, toB) = (answersB, answersA)
    }
    #expect(count <= 6)
    #expect(a.gate.sessions.contains(b.session) && b.gate.sessions.contains(a.session))
}

@Test("who answers from another address than it advertises is proven after one more exchange")
func otherAddress() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    let elsewhere = PeerAddress(ipv4: 0x0a00_0063, port: 1)
    var toB = [a.say([], to: b.destination())]
    var count = 0
    while !toB.isEmpty {
        count += toB.count
        let toA = toB.flatMap { b.hear($0, from: a.address).answers }
        count += toA.count
        toB = toA.flatMap { a.hear($0, from: elsewhere).answers }
    }
    #expect(count <= 6)
    #expect(a.gate.sessions.contains(b.session) && b.gate.sessions.contains(a.session))
}

@Test(
    "a cookie is good for the half minute it was made in and the next",
    arguments: [
        (0, 59_999, true), (0, 60_000, false), (29_999, 59_999, true), (29_999, 60_000, false), (30_000, 89_999, true),
        (30_000, 90_000, false),
    ] as [(Int64, Int64, Bool)])
func cookieExpiry(made: Int64, used: Int64, isGood: Bool) {
    var (a, b) = (GateEnd(1), GateEnd(2))
    let first = a.say([], to: b.destination(), at: moment(made))
    let second = b.hear(first, from: a.address, at: moment(made)).answers[0]
    let third = a.hear(second, from: b.address, at: moment(made)).answers[0]
    let end = b.hear(third, from: a.address, at: moment(used))
    #expect(end.passage == (isGood ? .passed(isNew: true) : .dropped(.unproven)))
    // It asks for nothing, so it only gets an answer when it has to try again.
    #expect(end.answers.isEmpty == isGood)
    #expect(b.gate.sessions.count == (isGood ? 1 : 0))
}

@Test("a cookie of another address, or of the process before, proves nothing")
func foreignCookie() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    let first = a.say([], to: b.destination())
    let third = a.hear(b.hear(first, from: a.address).answers[0], from: b.address).answers[0]
    var again = GateEnd(2, life: 2)
    #expect(again.hear(third, from: a.address).passage == .dropped(.unproven))
    #expect(b.hear(third, from: PeerAddress(ipv4: 0x0a00_0063, port: 7_946)).passage == .dropped(.unproven))
    #expect(b.hear(third, from: PeerAddress(ipv4: 0x0a00_0001, port: 7_947)).passage == .dropped(.unproven))
    #expect(b.hear(third, from: a.address).passage == .passed(isNew: true))
}

@Test("an echo rides on what the machine answers")
func echoRides() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    GateEnd.introduce(&a, &b)
    // B forgets that A has proven itself, and asks again with a message.
    let bytes = a.say(
        [aViews], to: PacketDestination(short: b.short, session: SessionID(rawValue: 99), address: b.address),
        at: moment(100))
    #expect(clear(bytes)?.hello?.challenge != 0)
    let own = b.own
    let passage = bytes.withUnsafeBytes {
        b.gate.receive($0, from: a.address, own: own, at: moment(100), datagrams: &b.outbox)
    }
    #expect(passage == .passed(isNew: false) && b.gate.packet.messages == [aViews])
    let answer = b.say([ping], to: a.destination(), at: moment(100))
    #expect(clear(answer)?.hello == ClearHeader.Hello(echo: clear(bytes)?.hello?.challenge ?? 0, challenge: 0))
    b.gate.settle(own: own, datagrams: &b.outbox)
    #expect(b.outbox.isEmpty)
    #expect(a.hear(answer, from: b.address, at: moment(100)).answers.isEmpty)
    #expect(a.gate.packet.messages == [ping])
}

@Test("one hello of a kind in 50 ms to a peer; between them goes data")
func helloPace() {
    var (a, b) = (GateEnd(1), GateEnd(2))
    let kinds = [0, 10, 49, 50, 99, 100].map { clear(a.say([ping], to: b.destination(), at: moment($0)))?.hello != nil }
    #expect(kinds == [true, false, false, true, false, true])
    let strangers = [0, 10, 49, 50, 99, 100].map { time in
        b.hear(a.say([ping, aViews], to: b.destination(), at: moment(1_000 + time)), from: a.address, at: moment(time))
            .answers.count
    }
    #expect(strangers == [1, 0, 0, 1, 0, 1])
}
