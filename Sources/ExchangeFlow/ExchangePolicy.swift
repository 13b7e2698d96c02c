/// The numbers that steer an exchange: clocks, attempts, bounds. Local to a replica, replaced whole by a reload.

package struct ExchangePolicy: Sendable, Equatable {
    /// Head → each body part of the client's request, then 408.
    package var bodyGap: Duration = .seconds(30)
    /// Ticket → slot, then 503 with `Retry-After`.
    package var queue: Duration = .seconds(30)
    /// While queued, how often a slot is looked for without being woken: a worker that comes back wakes nobody.
    package var queueLook: Duration = .milliseconds(250)
    /// Dial → connected, TLS included. Two seconds survive one lost SYN, which is sent again after one.
    package var connect: Duration = .seconds(2)
    /// Request written → first content event of a stream.
    package var firstByteStream: Duration = .seconds(600)
    /// Request written → head of a plain answer, which comes when generation is over.
    package var firstBytePlain: Duration = .seconds(600)
    /// Worker event → next worker event, at the most: a worker that is silent for less is asked whether it lives.
    package var stall: Duration = .seconds(300)
    /// Head → end.
    package var total: Duration = .seconds(3_600)
    /// Client not writable → writable again.
    package var writeStall: Duration = .seconds(60)
    /// Silence after which a waiting stream gets its 200 and a comment. Until then a failure is an HTTP error.
    package var keepaliveAfter: Duration = .milliseconds(2_500)
    package var keepaliveInterval: Duration = .seconds(10)

    package var attemptsMax = 3
    /// Retries per hundred recent exchanges.
    package var retryBudgetPercent = 20.0
    /// Whether a prompt of `longPromptTokens` or more may be prefilled a second time after a timeout.
    package var retriesLongPrompts = false
    package var longPromptTokens = 4_000
    /// Seconds of computing a prompt anew that a timeout may cost another worker.
    package var repeatedPrefillSecondsMax = 5.0

    /// Bytes of one request body.
    package var requestBodyBytesMax = 32 << 20
    /// Bytes of all request bodies that one event loop keeps at a time.
    package var bodyBudgetBytes = 256 << 20
    /// Bytes of a worker's answer that are held back before content (role-only events) or to classify an error.
    package var heldBytesMax = 64 << 10
    package var heldEventsMax = 16

    package init() {}
}
