/// What an exchange may ask of its connection. Answers go out from below this handler, so the state handler and the
/// router never see them.
package import Determinism
import ExchangeFlow
package import HTTPTypes
package import NIOCore
import NIOHTTPTypes
import UpstreamLane

extension LaneHandler: ExchangeClient, FlushTarget {
    package func sendHead(_ head: HTTPResponse) {
        guard mayExchangeSpeak else { return }
        if head.status.code >= 200, machine.finalHeadSent() {
            var closing = head
            closing.headerFields[.connection] = "close"
            writeHead(closing)
        } else {
            writeHead(head)
        }
    }

    package func sendBody(_ bytes: ByteBuffer) {
        guard mayExchangeSpeak else { return }
        writeBody(bytes)
    }

    package func sendEnd() {
        guard mayExchangeSpeak else { return }
        exchangeIsOver()
        isEndTold = true
        tell(.exchangeEnded, .nothing)
    }

    /// After the end this is also where the next request gets its turn.
    package func sendFlush() {
        if isEndTold {
            isEndTold = false
            tell(.flushed, .nothing)
        } else {
            factory.flushSoon(self)
        }
    }

    package func cutConnection() {
        guard mayExchangeSpeak else { return }
        exchangeIsOver()
        tell(.exchangeCut, .nothing)
    }

    package func closeAfterAnswer() {
        if mayExchangeSpeak { machine.closeAfterAnswer() }
    }

    package func holdReads(_ hold: Bool) {
        if mayExchangeSpeak { tell(.readsHeld(hold), .nothing) }
    }

    package var isWritable: Bool { context?.channel.isWritable ?? false }

    /// An exchange that was cancelled, or has ended, has nothing more to say to this connection.
    private var mayExchangeSpeak: Bool { exchange != nil || (isOpening && !hasEndedWhileOpening) }

    private func exchangeIsOver() {
        if isOpening { hasEndedWhileOpening = true }
        exchange = nil
    }

    // MARK: Writing

    /// HTTP/1 answers are bytes of ours, written below the encoder; HTTP/2's are parts for its own codec.
    func writeHead(_ head: HTTPResponse) {
        if encoderPlace != nil {
            encoder.head(head, isOldClient: watch?.answersOldClient ?? false)
        } else {
            context?.write(wrapOutboundOut(.head(head)), promise: nil)
        }
    }

    func writeBody(_ bytes: ByteBuffer) {
        guard let encoderPlace else {
            context?.write(wrapOutboundOut(.body(bytes)), promise: nil)
            return
        }
        guard encoder.body(bytes) else { return }
        writeWaiting()
        encoderPlace.write(NIOAny(bytes), promise: nil)
        encoder.bodyWritten()
    }

    func writeEnd(watched: Bool) {
        let promise = watched ? watchedPromise(nil) : nil
        guard let encoderPlace else {
            context?.write(wrapOutboundOut(.end(nil)), promise: promise)
            return
        }
        encoder.end()
        // Whatever is written next is somebody else's, so nothing of this answer stays behind.
        if let bytes = encoder.take() {
            encoderPlace.write(NIOAny(bytes), promise: promise)
        } else if promise != nil {
            encoderPlace.write(NIOAny(ByteBuffer()), promise: promise)
        }
    }

    package func flushNow() {
        writeWaiting()
        context?.flush()
    }

    private func writeWaiting() {
        if let bytes = encoder.take() { encoderPlace?.write(NIOAny(bytes), promise: nil) }
    }

    /// Tells the machine when the write is done, or can no longer be: then the connection is over anyway.
    func watchedPromise(_ promise: EventLoopPromise<Void>?) -> EventLoopPromise<Void>? {
        guard let promise = promise ?? context?.eventLoop.makePromise(of: Void.self) else { return nil }
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in tell(.endWritten, .nothing) }
        return promise
    }
}

extension LaneHandler: DeadlineTarget {
    package func deadlinePassed(at now: Instant) -> Instant {
        armedFor = .never
        tell(.tick, .nothing)
        return machine.nextDeadline
    }

    /// A deadline that moved later only changes a number; the wheel asks again when it rings.
    func arm() {
        let next = machine.nextDeadline
        guard next < armedFor else { return }
        armedFor = next
        factory.wheel.arm(self, at: next)
    }
}
