/// Answers the connection gives by itself, before or without an exchange.
///
/// All of them end an HTTP/1 connection: after a head we could not trust, the next byte's meaning is a guess.
package enum OwnAnswer: Equatable, Hashable, Sendable, CaseIterable {
    case malformed
    case secondHost
    case missingHost
    case ambiguousLength
    case unknownTransferEncoding
    case misdirected
    case headersTooLarge
    case unknownExpectation
    case bodyTooSlow

    package var status: Int {
        switch self {
        case .malformed, .secondHost, .missingHost, .ambiguousLength, .unknownTransferEncoding: 400
        case .misdirected: 421
        case .headersTooLarge: 431
        case .unknownExpectation: 417
        case .bodyTooSlow: 408
        }
    }

    /// Stable: the same in logs, metrics and bodies.
    package var code: String {
        switch self {
        case .malformed: "request.malformed"
        case .secondHost: "request.second_host"
        case .missingHost: "request.missing_host"
        case .ambiguousLength: "request.ambiguous_length"
        case .unknownTransferEncoding: "request.unknown_transfer_encoding"
        case .misdirected: "request.misdirected"
        case .headersTooLarge: "request.headers_too_large"
        case .unknownExpectation: "request.unknown_expectation"
        case .bodyTooSlow: "request.body_too_slow"
        }
    }

    package var message: String {
        switch self {
        case .malformed: "The bytes received are not a valid HTTP request. Check the client's HTTP library."
        case .secondHost: "The request has more than one Host field. Send exactly one."
        case .missingHost: "The request has no Host field. HTTP/1.1 requires exactly one."
        case .ambiguousLength:
            "The length is stated more than once. Send one Content-Length, or Transfer-Encoding: chunked alone."
        case .unknownTransferEncoding: "Transfer-Encoding must be exactly \"chunked\"."
        case .misdirected: "This host name is not served here. Check the base URL or the list of trusted hosts."
        case .headersTooLarge: "The request's header fields are too large. Send fewer or shorter ones."
        case .unknownExpectation: "Only \"Expect: 100-continue\" is understood."
        case .bodyTooSlow: "The request body stopped arriving. Send it without long pauses."
        }
    }
}
