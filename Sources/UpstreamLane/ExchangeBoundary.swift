package import Determinism
package import ExchangeFlow
/// The two sides of a request on the lane, and what each may ask of the other.
///
/// The connection side (`HTTPEdge/Lane`) keeps order on one client connection; the exchange side (this room) gets one
/// request answered. Both live on the same event loop and call each other directly: no promise, no hop.
package import HTTPTypes
package import InferenceDialect
package import NIOCore

/// What the connection side does for an exchange. All calls on the event loop.
package protocol ExchangeClient: AnyObject {
    /// An informational or the final head.
    func sendHead(_ head: HTTPResponse)
    func sendBody(_ bytes: ByteBuffer)
    /// The answer is whole; the connection may live on. The exchange is over after this call.
    func sendEnd()
    func sendFlush()
    /// The answer cannot be ended truthfully in-band: HTTP/1 closes, HTTP/2 resets the stream. The exchange is over.
    func cutConnection()
    /// Says `Connection: close` if the head is not out yet, and closes after the end.
    func closeAfterAnswer()
    /// Withholds reads from the client, or lets them go on: back-pressure of a body that cannot be kept yet.
    func holdReads(_ hold: Bool)
    var isWritable: Bool { get }
}

/// One request's life, as the connection side sees it.
package protocol LaneExchange: AnyObject {
    /// Looks at the head, once the connection side holds the exchange: it may answer at once.
    func begin()
    func body(_ bytes: ByteBuffer)
    func end()
    /// FIN (under `half_close: abort`), reset, inactive: everything that runs for this client stops at once.
    func clientGone()
    func clientWritable(_ writable: Bool)
    /// Drain deadline, or a close from behind: finish now, with an ending that tells the truth.
    func endTruthfully()
}

/// What the exchange needs to know of the connection it came on.
package struct ConnectionFacts {
    package let peer: SocketAddress?
    package let isTLS: Bool
    package let isHTTP2: Bool
    package let channel: any Channel

    /// The peer as an address; all zeros for what has none (a test's channel, a Unix socket).
    package let peerAddress: IPAddress

    package init(peer: SocketAddress?, isTLS: Bool, isHTTP2: Bool, channel: any Channel) {
        self.peer = peer
        peerAddress = peer?.ipAddress.flatMap { IPAddress($0) } ?? IPAddress(high: 0, low: 0)
        self.isTLS = isTLS
        self.isHTTP2 = isHTTP2
        self.channel = channel
    }
}

/// Makes exchanges; one per event loop.
package protocol LaneExchangeFactory: AnyObject {
    func makeExchange(
        _ head: HTTPRequest, route: InferenceRoute, facts: ConnectionFacts, client: any ExchangeClient
    ) -> any LaneExchange
    /// Flushes at the end of the loop's turn.
    func flushSoon(_ target: any FlushTarget)
    /// The loop's wheel, for the connection's own clocks.
    var wheel: DeadlineWheel { get }
    /// The loop's clock.
    func now() -> Instant
}
