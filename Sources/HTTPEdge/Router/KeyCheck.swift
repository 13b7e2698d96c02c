/// Asks for a key and remembers whose it is. What the caller may do is decided by the context types behind it.
import HTTPTypes
import Hummingbird

struct KeyCheck: RouterMiddleware {
    typealias Context = EdgeContext

    let authenticator: any Authenticating

    @concurrent func handle(
        _ request: Request, context: EdgeContext, next: @concurrent (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        switch authenticator.authenticate(field: request.headers[.authorization]) {
        case .open: context.identity = .open
        case .tenant(let tenant): context.identity = .tenant(tenant)
        case .refused(let message): throw EdgeError.unauthorized(message)
        }
        return try await next(request, context)
    }
}
