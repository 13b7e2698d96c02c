/// What can arrive on a client connection, and what can be done about it: the vocabulary of `ConnectionMachine`.
///
/// No case carries bytes. The driver holds what arrived ("the part, event or close at hand") and the machine only
/// says where it goes, so both stay small and the machine can be enumerated.
package enum ConnectionInput: Equatable, Sendable {
    case part(RequestPart, from: PartOrigin)
    /// `read()` came from behind; the machine passes it or remembers it.
    case readWanted
    /// One burst of reading is over: until the next `read()` nothing can arrive, and the client is not to blame.
    case readCompleted
    /// The exchange has no room for the body, or has room again.
    case readsHeld(Bool)
    case routedPart(ResponsePart)
    /// Somebody flushed; what waited for the end of an answer goes on after it.
    case flushed
    case quiesce
    case inputClosed
    case parserError
    case otherError
    case inactive
    case closeWanted(CloseSide)
    case writability(Bool)
    case exchangeOpened
    case exchangeEnded
    case exchangeCut
    /// The closing `.end` has left the process (or failed to, which ends the connection just as well).
    case endWritten
    case tick
}

package enum RequestPart: Equatable, Sendable {
    case head(RequestFacts)
    case body(bytes: Int)
    case end
}

package enum PartOrigin: Equatable, Sendable { case wire, held }

package enum ResponsePart: Equatable, Sendable { case informationalHead, head, body, end }

/// `input` is what Hummingbird's cancelled task asks for first; the lane reads it as "stop now".
package enum CloseSide: Equatable, Sendable { case input, output, all }

/// What one request head says about the order of things on its connection.
package struct RequestFacts: Equatable, Hashable, Sendable {
    package var goesToLane: Bool
    /// The head itself is not acceptable; nobody behind us gets to see it.
    package var refusal: OwnAnswer?
    /// The client said `Connection: close`, or speaks HTTP/1.0.
    package var closesAfter: Bool
    package var expectsContinue: Bool
    package var asksUpgrade: Bool
    /// `Content-Length`, 0 without a body, nil when only its end tells the length.
    package var declaredBytes: Int?
    /// Names and values together: what the head weighs while it is held.
    package var headBytes: Int

    package init(
        goesToLane: Bool, refusal: OwnAnswer? = nil, closesAfter: Bool = false, expectsContinue: Bool = false,
        asksUpgrade: Bool = false, declaredBytes: Int? = 0, headBytes: Int = 0
    ) {
        self.goesToLane = goesToLane
        self.refusal = refusal
        self.closesAfter = closesAfter
        self.expectsContinue = expectsContinue
        self.asksUpgrade = asksUpgrade
        self.declaredBytes = declaredBytes
        self.headBytes = headBytes
    }
}

/// Performed in order, after the machine has finished changing.
package enum ConnectionEffect: Equatable, Sendable {
    // The part at hand.
    case openExchange
    case toExchange
    case toRouter
    case keep
    case discard
    // What was kept.
    case release
    case dropHeld
    // Answers of our own.
    case answer(OwnAnswer, saysClose: Bool)
    case sayContinue
    case writeEnd(watched: Bool)
    case flush
    // The router's part at hand.
    case passRouted(saysClose: Bool, watched: Bool)
    case refuseRouted
    // The event or error at hand.
    case forward
    // The exchange.
    case cancelExchange
    case endExchange
    case exchangeWritable(Bool)
    // The channel.
    case read
    case close(CloseSide)
    case passClose
    case keepClose
    case resetStream(StreamReset)
}

package enum StreamReset: Equatable, Sendable { case noError, internalError }

/// What a connection may cost: each has a test at the bound and one past it (L8).
package struct ConnectionLimits: Equatable, Hashable, Sendable {
    package enum HalfClose: String, Equatable, Hashable, Sendable, CaseIterable { case abort, finish }

    /// Parts decoded ahead of their turn: 256 small requests pipelined, far beyond what clients do.
    package static let heldPartsMax = 512
    /// Bytes decoded ahead of their turn, and bytes thrown away while lingering: 1 MiB, a few round trips' worth.
    package static let heldBytesMax = 1 << 20
    package static let lingerBytesMax = 1 << 20
    /// A refused body this small is read and thrown away, which is cheaper than a new connection.
    package static let discardBytesMax = 64 << 10
    /// The exchange runs the same clocks and ends with better words; ours ring a second later in case it lost one.
    package static let backstop = Duration.seconds(1)

    package var idle: Duration
    package var bodyGap: Duration
    package var linger: Duration
    package var writeStall: Duration
    package var halfClose: HalfClose

    package init(
        idle: Duration = .seconds(75), bodyGap: Duration = .seconds(30), linger: Duration = .seconds(2),
        writeStall: Duration = .seconds(60), halfClose: HalfClose = .abort
    ) {
        self.idle = idle
        self.bodyGap = bodyGap
        self.linger = linger
        self.writeStall = writeStall
        self.halfClose = halfClose
    }
}
