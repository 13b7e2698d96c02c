/// What the client is told when it gets no answer: mapped once, here, to OpenAI's shape.
import InferenceDialect

struct ClientError {
    var status: Int
    var outcome: ExchangeOutcome
    var message: String
    var type: String
    var param: String?
    var code: String?
    /// Seconds, only when we know something of our own queue.
    var retryAfter: Int?
    /// `x-should-retry`, which the OpenAI SDKs obey above their own rules.
    var shouldRetry: Bool?

    init(
        status: Int, outcome: ExchangeOutcome, message: String, type: String, param: String? = nil, code: String?,
        retryAfter: Int? = nil, shouldRetry: Bool? = nil
    ) {
        self.status = status
        self.outcome = outcome
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.retryAfter = retryAfter
        self.shouldRetry = shouldRetry
    }

    init(_ failure: ScanFailure) {
        self.init(
            status: failure.status, outcome: .invalid, message: failure.message, type: "invalid_request_error",
            param: failure.param, code: failure.code)
    }

    var body: [UInt8] { ErrorBody.json(message: message, type: type, param: param, code: code) }

    /// The same as the last event of a stream.
    func event(for route: InferenceRoute) -> [UInt8] {
        route == .other("messages")
            ? ErrorBody.messagesEvent(message: message, type: type)
            : ErrorBody.event(message: message, type: type, param: param, code: code)
    }
}
