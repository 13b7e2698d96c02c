/// The fields of a request head that the lane reads, found in one pass.
///
/// `HTTPFields`' subscript builds an index at its first use, which pays for itself only when it is asked often; a head
/// on the lane is read once.
import ExchangeFlow
import HTTPTypes

struct RequestFields {
    private(set) var authorization: String?
    private(set) var contentLength: String?
    private(set) var contentType: String?
    private(set) var requestID: String?
    private(set) var traceparent: String?
    private(set) var origin: String?
    private(set) var affinity: String?
    private(set) var connection: [String] = []
    private(set) var forwardedFor: [String] = []

    init(_ fields: HTTPFields) {
        for field in fields {
            let name = field.name.canonicalName
            switch name.utf8.count {
            case 6: if name == "origin" { origin = origin ?? field.value }
            case 10: if name == "connection" { connection.append(field.value) }
            case 11: if name == "traceparent", LoopContext.isTraceParent(field.value) { traceparent = field.value }
            case 12:
                if name == "content-type" {
                    contentType = contentType ?? field.value
                } else if name == "x-request-id" {
                    requestID = requestID ?? field.value
                }
            case 13: if name == "authorization" { authorization = authorization ?? field.value }
            case 14: if name == "content-length" { contentLength = contentLength ?? field.value }
            case 15: if name == "x-forwarded-for" { forwardedFor.append(field.value) }
            case 19: if name == "x-starling-affinity" { affinity = field.value }
            default: break
            }
        }
    }
}
