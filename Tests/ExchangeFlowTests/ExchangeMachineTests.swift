import Balancing
import Determinism
import Testing

@testable import ExchangeFlow

private let start = Instant(nanoseconds: 1_000_000_000)

private func admitted(stream: Bool = true, tokens: Int = 100, _ change: (inout ExchangePolicy) -> Void = { _ in })
    -> ExchangeMachine
{
    var policy = ExchangePolicy()
    change(&policy)
    var machine = ExchangeMachine(policy: policy, at: start)
    machine.admitted(isStream: stream, sendsKeepalives: stream, promptTokens: tokens, at: start)
    return machine
}

@Suite struct ExchangeMachineTests {
    static let failures = AttemptOutcome.all.filter { ![.answered, .cancelled, .rejected].contains($0) }

    @Test("after content no other attempt, whatever happens", arguments: failures)
    func contentCommits(_ outcome: AttemptOutcome) {
        var machine = admitted()
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        machine.headArrived(at: start)
        machine.contentCommitted(at: start)
        #expect(machine.attemptEnded(outcome, at: start) { true } == .conclude)
    }

    @Test("before content every failure of a worker moves on", arguments: failures)
    func failover(_ outcome: AttemptOutcome) {
        var machine = admitted()
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        let next = machine.attemptEnded(outcome, at: start) { true }
        #expect(next == (outcome == .stale ? .retryFresh : .failover))
    }

    @Test("an early 200 with keepalives does not end failover")
    func headCommitAllowsFailover() {
        var machine = admitted()
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        machine.headCommitted(at: start)
        #expect(machine.attemptEnded(.closedEarly, at: start) { true } == .failover)
    }

    @Test("attempts end at their bound")
    func attemptsBound() {
        var machine = admitted { $0.attemptsMax = 3 }
        for attempt in 1...3 {
            machine.attemptStarted(at: start)
            machine.requestSent(asStream: machine.isStream, at: start)
            let next = machine.attemptEnded(.closedEarly, at: start) { true }
            #expect(next == (attempt < 3 ? .failover : .conclude))
        }
        #expect(machine.attempts == 3)
    }

    @Test("a stale connection is retried once, spends no attempt, and blames nobody")
    func stale() {
        var machine = admitted()
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        #expect(machine.attemptEnded(.stale, at: start) { false } == .retryFresh)
        machine.startedFresh(at: start)
        #expect(machine.attempts == 1)
        machine.requestSent(asStream: machine.isStream, at: start)
        #expect(machine.attemptEnded(.stale, at: start) { false } == .conclude)
        #expect(AttemptOutcome.stale.blamesWorker == nil)
    }

    @Test("the retry budget is asked only for what costs a worker something")
    func budget() {
        for outcome in Self.failures where outcome != .stale {
            var machine = admitted()
            machine.attemptStarted(at: start)
            machine.requestSent(asStream: machine.isStream, at: start)
            var asked = false
            _ = machine.attemptEnded(outcome, at: start) {
                asked = true
                return true
            }
            let isFree = [.connectFailed, .connectTimedOut, .capacity].contains(outcome)
            #expect(asked == !isFree, "\(outcome)")
        }
    }

    @Test("a long prompt is not prefilled twice after a slow timeout, unless asked")
    func longPrompts() {
        for (tokens, asked, expected) in [
            (4_000, false, ExchangeMachine.AfterAttempt.conclude), (3_999, false, .failover), (4_000, true, .failover),
        ] {
            var machine = admitted(tokens: tokens) { $0.retriesLongPrompts = asked }
            machine.attemptStarted(at: start)
            machine.requestSent(asStream: machine.isStream, at: start)
            #expect(machine.attemptEnded(.firstByteTimedOut, at: start) { true } == expected)
        }
        // A worker that dies is no slow worker: the prompt goes on to another whatever its length.
        var machine = admitted(tokens: 100_000)
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        #expect(machine.attemptEnded(.closedEarly, at: start) { true } == .failover)
    }

    @Test("each phase has its clock, and it rings when it should")
    func clocks() {
        let policy = ExchangePolicy()
        var collecting = ExchangeMachine(policy: policy, at: start)
        #expect(collecting.nextDeadline == start + policy.bodyGap)
        #expect(collecting.rang(at: start + policy.bodyGap) == .bodyGapExpired)

        var plain = admitted(stream: false)
        plain.attemptStarted(at: start)
        #expect(plain.rang(at: start + policy.connect) == .connectExpired)
        plain.requestSent(asStream: plain.isStream, at: start)
        #expect(plain.rang(at: start + policy.connect) == .nothing)
        #expect(plain.rang(at: start + policy.firstBytePlain) == .firstByteExpired)

        var stream = admitted {
            $0.keepaliveAfter = .seconds(7_200); $0.total = .seconds(7_200)
        }
        stream.attemptStarted(at: start)
        stream.requestSent(asStream: stream.isStream, at: start)
        stream.headArrived(at: start)
        #expect(stream.rang(at: start + policy.firstByteStream) == .firstByteExpired)
        stream.contentCommitted(at: start)
        #expect(stream.rang(at: start + stream.clocks.stall) == .stallExpired)
        stream.workerProgressed(at: start + .seconds(50))
        #expect(stream.rang(at: start + stream.clocks.stall) == .nothing)
        #expect(stream.rang(at: start + .seconds(50) + stream.clocks.stall) == .stallExpired)
    }

    @Test("the queue's clock runs over all visits to the queue, and looks in between")
    func queue() {
        let policy = ExchangePolicy()
        var machine = admitted { $0.keepaliveAfter = .seconds(7_200) }
        machine.queued(at: start)
        #expect(machine.nextDeadline == start + policy.queueLook)
        #expect(machine.rang(at: start + policy.queueLook) == .lookAgain)
        let later = start + .seconds(20)
        machine.queued(at: later)
        #expect(machine.rang(at: start + policy.queue) == .queueExpired)
    }

    @Test("keepalives begin after a silence and repeat; writing to the client delays them")
    func keepalives() {
        let policy = ExchangePolicy()
        var machine = admitted()
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        #expect(machine.rang(at: start + policy.keepaliveAfter + .nanoseconds(-1)) == .nothing)
        #expect(machine.rang(at: start + policy.keepaliveAfter) == .keepaliveDue)
        machine.headCommitted(at: start + policy.keepaliveAfter)
        let second = start + policy.keepaliveAfter + policy.keepaliveInterval
        machine.wroteToClient(at: second + .nanoseconds(-1))
        #expect(machine.rang(at: second) == .nothing)
        #expect(admitted(stream: false).nextDeadline > second)
    }

    @Test("a client that reads nothing stops the worker's clock and starts its own")
    func backPressure() {
        let policy = ExchangePolicy()
        var machine = admitted { $0.keepaliveAfter = .seconds(7_200) }
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: machine.isStream, at: start)
        machine.headArrived(at: start)
        machine.contentCommitted(at: start)
        machine.clientWritable(false, at: start)
        #expect(machine.rang(at: start + policy.writeStall) == .writeStallExpired)
        machine.clientWritable(true, at: start + .seconds(30))
        #expect(machine.rang(at: start + machine.clocks.stall) == .nothing)
        #expect(machine.nextDeadline == start + .seconds(30) + machine.clocks.stall)
    }

    @Test("a settled exchange has no clock")
    func settled() {
        var machine = admitted()
        machine.settled()
        #expect(machine.nextDeadline == .never)
        #expect(machine.rang(at: .never) == .nothing)
    }

    @Test("Retry-After is the queue's own time, within 1 and 60 seconds")
    func retryAfter() {
        #expect(ExchangeMachine.retryAfterSeconds(waiting: 0, slots: 4, holdSeconds: 0.1) == 1)
        #expect(ExchangeMachine.retryAfterSeconds(waiting: 7, slots: 4, holdSeconds: 2.5) == 5)
        #expect(ExchangeMachine.retryAfterSeconds(waiting: 10_000, slots: 1, holdSeconds: 10) == 60)
        #expect(ExchangeMachine.retryAfterSeconds(waiting: 0, slots: 0, holdSeconds: 3) == 3)
    }

    @Test("every outcome has its own code and its own place")
    func outcomes() {
        #expect(Set(AttemptOutcome.all.map(\.code)).count == AttemptOutcome.all.count)
        for (place, outcome) in AttemptOutcome.all.enumerated() { #expect(outcome.position == place) }
    }

    // MARK: Silence

    private static func asked(stream: Bool = true) -> (ExchangeMachine, AttemptClocks.Asking) {
        var machine = admitted(stream: stream) { $0.keepaliveAfter = .seconds(7_200) }
        let forecast = WaitForecast(
            ahead: 0, uncached: 10_000, ceiling: 100, batch: 1, prefillRate: 1_000, decodeRate: 50, slope: 0,
            confidence: 1)
        machine.attemptStarted(at: start)
        machine.requestSent(asStream: stream, clocks: AttemptClocks(machine.policy, forecast), at: start)
        return (machine, machine.clocks.asking!)
    }

    @Test("a silence longer than was forecast is looked into before any clock ends the attempt, in each phase")
    func silence() {
        var (machine, asking) = Self.asked()
        #expect(asking.firstEvent == .seconds(40) && asking.betweenEvents == .seconds(10))
        #expect(machine.nextDeadline == start + .seconds(40))
        #expect(machine.rang(at: start + .seconds(39)) == .nothing)
        #expect(machine.rang(at: start + .seconds(40)) == .silent)
        machine.waitOn(at: start + .seconds(40))
        // Progress in the prompt has a shorter patience of its own.
        #expect(machine.nextDeadline == start + .seconds(60))
        machine.headArrived(at: start + .seconds(50))
        machine.workerProgressed(at: start + .seconds(50))
        #expect(machine.lastSign == start + .seconds(50) && machine.nextDeadline == start + .seconds(70))
        machine.contentCommitted(at: start + .seconds(55))
        #expect(machine.rang(at: start + .seconds(65)) == .silent)
        machine.waitOn(at: start + .seconds(65))
        #expect(machine.nextDeadline == start + .seconds(75))
        // The setting's own limit ends it, whatever explains the silence.
        #expect(machine.rang(at: start + .seconds(355)) == .stallExpired)
    }

    @Test("while the worker's answer is awaited it is looked for, until it is due; a sign of life forgets the question")
    func asking() {
        var (machine, asking) = Self.asked()
        let now = start + .seconds(40)
        #expect(machine.rang(at: now) == .silent && machine.timesAsked == 0)
        machine.asked(at: now)
        #expect(machine.timesAsked == 1 && machine.askedAt == now && machine.answerDue == now + asking.answer)
        #expect(machine.nextDeadline == now + ExchangeMachine.answerLook)
        #expect(machine.rang(at: machine.nextDeadline) == .silent)
        machine.awaitAnswer(at: machine.answerDue + .milliseconds(-1))
        #expect(machine.nextDeadline == machine.answerDue)
        machine.workerProgressed(at: now + .seconds(1))
        #expect(machine.timesAsked == 0 && machine.askedAt == .never)
    }

    @Test("who holds the worker's bytes back does not wonder at its silence")
    func silenceOfOurOwn() {
        var (machine, _) = Self.asked()
        machine.headArrived(at: start)
        machine.contentCommitted(at: start)
        machine.clientWritable(false, at: start)
        #expect(machine.rang(at: start + .seconds(20)) == .nothing)
        machine.clientWritable(true, at: start + .seconds(30))
        #expect(machine.rang(at: start + .seconds(39)) == .nothing)
        #expect(machine.rang(at: start + .seconds(40)) == .silent)
    }

    @Test("an early head of a plain answer is no sign; its whole answer has one clock")
    func earlyHead() {
        var (machine, asking) = Self.asked(stream: false)
        machine.headArrived(isEarly: true, at: start + .seconds(1))
        #expect(machine.nextDeadline == start + asking.whole)
        machine.waitOn(at: start + asking.whole)
        #expect(machine.nextDeadline == start + asking.whole + asking.whole)
        var (other, _) = Self.asked(stream: false)
        other.headArrived(at: start + .seconds(1))
        #expect(other.nextDeadline == start + .seconds(11))
    }

    @Test("a prompt that takes long to compute is not computed twice after a timeout, whatever its length")
    func slowPrompts() {
        for (seconds, expected) in [(4.9, ExchangeMachine.AfterAttempt.failover), (5, .conclude)] {
            var machine = admitted()
            machine.attemptStarted(at: start)
            machine.requestSent(asStream: true, at: start)
            #expect(machine.attemptEnded(.firstByteTimedOut, prefillSeconds: seconds, at: start) { true } == expected)
        }
    }
}
