/// Which browser pages may read our answers (`server.cors.allowed_origins`), for routed answers and for the questions
/// browsers ask beforehand. The lane adds the same fields to its own answers.
import HTTPTypes
import Hummingbird

struct CORSPolicy: Sendable {
    static let allowOrigin = HTTPField.Name("access-control-allow-origin")!
    static let allowMethods = HTTPField.Name("access-control-allow-methods")!
    static let allowHeaders = HTTPField.Name("access-control-allow-headers")!
    static let requestMethod = HTTPField.Name("access-control-request-method")!
    static let requestHeaders = HTTPField.Name("access-control-request-headers")!
    static let exposeHeaders = HTTPField.Name("access-control-expose-headers")!
    static let maxAge = HTTPField.Name("access-control-max-age")!

    private let origins: Set<String>
    private let allowsAll: Bool

    init(_ origins: [String]) {
        self.origins = Set(origins)
        allowsAll = origins.contains("*")
    }

    var isOff: Bool { origins.isEmpty }

    /// The fields of an answer to a page of this origin; nil when it may not read it.
    func fields(for origin: String) -> HTTPFields? {
        // Keys travel in Authorization and never in cookies, so `*` needs no credentials mode and gives none.
        if allowsAll { return [Self.allowOrigin: "*"] }
        guard origins.contains(origin) else { return nil }
        return [Self.allowOrigin: origin, .vary: "origin"]
    }
}

/// Puts the fields on every answer, errors included: a page that cannot read an error only sees "failed to fetch".
struct CORSFields: RouterMiddleware {
    typealias Context = EdgeContext

    static let exposed = "x-request-id, retry-after, x-should-retry"

    let policy: CORSPolicy

    @concurrent func handle(
        _ request: Request, context: EdgeContext, next: @concurrent (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        guard let origin = request.headers[.origin], let fields = policy.fields(for: origin) else { return response }
        for field in fields where field.name == .vary || response.headers[field.name] == nil {
            response.headers.append(field)
        }
        response.headers[CORSPolicy.exposeHeaders] = Self.exposed
        return response
    }
}

/// Answers a browser's preflight for any path, the lane's included.
struct Preflight: RouterMiddleware {
    typealias Context = EdgeContext

    /// Browsers cap this themselves, at two hours or less.
    static let maxAgeSeconds = "600"
    static let requestedBytesMax = 2_048

    let policy: CORSPolicy
    let routes: RouteTable

    @concurrent func handle(
        _ request: Request, context: EdgeContext, next: @concurrent (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        guard request.method == .options, !policy.isOff, let origin = request.headers[.origin],
            request.headers[CORSPolicy.requestMethod] != nil
        else { return try await next(request, context) }
        guard policy.fields(for: origin) != nil else {
            throw EdgeError(
                .forbidden, code: "cors_origin_not_allowed",
                "Pages of the origin \(EdgeAnswer.shown(origin)) may not use this server; see server.cors.allowed_origins."
            )
        }
        // A path nobody knows is allowed too: its 404 tells a page's author more than a failed preflight.
        let methods = routes.methods(of: request.uri.path) ?? [.get, .head, .post]
        var headers: HTTPFields = [
            CORSPolicy.allowMethods: (methods + [.options]).map(\.rawValue).joined(separator: ", "),
            CORSPolicy.maxAge: Self.maxAgeSeconds,
        ]
        // SDKs send fields of their own making; which ones does not matter to us, so the browser may send what it asks.
        if let asked = request.headers[CORSPolicy.requestHeaders], asked.utf8.count <= Self.requestedBytesMax {
            headers[CORSPolicy.allowHeaders] = asked
        }
        headers.append(HTTPField(name: .vary, value: "access-control-request-headers"))
        return Response(status: .noContent, headers: headers)
    }
}
