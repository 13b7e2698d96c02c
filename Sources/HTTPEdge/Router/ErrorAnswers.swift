/// Turns whatever was thrown into an answer in OpenAI's shape, so that a client's SDK can read every error it gets and
/// no text of the framework's leaks out.
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1

struct ErrorAnswers: RouterMiddleware {
    typealias Context = EdgeContext

    let routes: RouteTable

    @concurrent func handle(
        _ request: Request, context: EdgeContext, next: @concurrent (Request, EdgeContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as EdgeError {
            return error.response
        } catch let error as HTTPParserError {
            // The connection's bytes cannot be understood any more; Hummingbird answers 400 and closes it.
            throw error
        } catch let error as any HTTPResponseError where error.status == .notFound {
            return routes.refusal(of: request.method, request.uri.path).response
        } catch let error as any HTTPResponseError {
            return Self.answer(to: error.status).response
        } catch {
            context.logger.error(
                "a route failed", metadata: ["error": "\(error)", "path": "\(EdgeAnswer.shown(request.uri.path))"])
            return Self.answer(to: .internalServerError).response
        }
    }

    private static func answer(to status: HTTPResponse.Status) -> EdgeError {
        switch status {
        case .contentTooLarge:
            EdgeError(status, code: "request_too_large", "The request's body is too large for this route.")
        case .badRequest: EdgeError(status, code: "bad_request", "The request cannot be understood.")
        case let status where status.code < 500: EdgeError(status, code: "request_refused", "The request was refused.")
        default:
            EdgeError(
                status, type: "server_error", code: "internal_error",
                "The gateway failed to answer; its log tells why under this answer's x-request-id.")
        }
    }
}
