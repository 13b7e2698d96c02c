/// Endings: an attempt that failed, an exchange that is over. Slot, ticket, tokens, memory and clock are given back
/// here and nowhere else (L4).
import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore

extension ExchangeDriver.PlacedWorker {
    /// The prompt is computed once content comes: it no longer stands before others.
    mutating func paidPrompt(on board: WorkerBoard) {
        guard owesPromptTokens else { return }
        owesPromptTokens = false
        board.removeTokens(worker.index, prompt: promptTokens, output: 0)
    }
}

extension ExchangeDriver {
    /// An attempt ended without an answer. The machine knows whether another may follow.
    func attemptFailed(_ outcome: AttemptOutcome, _ detail: String, status: Int? = nil, body: [UInt8]? = nil) {
        guard machine.phase != .settled else { return }
        let failure = AttemptFailure(
            outcome: outcome, detail: detail, workerID: placement?.worker.id.rawValue ?? "", status: status, body: body)
        lastFailure = failure
        let now = loop.now()
        if workerMayHaveDied(outcome, at: now) { return }
        // Nothing was sent, so nobody can have died of it: the one trial of a suspect is still to come.
        if isSuspect, outcome == .connectFailed || outcome == .connectTimedOut { suspected() }
        let next = machine.attemptEnded(outcome, prefillSeconds: forecastPrefill ?? 0, at: now) {
            loop.retryBudget.mayRetry(at: now)
        }
        if next == .retryFresh {
            dropConnection()
            machine.startedFresh(at: now)
            return redial(at: now)
        }
        finishAttempt(outcome)
        switch next {
        case .failover:
            loop.tallyRetry()
            answer = .none
            stream = nil
            firstEventAt = .never
            lastEventAt = .never
            place(at: now)
        default: conclude(failure)
        }
    }

    private func redial(at now: Instant) {
        guard let placement else { return }
        armClock()
        loop.pool.dial(placement.worker, backlog: placement.dialect.traits.connectBacklog, for: self)
    }

    private func dropConnection() {
        loop.pool.cancelDial(of: self)
        connection?.abandon()
        connection = nil
    }

    /// Gives back what the attempt held, and tells breaker, health and counters its one word.
    func finishAttempt(_ outcome: AttemptOutcome) {
        dropTicket()
        dropConnection()
        series = nil
        // Whoever dies of it must find it alone to the end: the reservation goes with the attempt.
        endReservation()
        guard var placed = placement else { return }
        placement = nil
        let now = loop.now()
        let board = loop.shared.board
        placed.paidPrompt(on: board)
        if placed.isUnproven { board.lowerUnproven(placed.worker.index) }
        board.removeTokens(placed.worker.index, prompt: 0, output: placed.outputTokens)
        let model = view.models[modelPosition].index
        switch outcome.blamesWorker {
        case true?:
            board.recordBreaker(placed.worker.index, model: model, .failure, wasProbe: placed.isBreakerProbe, at: now)
        case false?:
            board.recordBreaker(placed.worker.index, model: model, .success, wasProbe: placed.isBreakerProbe, at: now)
        case nil:
            if placed.isBreakerProbe {
                board.recordBreaker(placed.worker.index, model: model, .neutral, wasProbe: true, at: now)
            }
        }
        switch outcome {
        case .answered:
            loop.noteHold(seconds: now.seconds(since: placed.since))
            noteRates(of: placed, at: now)
            noteCache(of: placed)
            if !loop.shared.poison.hasNone { loop.shared.poison.answered(fingerprint()) }
            if board.condition(placed.worker.index) != .healthy {
                board.tellHealth(placed.worker.index, .tokensSeen, at: now)
            }
        case .connectFailed: board.tellHealth(placed.worker.index, .connectRefused, at: now)
        case .dead: board.tellHealth(placed.worker.index, .deadVerdict, at: now)
        case .stalled: board.tellHealth(placed.worker.index, .impaired(.stalled), at: now)
        case .firstByteTimedOut where machine.timesAsked > 0:
            board.tellHealth(placed.worker.index, .impaired(.stalled), at: now)
        case .ambiguous, .closedEarly, .firstByteTimedOut:
            board.tellHealth(placed.worker.index, .ambiguousFailure, at: now)
        default: break
        }
        loop.tallyAttempt(worker: placed.worker.index, outcome)
        lastWorkerID = placed.worker.id.rawValue
        loop.freeSlot(of: placed, in: view, whole: outcome == .answered, at: now)
    }

    // MARK: The last word

    /// The answer went out whole, or its ending was told.
    func finishAnswer(_ outcome: ExchangeOutcome) {
        let client = client
        settle(outcome)
        client?.sendEnd()
        client?.sendFlush()
    }

    /// Refuses the request itself; no worker is involved.
    func refuse(_ error: ClientError) { conclude(error) }

    /// Tells of the latest failed attempt: the worker's own words where it had any, ours otherwise.
    func conclude(_ failure: AttemptFailure) {
        if !machine.isHeadCommitted, let status = failure.status, let body = failure.body, passesWorkersWords(failure) {
            let placedKind = view.workers.first { $0.id.rawValue == failure.workerID }?.kind
            // mlx_lm raises 404 for whatever its generation thread dislikes: to a client that is a bad request.
            var told = placedKind == .mlxLM && status == 404 ? 400 : status
            var param: String?
            if status >= 500, scanned?.needs.contains(.structuredOutput) == true,
                placedKind.map({ loop.dialect(of: $0).traits.failsOnStructure }) == true
            {
                // Its engine lives or not, which a canary tells; the client can only ask for another form.
                told = 400
                param = "response_format"
            }
            let reshaped = ErrorBody.reshaped(body, status: told, param: param)
            let bytes = reshaped ?? body
            clientMessage = "the worker said \(status)"
            if reshaped == nil, told == status, failure.outcome == .rejected, let (head, raw) = answerHead,
                head.status == status
            {
                return relayWhole(loop.responseHead(for: self, from: head, in: raw), body: bytes)
            }
            return answerWhole(
                status: told, body: bytes, outcome: failure.outcome == .rejected ? .rejected : .unavailable,
                retryAfter: nil, shouldRetry: told >= 500 ? true : nil)
        }
        conclude(clientError(for: failure))
    }

    private func passesWorkersWords(_ failure: AttemptFailure) -> Bool {
        switch failure.outcome {
        // A dead engine's words would blame the request.
        case .rejected, .ambiguous, .fault: true
        default: false
        }
    }

    func conclude(_ error: ClientError) {
        guard machine.phase != .settled else { return }
        clientMessage = error.message
        guard machine.isHeadCommitted else {
            return answerWhole(
                status: error.status, body: error.body, outcome: error.outcome, retryAfter: error.retryAfter,
                shouldRetry: error.shouldRetry)
        }
        let client = client
        if answer == .plain {
            // A body cut short cannot be told in-band.
            settle(.truncated)
            client?.cutConnection()
            return
        }
        if stream?.isInsideFrame == true { client?.sendBody(ByteBuffer(string: "\n\n")) }
        client?.sendBody(ByteBuffer(bytes: error.event(for: route)))
        let began = machine.isContentCommitted
        settle(began && error.outcome != .drained ? .truncated : error.outcome)
        client?.sendEnd()
        client?.sendFlush()
    }

    /// A worker's own refusal, as it came.
    private func relayWhole(_ response: HTTPResponse, body bytes: [UInt8]) {
        var response = response
        response.headerFields[.contentLength] = String(bytes.count)
        status = Int(response.status.code)
        send(response, bytes, outcome: .rejected)
    }

    private func answerWhole(
        status: Int, body bytes: [UInt8], outcome: ExchangeOutcome, retryAfter: Int?, shouldRetry: Bool?
    ) {
        guard machine.phase != .settled else { return }
        self.status = status
        let response = loop.errorHead(
            for: self, status: status, bodyBytes: bytes.count, retryAfter: retryAfter, shouldRetry: shouldRetry)
        send(response, bytes, outcome: outcome)
    }

    private func send(_ response: HTTPResponse, _ bytes: [UInt8], outcome: ExchangeOutcome) {
        answerBytes += bytes.count
        finishAttempt(.cancelled)
        let client = client
        settle(outcome)
        client?.sendHead(response)
        client?.sendBody(ByteBuffer(bytes: bytes))
        client?.sendEnd()
        client?.sendFlush()
    }

    func clientError(for failure: AttemptFailure) -> ClientError {
        let worker = failure.workerID.isEmpty ? "The worker" : "The worker '\(failure.workerID)'"
        func error(_ status: Int, _ outcome: ExchangeOutcome, _ text: String, retryAfter: Int? = nil, retry: Bool?)
            -> ClientError
        {
            ClientError(
                status: status, outcome: outcome, message: "\(worker) \(text).", type: "server_error",
                code: "upstream.\(failure.outcome.code)", retryAfter: retryAfter, shouldRetry: retry)
        }
        // Once content is out, a repeated request would begin anew: that is for the client to decide.
        let isLong = (scanned?.estimatedPromptTokens ?? 0) >= machine.policy.longPromptTokens
        switch failure.outcome {
        case .connectFailed, .connectTimedOut:
            return error(503, .unavailable, "could not be reached: \(failure.detail)", retryAfter: 2, retry: true)
        case .capacity:
            return error(503, .saturated, "is at capacity (\(failure.detail))", retryAfter: 2, retry: true)
        case .firstByteTimedOut:
            return error(504, .timedOut, "did not begin to answer: \(failure.detail)", retry: !isLong)
        case .stalled: return error(504, .timedOut, "stopped answering: \(failure.detail)", retry: !isLong)
        case .truncated: return error(502, .truncated, "ended the answer early: \(failure.detail)", retry: true)
        case .errorEvent:
            let words = failure.body.map { String(decoding: $0.prefix(2_048), as: UTF8.self) } ?? failure.detail
            return error(502, .unavailable, "reported an error: \(words)", retry: true)
        default: return error(502, .unavailable, "failed: \(failure.detail)", retry: true)
        }
    }

    /// The exchange is over. Whatever is still held is let go; the access line is written.
    func settle(_ outcome: ExchangeOutcome) {
        guard machine.phase != .settled else { return }
        if placement != nil || ticket != nil || reservation != nil { finishAttempt(.cancelled) }
        loop.wheel.disarm(self)
        if usage == nil { usage = stream?.cutter.facts.usage ?? plainScan.usage }
        let now = loop.now()
        if queuedSince != .never {
            queuedNanoseconds += now.nanoseconds - queuedSince.nanoseconds
            queuedSince = .never
        }
        loop.exchangeClosed(self, outcome, at: now)
        machine.settled()
        returnBudget()
        client = nil
        stream?.held = []
        stream?.carry = []
        answerHead = nil
    }
}
