/// How one try on one worker ended: one word that the breaker, the metrics, the log and the failover rule all read.
package enum AttemptOutcome: Hashable, Sendable {
    /// The answer came and proved itself: a finish, a `[DONE]` where that is proof, a whole plain body.
    case answered
    /// The worker said a status that is the client's own fault; it is passed on and blames nobody.
    case rejected
    /// 429, 503 or 507: the worker is full or loading, nothing was computed.
    case capacity
    /// A 5xx that tells nothing certain of the worker's life.
    case ambiguous
    /// A 5xx, a broken hop: the worker failed.
    case fault
    /// The worker said that its generation is dead.
    case dead
    /// Refused, unreachable, name not found: nothing was sent.
    case connectFailed
    /// The dial did not end within its clock.
    case connectTimedOut
    /// Connected and sent, but no head (plain) or no first event (stream) within the clock.
    case firstByteTimedOut
    /// Content came, then none within the clock.
    case stalled
    /// The connection ended before the answer was whole and before content.
    case closedEarly
    /// A *reused* connection that ended before a single byte: most likely the worker's own idle clock.
    case stale
    /// Content came, then the bytes ended without a finish.
    case truncated
    /// An error event inside a 200 stream, before or after content.
    case errorEvent
    /// Bytes that are not HTTP, or framing that leaves doubt.
    case protocolError
    /// The client left, or the gateway ended the exchange.
    case cancelled

    /// Stable code, the same in logs, metrics and error bodies.
    package var code: String {
        switch self {
        case .answered: "answered"
        case .rejected: "rejected"
        case .capacity: "capacity"
        case .ambiguous: "ambiguous"
        case .fault: "fault"
        case .dead: "dead"
        case .connectFailed: "connect_failed"
        case .connectTimedOut: "connect_timeout"
        case .firstByteTimedOut: "first_byte_timeout"
        case .stalled: "stalled"
        case .closedEarly: "closed_early"
        case .stale: "stale"
        case .truncated: "truncated"
        case .errorEvent: "error_event"
        case .protocolError: "protocol_error"
        case .cancelled: "cancelled"
        }
    }

    package static let all: [AttemptOutcome] = [
        .answered, .rejected, .capacity, .ambiguous, .fault, .dead, .connectFailed, .connectTimedOut,
        .firstByteTimedOut, .stalled, .closedEarly, .stale, .truncated, .errorEvent, .protocolError, .cancelled,
    ]

    /// Position in `all`, for arrays of counters.
    package var position: Int {
        switch self {
        case .answered: 0
        case .rejected: 1
        case .capacity: 2
        case .ambiguous: 3
        case .fault: 4
        case .dead: 5
        case .connectFailed: 6
        case .connectTimedOut: 7
        case .firstByteTimedOut: 8
        case .stalled: 9
        case .closedEarly: 10
        case .stale: 11
        case .truncated: 12
        case .errorEvent: 13
        case .protocolError: 14
        case .cancelled: 15
        }
    }

    /// Whether the breaker of worker × model counts it: `nil` for what proves nothing either way.
    package var blamesWorker: Bool? {
        switch self {
        case .answered: false
        case .fault, .dead, .connectFailed, .connectTimedOut, .firstByteTimedOut, .stalled, .closedEarly, .truncated,
            .errorEvent, .protocolError:
            true
        case .rejected, .capacity, .ambiguous, .stale, .cancelled: nil
        }
    }
}
