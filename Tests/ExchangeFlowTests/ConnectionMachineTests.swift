import Determinism
import ExchangeFlow
import Testing

/// Every story of a length, told once: two stories that lead to the same world continue alike, so only worlds not yet
/// seen at a depth are told on. That is the whole enumeration, without the repetitions.
@Suite("ConnectionMachine")
struct ConnectionMachineTests {
    private var machine = ConnectionMachine(.http1, limits: .init(), at: .zero)
    private var now = Instant.zero

    private func seconds(_ count: Double) -> Instant { Instant(nanoseconds: Int64(count * 1e9)) }

    private mutating func tell(_ input: ConnectionInput) -> [ConnectionEffect] {
        var effects: [ConnectionEffect] = []
        machine.handle(input, at: now, into: &effects)
        return effects
    }

    private static let lane = RequestFacts(goesToLane: true, headBytes: 10)
    private static let routed = RequestFacts(goesToLane: false, headBytes: 10)

    private mutating func open(_ facts: RequestFacts = lane, end: Bool = true) -> [ConnectionEffect] {
        var effects = tell(.part(.head(facts), from: .wire))
        if facts.goesToLane { effects += tell(.exchangeOpened) }
        if end { effects += tell(.part(.end, from: .wire)) }
        return effects
    }

    @Test("a keep-alive exchange lists one effect per input and allocates no list")
    mutating func straightPath() {
        var effects: [ConnectionEffect] = []
        effects.reserveCapacity(8)
        let room = effects.capacity
        var story: [[ConnectionEffect]] = []
        for input: ConnectionInput in [
            .part(.head(RequestFacts(goesToLane: true, declaredBytes: 5)), from: .wire), .exchangeOpened,
            .part(.body(bytes: 5), from: .wire), .part(.end, from: .wire), .exchangeEnded, .flushed,
        ] {
            machine.handle(input, at: now, into: &effects)
            story.append(effects.map { $0 })
            effects.removeAll(keepingCapacity: true)
        }
        #expect(story == [[.openExchange], [], [.toExchange], [.toExchange], [.writeEnd(watched: false)], [.flush]])
        #expect(effects.capacity == room)
        #expect(machine.isIdle)
    }

    // MARK: Bounds

    @Test("512 parts are held, and one past them ends the connection after the open answer (L8)")
    mutating func heldParts() {
        _ = open()
        for index in 0..<ConnectionLimits.heldPartsMax {
            let part: RequestPart = index % 2 == 0 ? .head(Self.lane) : .end
            let effects = tell(.part(part, from: .wire))
            #expect(effects == [.keep])
        }
        #expect(machine.heldParts == 512)
        let gated = tell(.readWanted)
        #expect(gated == [])
        let past = tell(.part(.head(Self.lane), from: .wire))
        // Dropping what was held opens the gate, and the read that was remembered goes on.
        #expect(past == [.dropHeld, .discard, .read])
        let saysClose1 = machine.finalHeadSent()
        #expect(saysClose1)
        let after = tell(.part(.end, from: .wire))
        #expect(after == [.discard])
    }

    @Test("1 MiB is held, and one byte past it ends the connection after the open answer (L8)")
    mutating func heldBytes() {
        _ = open()
        let first = tell(.part(.head(Self.lane), from: .wire))
        let second = tell(.part(.body(bytes: ConnectionLimits.heldBytesMax - 10), from: .wire))
        #expect(first == [.keep] && second == [.keep])
        #expect(machine.heldBytes == ConnectionLimits.heldBytesMax)
        let past = tell(.part(.body(bytes: 1), from: .wire))
        #expect(past == [.dropHeld, .discard])
    }

    @Test("a refused body of 64 KiB is read away and the connection lives on; a byte more and it closes (L8)")
    mutating func discardBound() {
        let limit = ConnectionLimits.discardBytesMax
        _ = open(RequestFacts(goesToLane: true, declaredBytes: limit), end: false)
        let saysClose2 = machine.finalHeadSent()
        #expect(!saysClose2)
        let end = tell(.exchangeEnded)
        let flush = tell(.flushed)
        #expect(end == [.writeEnd(watched: false)] && flush == [.flush])
        let body = tell(.part(.body(bytes: limit), from: .wire))
        _ = tell(.part(.end, from: .wire))
        #expect(body == [.discard])
        #expect(machine.isIdle)

        _ = open(RequestFacts(goesToLane: true, declaredBytes: limit + 1), end: false)
        let saysClose3 = machine.finalHeadSent()
        #expect(saysClose3)
        let watched = tell(.exchangeEnded)
        #expect(watched == [.writeEnd(watched: true)])
        _ = tell(.flushed)
        let written = tell(.endWritten)
        #expect(written == [.close(.output)])
    }

    @Test("a refused chunked body closes, since its length is unknown")
    mutating func discardChunked() {
        _ = open(RequestFacts(goesToLane: true, declaredBytes: nil), end: false)
        let saysClose4 = machine.finalHeadSent()
        #expect(saysClose4)
    }

    @Test("lingering throws away 1 MiB, and closes one byte past it (L8)")
    mutating func lingerBytes() {
        _ = open(RequestFacts(goesToLane: true, refusal: .ambiguousLength, declaredBytes: nil), end: false)
        let written = tell(.endWritten)
        #expect(written == [.close(.output)])
        let at = tell(.part(.body(bytes: ConnectionLimits.lingerBytesMax), from: .wire))
        #expect(at == [.discard])
        let past = tell(.part(.body(bytes: 1), from: .wire))
        #expect(past == [.discard, .close(.all)])
    }

    // MARK: Clocks

    @Test("an idle connection closes at its deadline and not before")
    mutating func idleClock() {
        #expect(machine.nextDeadline == seconds(75))
        now = seconds(74.9)
        let early = tell(.tick)
        #expect(early == [])
        now = seconds(75)
        let due = tell(.tick)
        #expect(due == [.close(.all)])
        #expect(machine.nextDeadline == .never)
    }

    @Test("the idle clock starts again at the end of an answer")
    mutating func idleClockAgain() {
        _ = open()
        #expect(machine.nextDeadline == .never)
        now = seconds(50)
        _ = tell(.exchangeEnded)
        _ = tell(.flushed)
        #expect(machine.nextDeadline == seconds(125))
    }

    @Test("a body that stops arriving is told so: 408, and close")
    mutating func bodyGap() {
        _ = open(RequestFacts(goesToLane: true, declaredBytes: 100), end: false)
        now = seconds(10)
        _ = tell(.part(.body(bytes: 1), from: .wire))
        #expect(machine.nextDeadline == seconds(41))
        now = seconds(41)
        let due = tell(.tick)
        #expect(due == [.cancelExchange, .answer(.bodyTooSlow, saysClose: true)])
    }

    @Test("while we withhold reads, the client's silence is ours")
    mutating func bodyGapWhileHeld() {
        _ = open(RequestFacts(goesToLane: true, declaredBytes: 100), end: false)
        _ = tell(.readsHeld(true))
        #expect(machine.nextDeadline == .never)
        let wanted = tell(.readWanted)
        #expect(wanted == [])
        now = seconds(500)
        let again = tell(.readsHeld(false))
        #expect(again == [.read])
        #expect(machine.nextDeadline == seconds(531))
    }

    @Test("a routed body's clock rests while the router does not read")
    mutating func bodyGapWhileRouterIsSlow() {
        _ = open(RequestFacts(goesToLane: false, declaredBytes: 100), end: false)
        #expect(machine.nextDeadline == seconds(30))
        _ = tell(.readCompleted)
        #expect(machine.nextDeadline == .never)
        now = seconds(100)
        let wanted = tell(.readWanted)
        #expect(wanted == [.read])
        #expect(machine.nextDeadline == seconds(130))
        now = seconds(130)
        let due = tell(.tick)
        #expect(due == [.close(.all)])
    }

    @Test("a client that does not read for write_stall loses exchange and connection")
    mutating func writeStall() {
        _ = open()
        now = seconds(5)
        let stalled = tell(.writability(false))
        #expect(stalled == [.exchangeWritable(false)])
        #expect(machine.nextDeadline == seconds(66))
        now = seconds(20)
        let relieved = tell(.writability(true))
        #expect(relieved == [.exchangeWritable(true)])
        #expect(machine.nextDeadline == .never)
        _ = tell(.writability(false))
        now = seconds(81)
        let due = tell(.tick)
        #expect(due == [.cancelExchange, .close(.all)])
    }

    @Test("lingering ends at its deadline, counted from the end of our output")
    mutating func lingerClock() {
        _ = open(RequestFacts(goesToLane: true, closesAfter: true))
        let saysClose5 = machine.finalHeadSent()
        #expect(saysClose5)
        _ = tell(.exchangeEnded)
        _ = tell(.flushed)
        #expect(machine.nextDeadline == seconds(60))
        now = seconds(30)
        let written = tell(.endWritten)
        #expect(written == [.close(.output)])
        #expect(machine.nextDeadline == seconds(32))
        now = seconds(32)
        let due = tell(.tick)
        #expect(due == [.close(.all)])
    }

    @Test("the router's own half-close starts the linger clock")
    mutating func routedHalfClose() {
        _ = open(Self.routed)
        _ = tell(.routedPart(.end))
        _ = tell(.flushed)
        let closed = tell(.closeWanted(.output))
        #expect(closed == [.passClose])
        #expect(machine.nextDeadline == seconds(2))
    }

    // MARK: Expect, Upgrade

    @Test("100 is said once the exchange stands, and not when it refused")
    mutating func expectContinue() {
        let facts = RequestFacts(goesToLane: true, expectsContinue: true, declaredBytes: 1_000)
        let opened = open(facts, end: false)
        #expect(opened == [.openExchange, .sayContinue])

        machine = ConnectionMachine(.http1, limits: .init(), at: .zero)
        _ = tell(.part(.head(facts), from: .wire))
        let saysClose6 = machine.finalHeadSent()
        #expect(saysClose6, "the client may or may not send the body now")
        let refused = tell(.exchangeOpened)
        #expect(refused == [])
    }

    @Test("100 waits until there is room for the body, and is not said when the body came anyway")
    mutating func expectContinueLater() {
        let facts = RequestFacts(goesToLane: true, expectsContinue: true, declaredBytes: 1_000)
        _ = tell(.part(.head(facts), from: .wire))
        _ = tell(.readsHeld(true))
        let opened = tell(.exchangeOpened)
        #expect(opened == [])
        var impatient = machine
        let room = tell(.readsHeld(false))
        #expect(room == [.sayContinue])

        var effects: [ConnectionEffect] = []
        impatient.handle(.part(.body(bytes: 5), from: .wire), at: now, into: &effects)
        impatient.handle(.readsHeld(false), at: now, into: &effects)
        #expect(effects == [.toExchange])
    }

    @Test("the router's requests get their 100 before the router sees them; a held head gets none before its turn")
    mutating func expectContinueRouted() {
        _ = open()
        let facts = RequestFacts(goesToLane: false, expectsContinue: true, declaredBytes: 9, headBytes: 10)
        let held = tell(.part(.head(facts), from: .wire))
        #expect(held == [.keep])
        _ = tell(.exchangeEnded)
        let flush = tell(.flushed)
        #expect(flush == [.flush, .release])
        let turn = tell(.part(.head(facts), from: .held))
        #expect(turn == [.sayContinue, .toRouter])
    }

    @Test("an upgrade is served as HTTP/1.1: close is said, reads stop at the request's end, the answer closes")
    mutating func upgrade() {
        let facts = RequestFacts(goesToLane: false, asksUpgrade: true)
        _ = tell(.part(.head(facts), from: .wire))
        let before = tell(.readWanted)
        #expect(before == [.read])
        _ = tell(.part(.end, from: .wire))
        let after = tell(.readWanted)
        #expect(after == [])
        let head = tell(.routedPart(.head))
        #expect(head == [.passRouted(saysClose: true, watched: false)])
        let end = tell(.routedPart(.end))
        #expect(end == [.passRouted(saysClose: false, watched: true)])
        _ = tell(.flushed)
        let written = tell(.endWritten)
        #expect(written == [.close(.output)])
    }

    // MARK: Table of section 3

    @Test("held parts are dropped, not dispatched, when the open request said close")
    mutating func nothingAfterClose() {
        _ = open(RequestFacts(goesToLane: true, closesAfter: true))
        let head = tell(.part(.head(Self.lane), from: .wire))
        #expect(head == [.discard])
    }

    @Test("quiesce: forwarded when idle or routed, kept while the lane answers, swallowed on a stream")
    mutating func quiesce() {
        var fresh = machine
        var effects: [ConnectionEffect] = []
        fresh.handle(.quiesce, at: now, into: &effects)
        #expect(effects == [.forward])

        _ = open()
        _ = tell(.part(.head(Self.lane), from: .wire))
        let kept = tell(.quiesce)
        #expect(kept == [.dropHeld])
        let saysClose7 = machine.finalHeadSent()
        #expect(saysClose7)
        let end = tell(.exchangeEnded)
        #expect(end == [.writeEnd(watched: true)])

        machine = ConnectionMachine(.http2, limits: .init(), at: .zero)
        let swallowed = tell(.quiesce)
        #expect(swallowed == [])
    }

    @Test("a FIN cancels at once under abort, in every phase of the lane", arguments: [0, 1, 2])
    mutating func abort(phase: Int) {
        _ = open(RequestFacts(goesToLane: true, declaredBytes: 10), end: phase > 0)
        if phase == 2 { _ = machine.finalHeadSent() }
        let effects = tell(.inputClosed)
        #expect(effects == [.cancelExchange, .forward])
    }

    @Test("under finish the answer and what was held are completed, and the channel closes when the end is written")
    mutating func finish() {
        machine = ConnectionMachine(.http1, limits: .init(halfClose: .finish), at: .zero)
        _ = open()
        _ = tell(.part(.head(Self.lane), from: .wire))
        _ = tell(.part(.end, from: .wire))
        let kept = tell(.inputClosed)
        #expect(kept == [])
        let saysClose8 = machine.finalHeadSent()
        #expect(!saysClose8)
        let first = tell(.exchangeEnded)
        #expect(first == [.writeEnd(watched: false)])
        let release = tell(.flushed)
        #expect(release == [.flush, .release])
        _ = tell(.part(.head(Self.lane), from: .held))
        _ = tell(.exchangeOpened)
        _ = tell(.part(.end, from: .held))
        let saysClose9 = machine.finalHeadSent()
        #expect(saysClose9)
        let second = tell(.exchangeEnded)
        #expect(second == [.writeEnd(watched: true)])
        _ = tell(.flushed)
        let written = tell(.endWritten)
        #expect(written == [.close(.all)])
    }

    @Test("under finish a FIN inside the request body still cancels: it can never become whole")
    mutating func finishIncomplete() {
        machine = ConnectionMachine(.http1, limits: .init(halfClose: .finish), at: .zero)
        _ = open(RequestFacts(goesToLane: true, declaredBytes: 10), end: false)
        let effects = tell(.inputClosed)
        #expect(effects == [.cancelExchange, .forward])
    }

    @Test("bytes that are not HTTP inside our request: 400 and close; repeats are ignored")
    mutating func parserError() {
        _ = open(RequestFacts(goesToLane: true, declaredBytes: nil), end: false)
        let first = tell(.parserError)
        #expect(first == [.cancelExchange, .answer(.malformed, saysClose: true)])
        let second = tell(.parserError)
        #expect(second == [])
    }

    @Test("bytes that are not HTTP after our request: the answer is finished, then the connection closes")
    mutating func parserErrorBehind() {
        _ = open()
        let error = tell(.parserError)
        #expect(error == [])
        let saysClose10 = machine.finalHeadSent()
        #expect(saysClose10)
        let end = tell(.exchangeEnded)
        #expect(end == [.writeEnd(watched: true)])
    }

    @Test("a parser error while idle is the framework's, and its 400 passes")
    mutating func parserErrorIdle() {
        let error = tell(.parserError)
        #expect(error == [.forward])
        let head = tell(.routedPart(.head))
        #expect(head == [.passRouted(saysClose: false, watched: false)])
        let again = tell(.parserError)
        #expect(again == [])
    }

    @Test("a close from behind waits for a truthful end, and every further one waits with it")
    mutating func closeFromBehind() {
        _ = open()
        let first = tell(.closeWanted(.input))
        let second = tell(.closeWanted(.output))
        #expect(first == [.keepClose, .endExchange])
        #expect(second == [.keepClose])
        #expect(machine.nextDeadline == seconds(2))
        var stubborn = machine
        _ = tell(.exchangeEnded)
        _ = tell(.flushed)
        let written = tell(.endWritten)
        #expect(written == [.close(.all)])

        var effects: [ConnectionEffect] = []
        stubborn.handle(.tick, at: seconds(2), into: &effects)
        #expect(effects == [.cancelExchange, .close(.all)])
    }

    @Test("a stream refused early ends, and only then resets what the client still sends")
    mutating func streamRefusal() {
        machine = ConnectionMachine(.http2, limits: .init(), at: .zero)
        _ = open(RequestFacts(goesToLane: true, declaredBytes: 10), end: false)
        let saysClose11 = machine.finalHeadSent()
        #expect(!saysClose11, "Connection does not exist on a stream")
        let end = tell(.exchangeEnded)
        #expect(end == [.writeEnd(watched: true)])
        let flush = tell(.flushed)
        #expect(flush == [.flush])
        let written = tell(.endWritten)
        #expect(written == [.resetStream(.noError)])
    }

    @Test("an answer cut short closes HTTP/1 and resets a stream")
    mutating func cut() {
        _ = open()
        let closed = tell(.exchangeCut)
        #expect(closed == [.flush, .close(.all)])
        machine = ConnectionMachine(.http2, limits: .init(), at: .zero)
        _ = open()
        let reset = tell(.exchangeCut)
        #expect(reset == [.flush, .resetStream(.internalError)])
    }

    @Test("every own answer has a 4xx status, a stable code and a remedy", arguments: OwnAnswer.allCases)
    func ownAnswers(answer: OwnAnswer) {
        #expect((400..<500).contains(answer.status))
        #expect(answer.code.hasPrefix("request."))
        #expect(answer.message.hasSuffix("."))
    }
}
