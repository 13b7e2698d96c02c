/// What an exchange may ask of its connection. Answers go out from below this handler, so the state handler and the
/// router never see them.
package import Determinism
import ExchangeFlow
package import HTTPTypes
package import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import UpstreamLane

extension LaneHandler: ExchangeClient {
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
            context?.flush()
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

    func writeHead(_ head: HTTPResponse) {
        if let codec {
            codec.write(NIOAny(HTTPServerResponsePart.head(HTTPResponseHead(head))), promise: nil)
        } else {
            context?.write(wrapOutboundOut(.head(head)), promise: nil)
        }
    }

    func writeBody(_ bytes: ByteBuffer) {
        if let codec {
            codec.write(NIOAny(HTTPServerResponsePart.body(.byteBuffer(bytes))), promise: nil)
        } else {
            context?.write(wrapOutboundOut(.body(bytes)), promise: nil)
        }
    }

    func writeEnd(watched: Bool) {
        let promise = watched ? watchedPromise(nil) : nil
        if let codec {
            codec.write(NIOAny(HTTPServerResponsePart.end(nil)), promise: promise)
        } else {
            context?.write(wrapOutboundOut(.end(nil)), promise: promise)
        }
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
