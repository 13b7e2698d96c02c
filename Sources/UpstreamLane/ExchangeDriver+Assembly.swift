/// A plain answer that is asked for as a stream and put together here: it reaches the client whole or not at all, so until
/// then another worker may still be asked.
import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore

extension ExchangeDriver {
    /// What the stream that begins is put together to: a new answer, or more of the one that other streams began.
    func nextAssembly(_ scanned: ScannedRequest) -> AnswerAssembly? {
        let begin = {
            AnswerAssembly(
                route: self.route, model: scanned.model ?? "", wantsLogprobs: scanned.needs.contains(.logprobs))
        }
        if series != nil { return series!.continued(begin) }
        return scanned.stream ? nil : begin()
    }

    func assembledBytes(_ chunk: ByteBuffer) {
        let now = loop.now()
        lastReadAt = now
        loop.frames.removeAll(keepingCapacity: true)
        chunk.withUnsafeReadableBytes { stream?.cutter.feed($0, into: &loop.frames) }
        var sawContent = false
        for frame in loop.frames {
            switch frame.kind {
            case .comment(let isProgress): if isProgress { progressSeen(at: now) }
            case .progress(let isNews): if isNews { progressSeen(at: now) }
            case .error: return errorEventCame()
            case .role, .null, .empty, .done: break
            case .content, .finish, .usage, .other, .oversized: sawContent = true
            }
        }
        if stream?.cutter.assembly?.failure == .tooLarge { return answerTooLarge() }
        guard sawContent else { return }
        if firstEventAt == .never {
            firstEventAt = now
            placement?.paidPrompt(on: loop.shared.board)
            proven()
        }
        loop.noteEvent(gapSince: lastEventAt, at: now)
        lastEventAt = now
        machine.workerEventCame(at: now)
        if let placement { loop.shared.board.noteToken(placement.worker.index, at: now) }
    }

    func assembledEnded() {
        loop.frames.removeAll(keepingCapacity: true)
        stream!.cutter.finish(into: &loop.frames)
        if loop.frames.last?.kind == .error { return errorEventCame() }
        guard let stream, machine.phase == .answering else { return }
        guard stream.isProven else {
            let began = stream.cutter.facts.contentEvents > 0
            return attemptFailed(
                began ? .truncated : .closedEarly,
                began ? "the stream ended without a finish" : "the stream ended before any content")
        }
        // A worker that told none gets our own count; it is no worse than a guess and better than nothing.
        let counted =
            stream.cutter.facts.usage
            ?? TokenUsage(
                prompt: scanned?.estimatedPromptTokens ?? 0, completion: stream.cutter.facts.contentEvents, cached: 0)
        guard series != nil else { return answerWithAssembly(stream.cutter.assembly, counted) }
        series!.add(counted)
        promptAnswered()
    }

    /// One prompt of several is answered: on to the next, or the end.
    private func promptAnswered() {
        guard let scanned, var current = series else { return }
        let assembly = stream?.cutter.takeAssembly()
        let isLast = current.position + 1 == scanned.promptRanges.count
        if scanned.stream, let assembly { sendPart(of: assembly, current, isLast: isLast, scanned) }
        if isLast {
            if !scanned.stream { return answerWithAssembly(assembly, current.usage) }
            usage = current.usage
            finishAttempt(.answered)
            return finishAnswer(.answered)
        }
        current.goOn(with: assembly)
        series = current
        answer = .none
        stream = nil
        let now = loop.now()
        machine.startedNextPart(at: now)
        connect(at: now)
    }

    /// A client that wants a stream gets each prompt's answer as one event.
    private func sendPart(
        of assembly: AnswerAssembly, _ current: PromptSeries, isLast: Bool, _ scanned: ScannedRequest
    ) {
        let now = loop.now()
        if !machine.isHeadCommitted {
            status = 200
            client?.sendHead(loop.earlyStreamHead(for: self))
        }
        if !machine.isContentCommitted { machine.contentCommitted(at: now) }
        var bytes = assembly.event(choice: current.position, usage: nil)
        if isLast {
            if scanned.includeUsage == true { bytes += assembly.event(choice: nil, usage: current.usage) }
            bytes += Array("data: [DONE]\n\n".utf8)
        }
        answerBytes += bytes.count
        client?.sendBody(ByteBuffer(bytes: bytes))
        client?.sendFlush()
        machine.wroteToClient(at: now)
    }

    /// The whole answer, at once.
    private func answerWithAssembly(_ assembly: AnswerAssembly?, _ counted: TokenUsage?) {
        guard let assembly, let counted, let (head, raw) = answerHead else { return }
        let bytes: [UInt8]
        do throws(AnswerAssembly.Failure) {
            bytes = try assembly.answer(counted: counted)
        } catch {
            switch error {
            case .unfinished: return attemptFailed(.truncated, "the stream ended without a finish")
            case .unreadable: return attemptFailed(.protocolError, "an event that is not JSON")
            case .tooLarge: return answerTooLarge()
            }
        }
        usage = counted
        machine.contentCommitted(at: loop.now())
        status = head.status
        answerBytes += bytes.count
        client?.sendHead(loop.responseHead(for: self, from: head, in: raw, assembledBytes: bytes.count))
        client?.sendBody(ByteBuffer(bytes: bytes))
        finishAttempt(.answered)
        finishAnswer(.answered)
    }

    /// Another worker's answer would be as long.
    func answerTooLarge() {
        finishAttempt(.cancelled)
        conclude(
            ClientError(
                status: 502, outcome: .unavailable,
                message: "The answer is larger than \(AnswerAssembly.bytesUsual >> 20) MiB; ask for it as a stream.",
                type: "server_error", code: "gateway.answer_too_large", shouldRetry: false))
    }

    /// The client has left, and its worker will compute on: the slot stays taken until the answer ends.
    func leaveOrphan() {
        guard let placed = placement, let connection, machine.phase == .sent || machine.phase == .answering else {
            return
        }
        let now = loop.now()
        placement = nil
        self.connection = nil
        var owing = placed
        owing.paidPrompt(on: loop.shared.board)
        if owing.isUnproven { loop.shared.board.lowerUnproven(placed.worker.index) }
        loop.shared.board.removeTokens(placed.worker.index, prompt: 0, output: placed.outputTokens)
        if placed.isBreakerProbe {
            loop.shared.board.recordBreaker(
                placed.worker.index, model: view.models[modelPosition].index, .neutral, wasProbe: true, at: now)
        }
        loop.tallyAttempt(worker: placed.worker.index, .cancelled)
        lastWorkerID = placed.worker.id.rawValue
        Orphan(placed, connection, loop: loop, view: view, until: machine.totalDeadline).begin()
    }
}
