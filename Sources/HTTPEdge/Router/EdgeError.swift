/// An error as the router's clients see it: OpenAI's shape, a stable code, and nothing of the framework's.
package import HTTPTypes
package import Hummingbird
import InferenceDialect
import NIOCore

package struct EdgeError: HTTPResponseError {
    package let status: HTTPResponse.Status
    let type: String
    let code: String?
    let param: String?
    let message: String
    var headers: HTTPFields

    init(
        _ status: HTTPResponse.Status, type: String = "invalid_request_error", code: String?, param: String? = nil,
        headers: HTTPFields = [:], _ message: String
    ) {
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers
        self.message = message
    }

    package func response(from request: Request, context: some RequestContext) -> Response { response }

    var response: Response {
        EdgeAnswer.json(status, ErrorBody.json(message: message, type: type, param: param, code: code), headers)
    }
}

extension EdgeError {
    static func unauthorized(_ message: String) -> EdgeError {
        EdgeError(.unauthorized, code: "invalid_api_key", headers: [.wwwAuthenticate: "Bearer"], message)
    }

    static func workerNotFound(_ id: String) -> EdgeError {
        EdgeError(
            .notFound, code: "worker_not_found", param: "worker",
            "There is no worker '\(id.prefix(256))'. GET /admin/workers lists those there are.")
    }

    static let adminOnly = EdgeError(
        .forbidden, type: "permission_error", code: "insufficient_role", "This route needs a key with the role admin.")

    static func notFound(_ method: HTTPRequest.Method, _ path: String) -> EdgeError {
        EdgeError(.notFound, code: "unknown_url", "Invalid URL (\(method.rawValue) \(EdgeAnswer.shown(path)))")
    }

    static func wrongMethod(_ method: HTTPRequest.Method, _ path: String, allowed: [HTTPRequest.Method]) -> EdgeError {
        let words = allowed.map(\.rawValue).joined(separator: ", ")
        return EdgeError(
            .methodNotAllowed, code: "method_not_allowed", headers: [.allow: words],
            "\(method.rawValue) is not possible on \(EdgeAnswer.shown(path)); possible: \(words).")
    }

    static func modelNotFound(_ name: String, served: [String]) -> EdgeError {
        // A fleet may have hundreds of names; the first of them show what kind of name is meant.
        let shown = served.prefix(20).joined(separator: ", ")
        let rest = served.count > 20 ? ", and \(served.count - 20) more" : ""
        let told = served.isEmpty ? "no model is served at the moment" : "models served here: \(shown)\(rest)"
        return EdgeError(
            .notFound, code: "model_not_found", param: "model",
            "The model '\(EdgeAnswer.shown(name))' does not exist or you do not have access to it; \(told).")
    }
}

/// Answers made of bytes, with the fields every answer of the router has.
enum EdgeAnswer {
    static func json(_ status: HTTPResponse.Status, _ body: [UInt8], _ more: HTTPFields = [:]) -> Response {
        var headers = more
        headers[.contentType] = "application/json"
        // What we tell changes with every moment; nobody in between should keep it.
        headers[.cacheControl] = "no-store"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }

    static func text(_ status: HTTPResponse.Status, _ body: String, type: String) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: body)))
    }

    /// A client's own words, short enough to be sent back.
    static func shown(_ text: String) -> String {
        text.utf8.count <= 256 ? text : String(decoding: text.utf8.prefix(256), as: UTF8.self) + "…"
    }
}
