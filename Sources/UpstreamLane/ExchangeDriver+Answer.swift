/// Answers on their way to the client: plain ones as they come, streams frame by frame until content commits them.
import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore

extension ExchangeDriver {
    // MARK: Plain answers

    func plainBytes(_ bytes: ByteBuffer) {
        let now = loop.now()
        if let placement {
            loop.shared.board.noteToken(placement.worker.index, at: now)
            if placement.dialect.traits.holdsPlainAnswers {
                bytes.withUnsafeReadableBytes { plainScan.feed($0) }
                heldPlain.writeImmutableBuffer(bytes)
                guard heldPlain.readableBytes > AnswerAssembly.bytesUsual else { return }
                return answerTooLarge()
            }
        }
        bytes.withUnsafeReadableBytes { plainScan.feed($0) }
        if answerNames != nil {
            heldPlain.writeImmutableBuffer(bytes)
            machine.workerProgressed(at: now)
            guard heldPlain.readableBytes > AnswerAssembly.bytesUsual else { return }
            // It is worth more than its model's name.
            answerNames = nil
            commitPlain()
            return sendHeldPlain()
        }
        if !machine.isContentCommitted { commitPlain() }
        machine.workerProgressed(at: now)
        answerBytes += bytes.readableBytes
        client?.sendBody(bytes)
    }

    private func sendHeldPlain() {
        send(heldPlain)
        heldPlain = ByteBuffer()
    }

    /// `bytes`: of the body, where it is another than the worker's.
    private func commitPlain(bytes renamedBytes: Int? = nil) {
        let now = loop.now()
        guard let (head, bytes) = answerHead else { return }
        firstEventAt = now
        machine.contentCommitted(at: now)
        placement?.paidPrompt(on: loop.shared.board)
        proven()
        status = head.status
        client?.sendHead(loop.responseHead(for: self, from: head, in: bytes, renamedBytes: renamedBytes))
    }

    func plainEnded(byEOF: Bool) {
        if byEOF, plainScan.isCutShort {
            // A server that dies looks just like one that is done; the text itself tells them apart.
            return attemptFailed(.truncated, "the connection ended inside the answer")
        }
        if !machine.isContentCommitted {
            // A length of zero is a whole answer; an end without one is none.
            guard heldPlain.readableBytes > 0 || answerHead?.head.contentLength == 0 || answerHead?.head.status == 204
            else {
                return attemptFailed(.closedEarly, "an answer without a body")
            }
            if let answerNames, heldPlain.readableBytes > 0 {
                heldPlain = ByteBuffer(bytes: heldPlain.withUnsafeReadableBytes { answerNames.renamed($0) })
                commitPlain(bytes: heldPlain.readableBytes)
            } else {
                commitPlain()
            }
            if heldPlain.readableBytes > 0 { sendHeldPlain() }
        }
        usage = plainScan.usage
        finishAttempt(.answered)
        finishAnswer(.answered)
    }

    // MARK: Streams

    /// What came, with the names that belong there, as far as its lines are whole.
    func renamedBytes(_ chunk: ByteBuffer) {
        var renamed: [UInt8] = []
        renamed.reserveCapacity(chunk.readableBytes * 2)
        chunk.withUnsafeReadableBytes { answerNames?.feed($0, into: &renamed) }
        if !renamed.isEmpty { streamBytes(ByteBuffer(bytes: renamed)) }
    }

    func streamBytes(_ chunk: ByteBuffer) {
        let now = loop.now()
        lastReadAt = now
        loop.frames.removeAll(keepingCapacity: true)
        chunk.withUnsafeReadableBytes { stream?.cutter.feed($0, into: &loop.frames) }
        relay(chunk, loop.frames, at: now)
    }

    /// Sends on what may go, frame by frame, as few slices as the frames allow.
    private func relay(_ chunk: ByteBuffer, _ frames: [EventStreamCutter.Frame], at now: Instant) {
        guard stream != nil else { return }
        var passFrom = 0
        var begin = 0
        var sawContent = false
        for frame in frames {
            let range = begin..<frame.end
            begin = frame.end
            if stream!.passesTail {
                // The rest of a frame whose beginning is already out.
                stream!.passesTail = false
                continue
            }
            // A kind that is not known for them has its empty events passed on like any that says nothing.
            let kind = frame.kind == .empty && !stream!.dropsEmpty ? .null : frame.kind
            switch kind {
            case .comment(let isProgress):
                if isProgress { progressSeen(at: now) }
                if machine.isContentCommitted { continue }
                dropCarry()
                passFrom = frame.end
            case .progress(let isNews):
                if isNews { progressSeen(at: now) }
                if stream!.hidesProgress {
                    if machine.isContentCommitted { pass(chunk, passFrom..<range.lowerBound, at: now) }
                    dropCarry()
                } else if machine.isContentCommitted {
                    continue
                } else {
                    tellProgress(chunk, range, at: now)
                }
                passFrom = frame.end
            case .role, .null:
                if machine.isContentCommitted { continue }
                hold(chunk, range)
                passFrom = frame.end
            case .usage where stream!.renamesUsage:
                sawContent = true
                if !machine.isContentCommitted { commitStream(at: now) }
                pass(chunk, passFrom..<range.lowerBound, at: now)
                passRenamed(chunk, range, at: now)
                passFrom = frame.end
            case .usage where stream!.hidesUsage, .empty:
                if machine.isContentCommitted { pass(chunk, passFrom..<range.lowerBound, at: now) }
                dropCarry()
                passFrom = frame.end
            case .error:
                stream!.sawErrorEvent = true
                if !machine.isContentCommitted { return errorEventCame() }
            case .done where !machine.isContentCommitted && !stream!.isProven:
                return attemptFailed(.closedEarly, "[DONE] before any content")
            case .done where machine.isContentCommitted && !stream!.isProven && !stream!.sawErrorEvent:
                // `[DONE]` without a finish would make a truncation look complete: the truth goes first.
                pass(chunk, passFrom..<range.lowerBound, at: now)
                passFrom = range.lowerBound
                tellTruncation()
            case .content, .finish, .usage, .done, .other, .oversized:
                sawContent = true
                if !machine.isContentCommitted { commitStream(at: now) }
            }
        }
        guard stream != nil else { return }
        let rest = begin..<chunk.readableBytes
        if machine.isContentCommitted {
            // Between frames only the second half of a line end can be left over, and that belongs to what is out already.
            let isInside = !rest.isEmpty && !stream!.cutter.isAtBoundary
            let keepsRest = isInside && stream!.holdsTail && !stream!.passesTail
            pass(chunk, passFrom..<(keepsRest ? rest.lowerBound : chunk.readableBytes), at: now)
            if keepsRest { carry(chunk, rest) } else { stream!.isInsideFrame = isInside }
        } else if !rest.isEmpty {
            carry(chunk, rest)
        }
        if sawContent {
            loop.noteEvent(gapSince: lastEventAt, at: now)
            lastEventAt = now
            machine.workerProgressed(at: now)
            if let placement { loop.shared.board.noteToken(placement.worker.index, at: now) }
        }
    }

    /// The worker computes, though there is nothing to read yet.
    func progressSeen(at now: Instant) {
        machine.workerProgressed(at: now)
        if let placement { loop.shared.board.noteToken(placement.worker.index, at: now) }
    }

    /// This worker it is: our head if it is not out, what was held, and from here on everything.
    private func commitStream(at now: Instant) {
        guard let (head, bytes) = answerHead else { return }
        firstEventAt = now
        if !machine.isHeadCommitted {
            status = head.status
            client?.sendHead(loop.responseHead(for: self, from: head, in: bytes))
        }
        machine.contentCommitted(at: now)
        placement?.paidPrompt(on: loop.shared.board)
        proven()
        for buffer in stream?.held ?? [] { send(buffer) }
        stream?.held = []
        stream?.heldBytes = 0
    }

    private func send(_ bytes: ByteBuffer) {
        answerBytes += bytes.readableBytes
        client?.sendBody(bytes)
    }

    /// Sends a range of the chunk, after what was carried of its first frame.
    private func pass(_ chunk: ByteBuffer, _ range: Range<Int>, at now: Instant) {
        guard !range.isEmpty else { return }
        if stream?.carry.isEmpty == false {
            for buffer in stream!.carry { send(buffer) }
            dropCarry()
        }
        if range.count == chunk.readableBytes {
            send(chunk)
        } else if let slice = chunk.getSlice(at: chunk.readerIndex + range.lowerBound, length: range.count) {
            send(slice)
        }
        machine.wroteToClient(at: now)
    }

    /// An event with the usage alone, by the name that an event has.
    private func passRenamed(_ chunk: ByteBuffer, _ range: Range<Int>, at now: Instant) {
        var frame: [UInt8] = []
        for buffer in stream?.carry ?? [] { frame.append(contentsOf: buffer.readableBytesView) }
        dropCarry()
        frame.append(contentsOf: chunk.readableBytesView.dropFirst(range.lowerBound).prefix(range.count))
        send(ByteBuffer(bytes: AnswerAssembly.asEvent(frame)))
        machine.wroteToClient(at: now)
    }

    private func dropCarry() {
        stream?.carry = []
        stream?.carryBytes = 0
    }

    /// Keeps the unfinished frame, up to a bound; past it the frame travels as it comes.
    private func carry(_ chunk: ByteBuffer, _ range: Range<Int>) {
        guard let slice = chunk.getSlice(at: chunk.readerIndex + range.lowerBound, length: range.count) else { return }
        stream!.carry.append(slice)
        stream!.carryBytes += range.count
        guard stream!.carryBytes > machine.policy.heldBytesMax else { return }
        if !machine.isContentCommitted { commitStream(at: loop.now()) }
        for buffer in stream!.carry { send(buffer) }
        dropCarry()
        stream!.passesTail = true
        stream!.isInsideFrame = true
    }

    /// Keeps a whole frame that is no content yet; too many of them are taken for content.
    private func hold(_ chunk: ByteBuffer, _ range: Range<Int>) {
        stream!.held.append(contentsOf: stream!.carry)
        stream!.heldBytes += stream!.carryBytes + range.count
        dropCarry()
        if let slice = chunk.getSlice(at: chunk.readerIndex + range.lowerBound, length: range.count) {
            stream!.held.append(slice)
        }
        if stream!.heldBytes > machine.policy.heldBytesMax || stream!.held.count > machine.policy.heldEventsMax {
            commitStream(at: loop.now())
        }
    }

    func streamEnded() {
        if answerNames != nil {
            var rest: [UInt8] = []
            answerNames!.finish(into: &rest)
            if !rest.isEmpty { streamBytes(ByteBuffer(bytes: rest)) }
        }
        guard stream != nil else { return }
        if answer == .assembled { return assembledEnded() }
        loop.frames.removeAll(keepingCapacity: true)
        stream!.cutter.finish(into: &loop.frames)
        if !loop.frames.isEmpty || stream!.carryBytes > 0 { lastFrame(loop.frames) }
        guard let current = stream, machine.phase != .settled, machine.phase == .answering else { return }
        usage = current.cutter.facts.usage
        guard machine.isContentCommitted else {
            return attemptFailed(.closedEarly, "the stream ended before any content")
        }
        if current.sawErrorEvent {
            finishAttempt(.errorEvent)
            return finishAnswer(.truncated)
        }
        guard current.isProven || !current.provesEnd else {
            if current.hasToldTruncation {
                finishAttempt(.truncated)
                return finishAnswer(.truncated)
            }
            return attemptFailed(.truncated, "the stream ended without a finish")
        }
        if current.isInsideFrame { send(ByteBuffer(string: "\n\n")) }
        if current.saysDone, !current.cutter.facts.doneSeen { send(ByteBuffer(string: "data: [DONE]\n\n")) }
        finishAttempt(.answered)
        finishAnswer(.answered)
    }

    /// The bytes ended inside a frame: it is judged as if its blank line had come, and sent on as it is.
    private func lastFrame(_ frames: [EventStreamCutter.Frame]) {
        guard let kind = frames.last?.kind else { return }
        switch kind {
        case .usage where stream!.hidesUsage: dropCarry()
        case .error where !machine.isContentCommitted:
            stream!.sawErrorEvent = true
            errorEventCame()
        case .progress where stream!.hidesProgress: dropCarry()
        case .comment, .role, .null, .empty, .progress: if !machine.isContentCommitted { dropCarry() }
        case .done where !stream!.isProven: break
        case .error: stream!.sawErrorEvent = true
        default:
            if !machine.isContentCommitted, stream!.isProven { commitStream(at: loop.now()) }
        }
        guard machine.isContentCommitted, stream?.carry.isEmpty == false else { return }
        for buffer in stream!.carry { send(buffer) }
        dropCarry()
        stream!.isInsideFrame = true
    }

    private func tellTruncation() {
        stream!.hasToldTruncation = true
        let told = AttemptFailure(
            outcome: .truncated, detail: "the stream ended without a finish",
            workerID: placement?.worker.id.rawValue ?? "")
        send(ByteBuffer(bytes: clientError(for: told).event(for: route)))
    }

    // MARK: While the client waits

    func sendKeepalive(at now: Instant) {
        // A plain answer, though a stream was asked for, has no place for a comment.
        guard let client, client.isWritable, answer != .plain else { return }
        if let stream, machine.isContentCommitted {
            guard stream.carry.isEmpty, !stream.isInsideFrame, !stream.passesTail else { return }
        }
        commitHeadEarly(at: now)
        client.sendBody(loop.keepaliveBytes)
        client.sendFlush()
    }

    private func commitHeadEarly(at now: Instant) {
        guard !machine.isHeadCommitted else { return }
        status = 200
        client?.sendHead(loop.earlyStreamHead(for: self))
        machine.headCommitted(at: now)
    }

    /// A client that asked how far its prompt is wants to know it now: it goes out like a keepalive and commits no worker.
    private func tellProgress(_ chunk: ByteBuffer, _ range: Range<Int>, at now: Instant) {
        commitHeadEarly(at: now)
        pass(chunk, range, at: now)
    }
}
