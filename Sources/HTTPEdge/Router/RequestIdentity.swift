/// Gives every routed answer its request id: the client's own if it is short and printable, else one of ours. The same
/// rule holds on the lane.
import HTTPTypes
import Hummingbird
import Logging

struct RequestIdentity: RouterMiddleware {
    typealias Context = EdgeContext

    static let fieldName = HTTPField.Name("x-request-id")!
    static let bytesMax = 128

    @concurrent func handle(
        _ request: Request, context: EdgeContext, next: @concurrent (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = Self.identity(proposed: request.headers[Self.fieldName])
        // The log lines of this request carry the id its client can see.
        context.logger[metadataKey: "request.id"] = .string(context.requestID)
        var response = try await next(request, context)
        response.headers[Self.fieldName] = context.requestID
        return response
    }

    static func identity(proposed: String?) -> String {
        if let proposed, (1...bytesMax).contains(proposed.utf8.count),
            proposed.utf8.allSatisfy({ (33...126).contains($0) })
        {
            return proposed
        }
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return "req_" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
