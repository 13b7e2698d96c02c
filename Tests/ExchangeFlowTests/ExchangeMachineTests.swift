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
        #expect(stream.rang(at: start + policy.stall) == .stallExpired)
        stream.workerProgressed(at: start + .seconds(50))
        #expect(stream.rang(at: start + policy.stall) == .nothing)
        #expect(stream.rang(at: start + .seconds(50) + policy.stall) == .stallExpired)
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
        #expect(machine.rang(at: start + policy.stall) == .nothing)
        #expect(machine.nextDeadline == start + .seconds(30) + policy.stall)
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
}
