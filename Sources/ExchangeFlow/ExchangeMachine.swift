/// One exchange from its head to its settlement, without a byte or a socket: which phase it is in, which clock runs,
/// whether another attempt is allowed.
///
///     collecting ─► placing ⇄ queued ─► connecting ─► sent ─► answering ─► settled
///                      ▲                    │           │
///                      └──── failover ◄─────┴───────────┘        only before the content commit
///
/// Two commits divide its life. After the *head commit* our 200 is out and a failure is an event, not a status. After
/// the *content commit* the client has words of one worker, so no other may speak (L5). Each clock is a number here;
/// the driver arms one deadline, `nextDeadline`, and comes back with `rang`.
package import Determinism

package struct ExchangeMachine: Sendable {
    package enum Phase: Sendable, Equatable {
        case collecting, placing, queued, connecting, sent, answering, settled
    }

    package internal(set) var phase = Phase.collecting
    package private(set) var isStream = false
    package private(set) var attempts = 0
    package private(set) var isHeadCommitted = false
    package private(set) var isContentCommitted = false
    package let policy: ExchangePolicy

    var promptTokens = 0
    var attemptsLimit = Int.max
    /// How long the attempt's worker may be silent.
    private(set) package var clocks: AttemptClocks
    /// When its silence is looked into; never, while that is under way or nobody can be asked.
    var askAt = Instant.never
    /// The last sign of life in this attempt: the request itself, an event, progress.
    package private(set) var lastSign = Instant.zero
    /// Times that a silent worker was asked since its last sign, and when and until when it may answer.
    package internal(set) var timesAsked = 0
    package internal(set) var askedAt = Instant.never
    package internal(set) var answerDue = Instant.never
    /// The worker answers by events, and has told nothing yet: the clock of the first one runs.
    var isBeforeContent: Bool { answersByEvents && !hasContent }
    private(set) var answersByEvents = false
    private var hasContent = false
    /// One fresh try after a stale connection, per attempt.
    var hasRetriedFresh = false
    /// The clock of the current phase.
    var phaseDeadline: Instant
    var queueDeadline = Instant.never
    package let totalDeadline: Instant
    var keepaliveAt = Instant.never
    var writeDeadline = Instant.never
    /// While we ourselves hold the worker's bytes back, its silence means nothing.
    var isHoldingWorker = false

    package init(policy: ExchangePolicy, at now: Instant) {
        self.policy = policy
        phaseDeadline = now + policy.bodyGap
        totalDeadline = now + policy.total
        clocks = AttemptClocks(policy)
    }

    // MARK: The straight path

    package mutating func bodyArrived(at now: Instant) {
        if phase == .collecting { phaseDeadline = now + policy.bodyGap }
    }

    /// The body is whole and valid; a worker is wanted now.
    package mutating func admitted(isStream: Bool, sendsKeepalives: Bool, promptTokens: Int, at now: Instant) {
        precondition(phase == .collecting, "admitted twice")
        self.isStream = isStream
        self.promptTokens = promptTokens
        phase = .placing
        phaseDeadline = .never
        if sendsKeepalives { keepaliveAt = now + policy.keepaliveAfter }
    }

    /// No slot is free: a ticket was taken. The queue's clock runs over all visits to the queue.
    package mutating func queued(at now: Instant) {
        precondition(phase == .placing || phase == .queued, "a ticket outside placing")
        phase = .queued
        if queueDeadline == .never { queueDeadline = now + policy.queue }
        phaseDeadline = min(queueDeadline, now + policy.queueLook)
    }

    /// It waits to be alone with a worker, in nobody's line.
    package mutating func queuedAlone(at now: Instant) {
        queued(at: now)
        phaseDeadline = min(queueDeadline, now + Self.aloneLook)
    }

    /// How often a worker is looked at until others have left it alone.
    static let aloneLook = Duration.milliseconds(50)

    /// What it waits for takes longer than the queue's clock knows, and has its own.
    package mutating func stayQueued(at now: Instant) {
        guard phase == .queued else { return }
        queueDeadline = now + policy.queue
        phaseDeadline = min(queueDeadline, now + policy.queueLook)
    }

    package mutating func leftQueue() {
        if phase == .queued { phase = .placing }
    }

    /// A slot is taken. `spendsAttempt` is false for the fresh try after a stale connection.
    package mutating func attemptStarted(at now: Instant) {
        precondition(phase == .placing || phase == .queued, "an attempt outside placing")
        precondition(!isContentCommitted, "L5: an attempt after content")
        attempts += 1
        hasRetriedFresh = false
        askAt = .never
        phase = .connecting
        phaseDeadline = now + policy.connect
    }

    /// The same attempt, on a fresh connection.
    package mutating func startedFresh(at now: Instant) {
        precondition(!isContentCommitted, "L5: an attempt after content")
        phase = .connecting
        phaseDeadline = now + policy.connect
    }

    /// One part of the answer is whole; the next is asked for on the same worker, within the same attempt.
    package mutating func startedNextPart(at now: Instant) {
        precondition(phase == .answering, "a next part without a first")
        phase = .connecting
        phaseDeadline = now + policy.connect
    }

    /// The request is written; the worker has the word. `asStream`: it was asked to answer by events. `clocks`: nil for a
    /// worker that cannot be asked.
    package mutating func requestSent(asStream: Bool, clocks: AttemptClocks? = nil, at now: Instant) {
        guard phase == .connecting else { return }
        phase = .sent
        self.clocks = clocks ?? AttemptClocks(policy)
        answersByEvents = asStream
        hasContent = false
        phaseDeadline = now + (asStream ? self.clocks.firstEvent : self.clocks.whole)
        signSeen(at: now)
        askAt = self.clocks.asking.map { now + (asStream ? $0.firstEvent : $0.whole) } ?? .never
    }

    private mutating func signSeen(at now: Instant) {
        lastSign = now
        timesAsked = 0
        askedAt = .never
        answerDue = .never
        guard let asking = clocks.asking else { return }
        askAt = now + (isBeforeContent ? asking.progress : asking.betweenEvents)
    }

    /// `isEarly`: a head that comes before anything was computed says nothing.
    package mutating func headArrived(isEarly: Bool = false, at now: Instant) {
        guard phase == .sent || phase == .connecting else { return }
        phase = .answering
        if !answersByEvents, !isEarly {
            phaseDeadline = now + clocks.stall
            signSeen(at: now)
        }
    }

    /// The worker showed that it computes: a content event, or a comment of a kind whose comments are progress.
    package mutating func workerProgressed(at now: Instant) {
        guard phase == .answering || phase == .sent else { return }
        phaseDeadline = now + (isBeforeContent ? clocks.firstEvent : clocks.stall)
        signSeen(at: now)
    }

    /// An event with content of an answer that is put together before any of it is sent.
    package mutating func workerEventCame(at now: Instant) {
        guard phase == .answering else { return }
        hasContent = true
        phaseDeadline = now + clocks.stall
        signSeen(at: now)
    }

    /// Our head went out; a keepalive may follow.
    package mutating func headCommitted(at now: Instant) {
        isHeadCommitted = true
        if keepaliveAt != .never { keepaliveAt = now + policy.keepaliveInterval }
    }

    /// The first byte of a worker goes to the client: from here it is this worker or none.
    package mutating func contentCommitted(at now: Instant) {
        isHeadCommitted = true
        isContentCommitted = true
        hasContent = true
        phaseDeadline = now + clocks.stall
        signSeen(at: now)
    }

    /// Something was written to the client, so a keepalive is not needed for another interval.
    package mutating func wroteToClient(at now: Instant) {
        if keepaliveAt != .never, isHeadCommitted { keepaliveAt = now + policy.keepaliveInterval }
    }

    package mutating func settled() {
        phase = .settled
        phaseDeadline = .never
        askAt = .never
        keepaliveAt = .never
        writeDeadline = .never
    }
}
