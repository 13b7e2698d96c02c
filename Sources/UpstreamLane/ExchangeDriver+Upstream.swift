/// To the worker and back: a connection, the request's bytes with their splices, and the facts of the answer.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import NIOCore
import ReplicaCore

extension ExchangeDriver: UpstreamUser {
    /// Gets a connection for the placed worker: an idle one, else a dial.
    func connect(at now: Instant) {
        guard let placement else { return }
        if let idle = loop.pool.reuse(placement.worker.index) {
            connection = idle
            idle.lease(to: self)
            return sendRequest(at: now)
        }
        dial(at: now)
    }

    private func dial(at now: Instant) {
        guard let placement else { return }
        armClock()
        loop.pool.dial(placement.worker, backlog: placement.dialect.traits.connectBacklog, for: self)
    }

    /// The pool's answer to `dial`, when a place among the worker's connects was free.
    func dialing(_ dialed: UpstreamConnection) {
        connection = dialed
        dialed.lease(to: self)
    }

    func upstreamConnected() {
        guard machine.phase == .connecting else { return }
        sendRequest(at: loop.now())
    }

    private func sendRequest(at now: Instant) {
        guard let placement, let connection, let scanned else { return }
        // Usage is asked for on every stream, so that it can be accounted for; the extra chunk stays ours.
        let assembles = placement.plainAnswer == .assembled || series != nil
        let asksUsage = (scanned.stream || assembles) && (route == .chatCompletions || route == .completions)
        let entry = view.models[modelPosition]
        let known = entry.placements[placement.position]
        let model = ModelOnWorker(
            name: entry.name, upstreamName: placement.upstreamName, contextTokens: known.contextTokens,
            vocabulary: known.vocabulary, maxOutputTokens: known.maxOutputTokens)
        let splices = placement.dialect.prepare(
            scanned, model, askUsage: asksUsage, makesStream: assembles,
            promptPosition: series?.position)
        let pieces = splices.isEmpty ? body : spliced(splices)
        let length = splices.isEmpty ? bodyBytes : splices.outputBytes(bodyBytes: bodyBytes)
        let requestHead = loop.requestHead(
            for: self, worker: placement.worker, dialect: placement.dialect, contentLength: length)
        connection.keepAfterAnswer(placement.dialect.traits.poolsConnections)
        if sentAt == .never {
            sentAt = now
            loop.noteOverhead(seconds: now.seconds(since: admittedAt) - Double(queuedNanoseconds) / 1e9)
        }
        machine.requestSent(
            asStream: scanned.stream || assembles, clocks: clocks(for: placement, scanned), at: now)
        attemptSentAt = now
        heldPlain = ByteBuffer()
        answer = .none
        wasCutOff = false
        answerHead = nil
        stream = nil
        plainScan = PlainAnswerScan()
        // A client that has an earlier answer still to read is full from the start, and no event will say so.
        if client?.isWritable == false { clientWritable(false) }
        connection.send(requestHead, pieces)
        armClock()
    }

    /// The body with its edits, the untouched parts as slices of what came.
    private func spliced(_ splices: SpliceList) -> [ByteBuffer] {
        var pieces: [ByteBuffer] = []
        splices.forEachPiece(bodyBytes: bodyBytes) { piece in
            switch piece {
            case .replacement(let bytes): pieces.append(ByteBuffer(bytes: bytes))
            case .original(let range): appendSlices(of: range, to: &pieces)
            }
        }
        return pieces
    }

    private func appendSlices(of range: Range<Int>, to pieces: inout [ByteBuffer]) {
        var begin = 0
        for part in body {
            let end = begin + part.readableBytes
            let low = max(begin, range.lowerBound)
            let high = min(end, range.upperBound)
            if low < high, let slice = part.getSlice(at: part.readerIndex + low - begin, length: high - low) {
                pieces.append(slice)
            }
            begin = end
            if begin >= range.upperBound { break }
        }
    }

    // MARK: The answer comes in

    func upstreamHead(_ head: ResponseHead, bytes: ByteBuffer) {
        let now = loop.now()
        let holdsPlain = placement?.dialect.traits.holdsPlainAnswers == true
        machine.headArrived(isEarly: holdsPlain && scanned?.stream == false && head.status < 300, at: now)
        answerHead = (head, bytes)
        if head.status >= 300 || head.status < 200 {
            answer = .error
            errorBytes.clear()
        } else if head.contentType == .eventStream, !head.isEncoded, let scanned, let placement,
            scanned.stream || placement.plainAnswer == .assembled || series != nil
        {
            answer = scanned.stream && series == nil ? .stream : .assembled
            stream = StreamState(route: route, dialect: placement.dialect, scanned, assembly: nextAssembly(scanned))
        } else if machine.isHeadCommitted {
            // Our own 200 promised an event stream, and nothing else can follow it.
            attemptFailed(.protocolError, "an answer that is no event stream")
        } else {
            answer = .plain
        }
        answerNames = names(for: head)
    }

    /// What has to be written over in this answer; nil, mostly, for nothing.
    private func names(for head: ResponseHead) -> AnswerNames? {
        let namesEvents =
            answer == .stream && route == .chatCompletions && placement?.dialect.traits.misnamesEvents == true
        guard configuration.renamesModels || namesEvents, !head.isEncoded,
            answer == .stream || (answer == .plain && head.contentType == .json)
        else { return nil }
        return AnswerNames(model: configuration.renamesModels ? scanned?.model : nil, namesEvents: namesEvents)
    }

    func upstreamBody(_ bytes: ByteBuffer) {
        switch answer {
        case .plain: plainBytes(bytes)
        case .stream: answerNames == nil ? streamBytes(bytes) : renamedBytes(bytes)
        case .assembled: assembledBytes(bytes)
        case .error:
            if errorBytes.readableBytes + bytes.readableBytes > machine.policy.heldBytesMax {
                attemptFailed(.protocolError, "an error body of more than \(machine.policy.heldBytesMax) bytes")
            } else {
                errorBytes.writeImmutableBuffer(bytes)
            }
        case .none: break
        }
    }

    func upstreamReadComplete() {
        guard machine.phase == .answering else { return }
        if answer == .assembled {
            armClock()
            if stream?.isProven == false { connection?.restIfBurst(at: lastReadAt) }
            return
        }
        guard machine.isHeadCommitted else { return }
        client?.sendFlush()
        armClock()
        // Once the finish is seen, nothing is left worth waiting for.
        if stream?.isProven == false { connection?.restIfBurst(at: lastReadAt) }
    }

    func upstreamEnd(byEOF: Bool) {
        connection = nil
        wasCutOff = byEOF
        switch answer {
        case .plain: plainEnded(byEOF: byEOF)
        case .stream, .assembled: streamEnded()
        case .error: errorEnded()
        case .none: attemptFailed(.closedEarly, "the connection ended before an answer")
        }
    }

    func upstreamFailed(_ failure: UpstreamFailure) {
        connection = nil
        switch failure {
        case .connect(let why): attemptFailed(.connectFailed, why)
        case .connectTimedOut: attemptFailed(.connectTimedOut, "no connection within \(machine.policy.connect)")
        case .notHTTP(let why): attemptFailed(.protocolError, why)
        case .closed(let sawByte, let wasReused):
            wasCutOff = true
            let isStream = answer == .stream || answer == .assembled
            if isStream, machine.isContentCommitted || stream?.isProven == true { return streamEnded() }
            if !sawByte, wasReused { return attemptFailed(.stale, "an idle connection had been closed") }
            attemptFailed(
                .closedEarly,
                sawByte ? "the connection ended inside the answer" : "the connection ended without an answer")
        }
    }

    /// A whole non-2xx answer: whose fault is it?
    private func errorEnded() {
        guard let placement, let (head, _) = answerHead else { return }
        let bytes = Array(errorBytes.readableBytesView)
        let verdict = placement.dialect.classify(
            AnswerStart(
                status: head.status, contentType: head.contentType == .json ? "application/json" : nil, body: bytes))
        attemptFailed(AttemptOutcome(verdict), "status \(head.status)", status: head.status, body: bytes)
    }

    /// An error event before anything went to the client is judged like an error answer of the status that it names: the
    /// client gets a status, and nobody is blamed for a client's fault.
    func errorEventCame() {
        guard let placement, let body = stream?.cutter.facts.errorBody else { return }
        guard let status = ErrorBody.status(in: body) else {
            return attemptFailed(.errorEvent, "an error event before any content", body: body)
        }
        let verdict = placement.dialect.classify(
            AnswerStart(status: status, contentType: "application/json", body: body))
        attemptFailed(
            AttemptOutcome(verdict), "an error event of status \(status) before any content", status: status, body: body
        )
    }
}

extension AttemptOutcome {
    init(_ verdict: Verdict) {
        self =
            switch verdict {
            case .client, .ok: .rejected
            case .capacity, .loading: .capacity
            case .absent, .unsuitable, .ambiguous: .ambiguous
            case .fault: .fault
            case .dead: .dead
            }
    }
}
