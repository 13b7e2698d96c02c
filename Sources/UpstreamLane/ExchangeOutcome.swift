/// How an exchange ended for its client: the word of the access log and of `starling_requests_total`.
enum ExchangeOutcome: Int, CaseIterable {
    case answered
    /// The worker's own refusal, passed on.
    case rejected
    /// 400, 413, 415: the request is at fault.
    case invalid
    case unauthorized
    /// 403: its address is blocked for a while.
    case forbidden
    case modelNotFound
    /// 503: no slot within the queue's clock, or no place in the queue.
    case saturated
    /// No worker could answer.
    case unavailable
    case timedOut
    /// The answer began and could not be ended; the client was told.
    case truncated
    case cancelled
    /// The replica stopped before the answer was whole.
    case drained

    var code: String {
        switch self {
        case .answered: "answered"
        case .rejected: "rejected"
        case .invalid: "invalid"
        case .unauthorized: "unauthorized"
        case .forbidden: "forbidden"
        case .modelNotFound: "model_not_found"
        case .saturated: "saturated"
        case .unavailable: "unavailable"
        case .timedOut: "timed_out"
        case .truncated: "truncated"
        case .cancelled: "cancelled"
        case .drained: "drained"
        }
    }
}
