/// A driver, a router, an exchange and a client around one `ConnectionMachine`, made of numbers, that checks every
/// effect against the promises L1, L2, L3, L7 and L9 the moment it is listed.
import Determinism
import ExchangeFlow

struct ConnectionWorld: Hashable {
    enum Event: String, CaseIterable, Hashable {
        case laneHead, laneHeadWithClose, refusedHead, routedHead, body, end
        case exchangeHead, exchangeEnd, exchangeCut, routerEnd, flush, endWritten
        case quiesce, inputClosed, parserError, otherError, inactive, closeOutput, closeAll, tick
    }

    enum Kind: Hashable { case lane, laneWithClose, refused, routed }
    struct Held: Hashable {
        let id: Int
        let kind: Kind
        let part: Int  // 0 head, 1 body, 2 end

        var request: RequestPart {
            switch part {
            case 0: .head(ConnectionWorld.facts(kind))
            case 1: .body(bytes: 10)
            default: .end
            }
        }
    }

    var machine: ConnectionMachine
    var now = Instant.zero
    var held: [Held] = []
    var headsArrived = 0
    /// The request whose parts the client is sending, and its kind.
    var sending: Held?
    var dispatched = 0
    var exchange: Int?
    var hasExchangeHead = false
    /// The request the router has to answer, and the one whose `.end` it still waits for.
    var routerOwes: Int?
    var routerReads: Int?
    var answered: [Int] = []
    var isEndOnItsWay = false
    var isChannelEnding = false
    var isGone = false
    var violation: String?

    init(_ transport: ConnectionMachine.Transport, halfClose: ConnectionLimits.HalfClose) {
        var limits = ConnectionLimits()
        limits.halfClose = halfClose
        machine = ConnectionMachine(transport, limits: limits, at: .zero)
    }

    static func facts(_ kind: Kind) -> RequestFacts {
        RequestFacts(
            goesToLane: kind != .routed, refusal: kind == .refused ? .secondHost : nil,
            closesAfter: kind == .laneWithClose, declaredBytes: 20, headBytes: 50)
    }

    /// Could this happen in the world as it stands?
    func isPossible(_ event: Event) -> Bool {
        switch event {
        case .laneHead, .laneHeadWithClose, .refusedHead, .routedHead:
            !isGone && sending == nil && (machine.transport == .http1 || headsArrived == 0)
        case .body, .end: !isGone && sending != nil
        case .exchangeHead: exchange != nil && !hasExchangeHead
        case .exchangeEnd: exchange != nil && hasExchangeHead
        case .exchangeCut: exchange != nil
        case .routerEnd: routerOwes != nil
        case .flush: true
        case .endWritten: isEndOnItsWay
        case .inactive: !isGone
        case .quiesce, .inputClosed, .parserError, .otherError, .closeOutput, .closeAll, .tick: !isGone
        }
    }

    mutating func play(_ event: Event) {
        switch event {
        case .laneHead: headArrives(.lane)
        case .laneHeadWithClose: headArrives(.laneWithClose)
        case .refusedHead: headArrives(.refused)
        case .routedHead: headArrives(.routed)
        case .body: if let sending { arrives(Held(id: sending.id, kind: sending.kind, part: 1)) }
        case .end:
            if let sending { arrives(Held(id: sending.id, kind: sending.kind, part: 2)) }
            sending = nil
        case .exchangeHead:
            hasExchangeHead = true
            _ = machine.finalHeadSent()
        case .exchangeEnd:
            answer(exchange ?? 0)
            exchange = nil
            tell(.exchangeEnded)
        case .exchangeCut:
            exchange = nil
            tell(.exchangeCut)
        case .routerEnd:
            tell(.routedPart(.head))
            tell(.routedPart(.end))
        case .flush: tell(.flushed)
        case .endWritten:
            isEndOnItsWay = false
            tell(.endWritten)
        case .quiesce: tell(.quiesce)
        case .inputClosed: tell(.inputClosed)
        case .parserError: tell(.parserError)
        case .otherError: tell(.otherError)
        case .inactive:
            isGone = true
            tell(.inactive)
            if exchange != nil { fail("L7: the client is gone and the exchange is not") }
        case .closeOutput: tell(.closeWanted(.output))
        case .closeAll: tell(.closeWanted(.all))
        case .tick:
            now = now + .seconds(1_000)
            tell(.tick)
        }
        checkStanding()
    }

    private mutating func headArrives(_ kind: Kind) {
        headsArrived += 1
        let head = Held(id: headsArrived, kind: kind, part: 0)
        sending = head
        arrives(head)
    }

    private mutating func arrives(_ part: Held) { tell(.part(part.request, from: .wire), part) }

    private mutating func tell(_ input: ConnectionInput, _ part: Held? = nil) {
        if perform(input, part) { release() }
    }

    /// As the driver does it: one part after the other, as long as the machine takes them.
    private mutating func release() {
        while let next = held.first, machine.accepts(isHead: next.part == 0) {
            held.removeFirst()
            _ = perform(.part(next.request, from: .held), next)
        }
    }

    private mutating func perform(_ input: ConnectionInput, _ part: Held?) -> Bool {
        var effects: [ConnectionEffect] = []
        machine.handle(input, at: now, into: &effects)
        var releases = false
        for effect in effects {
            switch effect {
            case .openExchange:
                if exchange != nil || routerOwes != nil { fail("L3: a second request was opened") }
                take(part)
                exchange = part?.id
                hasExchangeHead = false
                tell(.exchangeOpened)
            case .toExchange:
                if exchange == nil || part?.id != exchange { fail("L3: a part reached another exchange") }
            case .toRouter: toRouter(part)
            case .keep: if let part { held.append(part) }
            case .release: releases = true
            case .dropHeld: held.removeAll()
            case .answer:
                if exchange != nil { fail("L1: our own answer lies in an exchange's") }
                if case .part = input { take(part) }
                answer(dispatched)
                isEndOnItsWay = true
            case .writeEnd(let watched): if watched { isEndOnItsWay = true }
            case .passRouted(_, let watched):
                if exchange != nil { fail("L3: the router speaks into an exchange") }
                if case .routedPart(.end) = input, let owed = routerOwes {
                    answer(owed)
                    routerOwes = nil
                    if watched { isEndOnItsWay = true }
                }
            case .refuseRouted: fail("L3: the router's owed answer was refused")
            case .forward, .passClose, .close, .resetStream:
                if exchange != nil { fail("L9: \(effect) while an exchange is open") }
                if input != .quiesce || effect != .forward || routerOwes == nil { isChannelEnding = true }
            case .cancelExchange:
                if exchange == nil { fail("L4: an exchange was cancelled that is not open") }
                exchange = nil
            case .endExchange:
                if exchange == nil { fail("L4: an exchange was told to end that is not open") }
            case .exchangeWritable, .keepClose, .sayContinue, .flush, .discard, .read: break
            }
        }
        return releases
    }

    private mutating func take(_ part: Held?) {
        guard let part, part.part == 0 else { return fail("L2: opened without a head") }
        if part.id != dispatched + 1 { fail("L1: request \(part.id) was taken after \(dispatched)") }
        dispatched = part.id
    }

    private mutating func toRouter(_ part: Held?) {
        guard let part else { return fail("L2: the router was sent nothing") }
        switch part.part {
        case 0:
            if exchange != nil || routerOwes != nil || routerReads != nil { fail("L2: a head inside another request") }
            take(part)
            routerOwes = part.id
            routerReads = part.id
        default:
            if routerReads != part.id { fail("L2: a part of another request") }
            if part.part == 2 { routerReads = nil }
        }
    }

    private mutating func answer(_ id: Int) {
        if id != (answered.last ?? 0) + 1 { fail("L1: answer \(id) left after \(answered.last ?? 0)") }
        answered.append(id)
    }

    private mutating func checkStanding() {
        if machine.heldParts != held.count { fail("L8: counted \(machine.heldParts), held \(held.count)") }
        if machine.heldBytes < 0 { fail("L8: negative bytes") }
        if machine.stage == .idle, !held.isEmpty { fail("a kept part waits for nobody") }
        if machine.stage == .closing, machine.nextDeadline == .never { fail("a closing connection without a clock") }
        if let reading = routerReads, sending?.id != reading, !isChannelEnding, machine.stage != .closing,
            machine.stage != .closed
        {
            fail("L2: request \(reading) never ends for the router")
        }
        if machine.hasOpenExchange != (exchange != nil) { fail("the machine and the world differ about the exchange") }
    }

    private mutating func fail(_ sentence: String) { if violation == nil { violation = sentence } }
}
