/// Heads in both directions: the bytes a worker gets, the fields a client gets.
import Balancing
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import NIOCore
import ReplicaCore

extension LoopContext {
    /// The request head for a worker, written as the bytes they are: one buffer, no field objects.
    func requestHead(
        for exchange: ExchangeDriver, worker: Worker, dialect: WorkerDialect, contentLength: Int
    ) -> ByteBuffer {
        var bytes = ByteBufferAllocator().buffer(capacity: 512)
        bytes.writeStaticString("POST ")
        // Bare paths: some small servers answer 404 to a query.
        bytes.writeString(exchange.route.path)
        bytes.writeStaticString(" HTTP/1.1\r\nhost: ")
        bytes.writeString(worker.hostHeader)
        bytes.writeStaticString("\r\ncontent-length: ")
        bytes.writeString(String(contentLength))
        bytes.writeStaticString("\r\nx-request-id: ")
        bytes.writeString(exchange.requestID)
        bytes.writeStaticString("\r\n")
        if let key = worker.apiKey {
            bytes.writeStaticString("authorization: Bearer ")
            bytes.writeString(key)
            bytes.writeStaticString("\r\n")
        }
        if !dialect.traits.poolsConnections { bytes.writeStaticString("connection: close\r\n") }
        let fields = exchange.head.headerFields
        let connection = exchange.fields.connection
        var hasType = false
        for field in fields {
            let name = field.name.canonicalName
            guard HeaderRules.passesToWorker(name, connection: connection) else { continue }
            if name == "content-type" { hasType = true }
            append(name, field.value, to: &bytes)
        }
        if !hasType { bytes.writeStaticString("content-type: application/json\r\n") }
        if let parent = exchange.fields.traceparent { append("traceparent", parent, to: &bytes) }
        let chain = exchange.clientAddress.forwardedFor
        if !chain.isEmpty { append("x-forwarded-for", chain, to: &bytes) }
        bytes.writeString(exchange.facts.isTLS ? "x-forwarded-proto: https\r\n\r\n" : "x-forwarded-proto: http\r\n\r\n")
        return bytes
    }

    private func append(_ name: String, _ value: String, to bytes: inout ByteBuffer) {
        bytes.writeString(name)
        bytes.writeStaticString(": ")
        bytes.writeString(value)
        bytes.writeStaticString("\r\n")
    }

    /// W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`; anything else is not passed on.
    static func isTraceParent(_ text: String) -> Bool {
        let bytes = text.utf8
        guard bytes.count == 55 else { return false }
        for (place, byte) in bytes.enumerated() {
            switch place {
            case 2, 35, 52: if byte != UInt8(ascii: "-") { return false }
            default:
                guard (48...57).contains(byte) || (97...102).contains(byte) else { return false }
            }
        }
        return true
    }

    /// The head of a worker's answer, for the client. `assembledBytes`: the length of a plain answer made of a stream;
    /// `renamedBytes`: of one in which a name was written over another.
    func responseHead(
        for exchange: ExchangeDriver, from head: ResponseHead, in bytes: ByteBuffer, assembledBytes: Int? = nil,
        renamedBytes: Int? = nil
    ) -> HTTPResponse {
        var response = HTTPResponse(status: .init(code: head.status))
        let isStream = exchange.answer == .stream
        let wasStream = isStream || assembledBytes != nil
        bytes.withUnsafeReadableBytes { raw in
            for field in head.fields {
                if ResponseHead.equals(raw, field.name, "content-type") {
                    let value =
                        switch head.contentType {
                        case .eventStream where assembledBytes != nil: "application/json"
                        case .json where field.value.count == 16: "application/json"
                        case .eventStream where field.value.count == 17: "text/event-stream"
                        default: String(decoding: raw[field.value], as: UTF8.self)
                        }
                    add(.contentType, value, to: &response)
                    continue
                }
                let name = String(decoding: raw[field.name], as: UTF8.self).lowercased()
                guard HeaderRules.passesToClient(name, connection: head.connectionOptions),
                    let fieldName = HTTPField.Name(name)
                else { continue }
                if wasStream, fieldName == .cacheControl || fieldName == .xAccelBuffering { continue }
                add(fieldName, String(decoding: raw[field.value], as: UTF8.self), to: &response)
            }
        }
        if !isStream, let length = assembledBytes ?? renamedBytes ?? head.contentLength {
            add(.contentLength, String(length), to: &response)
        }
        if isStream { addStreamFields(to: &response) }
        addCommonFields(of: exchange, to: &response)
        return response
    }

    /// Our own 200, before any worker's, so that the client's patience does not end.
    func earlyStreamHead(for exchange: ExchangeDriver) -> HTTPResponse {
        var response = HTTPResponse(status: .ok)
        add(.contentType, "text/event-stream; charset=utf-8", to: &response)
        addStreamFields(to: &response)
        addCommonFields(of: exchange, to: &response)
        return response
    }

    func errorHead(
        for exchange: ExchangeDriver, status: Int, bodyBytes: Int, retryAfter: Int?, shouldRetry: Bool?
    ) -> HTTPResponse {
        var response = HTTPResponse(status: .init(code: status))
        add(.contentType, "application/json", to: &response)
        add(.contentLength, String(bodyBytes), to: &response)
        if status == 401 { add(.wwwAuthenticate, "Bearer", to: &response) }
        if let retryAfter { add(.retryAfter, String(retryAfter), to: &response) }
        if let shouldRetry { add(.xShouldRetry, shouldRetry ? "true" : "false", to: &response) }
        addCommonFields(of: exchange, to: &response)
        return response
    }

    private static let exposedFields =
        "x-request-id, retry-after, x-should-retry, x-starling-replica, x-starling-worker, x-starling-strategy, "
        + "x-starling-attempts, x-starling-queue-ms, x-starling-ignored"

    private func add(_ name: HTTPField.Name, _ value: String, to response: inout HTTPResponse) {
        response.headerFields.append(HTTPField(name: name, value: value))
    }

    /// Nothing between us and the client may keep an event back.
    private func addStreamFields(to response: inout HTTPResponse) {
        add(.cacheControl, "no-cache", to: &response)
        add(.xAccelBuffering, "no", to: &response)
    }

    private func addCommonFields(of exchange: ExchangeDriver, to response: inout HTTPResponse) {
        refreshDate()
        add(.date, dateText, to: &response)
        add(.xRequestID, exchange.requestID, to: &response)
        if configuration.showsAnswerFields {
            add(.xStarlingReplica, exchange.configuration.replicaName, to: &response)
            let worker = exchange.placement?.worker.id.rawValue ?? exchange.lastWorkerID
            if !worker.isEmpty { add(.xStarlingWorker, worker, to: &response) }
            add(.xStarlingStrategy, exchange.view.strategy.rawValue, to: &response)
            add(.xStarlingAttempts, String(exchange.machine.attempts), to: &response)
            add(.xStarlingQueue, String(exchange.queuedNanoseconds / 1_000_000), to: &response)
            if !exchange.ignoredParameters.isEmpty {
                add(.xStarlingIgnored, exchange.ignoredParameters.joined(separator: ", "), to: &response)
            }
        }
        let allowed = exchange.configuration.allowedOrigins
        if !allowed.isEmpty, let origin = exchange.fields.origin {
            if allowed.contains("*") {
                add(.accessControlAllowOrigin, "*", to: &response)
            } else if allowed.contains(origin) {
                add(.accessControlAllowOrigin, origin, to: &response)
                add(.vary, "origin", to: &response)
            } else {
                return
            }
            add(.accessControlExposeHeaders, Self.exposedFields, to: &response)
        }
    }
}
