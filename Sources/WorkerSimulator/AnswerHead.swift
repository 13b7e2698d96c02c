import SimulatedWorker

/// Heads of answers, byte for byte in the manner of each server.
enum AnswerHead {
    enum Framing {
        case length(Int)
        /// Chunks, or the connection's end where the server knows no chunks.
        case open
    }

    static func bytes(
        _ flavor: Flavor, status: Int, type: String, framing: Framing, keepAlive: Bool, isMessages: Bool = false
    ) -> [UInt8] {
        var lines: [String]
        switch flavor {
        case .mlxLM:
            lines = [
                "HTTP/1.0 \(status) \(reason(status))", "Server: BaseHTTP/0.6 Python/3.12", "Content-type: \(type)",
            ]
            if type == eventStream { lines.append("Cache-Control: no-cache") }
            lines += ["Origin", "Methods", "Headers"].map { "Access-Control-Allow-\($0): *" }
            // Only a plain answer that went well tells its length.
            if case .length(let length) = framing, status == 200 { lines.append("Content-Length: \(length)") }
        case .llamaCpp:
            lines = ["HTTP/1.1 \(status) \(reason(status))", "Server: llama.cpp", "Access-Control-Allow-Origin: "]
            if type == eventStream { lines.append("X-Accel-Buffering: no") }
            lines.append("Content-Type: \(type == eventStream ? type : type + "; charset=utf-8")")
            lines.append(field(framing))
            lines.append(keepAlive ? "Keep-Alive: timeout=5, max=100" : "Connection: close")
        case .vllmMLX, .oMLX:
            lines = ["HTTP/1.1 \(status) \(reason(status))", "server: uvicorn", "content-type: \(charset(type))"]
            lines.append(field(framing).lowercased())
            if isMessages, type == eventStream { lines.append("cache-control: no-cache") }
            if !keepAlive {
                lines.append("connection: close")
            } else if isMessages {
                lines.append("connection: keep-alive")
            }
        case .exo:
            lines = ["HTTP/1.1 \(status) \(reason(status))", "content-type: \(charset(type))"]
            if type == eventStream { lines += ["cache-control: no-cache", "x-accel-buffering: no"] }
            lines += [field(framing).lowercased(), "server: hypercorn-h11"]
            if !keepAlive { lines.append("connection: close") }
        case .ollama:
            lines = ["HTTP/1.1 \(status) \(reason(status))", "Content-Type: \(type)", field(framing)]
            if !keepAlive { lines.append("Connection: close") }
        case .lmStudio:
            lines = ["HTTP/1.1 \(status) \(reason(status))", "X-Powered-By: Express"]
            lines.append("Content-Type: \(type == eventStream ? type : type + "; charset=utf-8")")
            if type == eventStream { lines.append("Cache-Control: no-cache") }
            lines += ["Connection: \(keepAlive ? "keep-alive" : "close")", field(framing)]
        case .openAI:
            lines = ["HTTP/1.1 \(status) \(reason(status))", "content-type: \(type)", field(framing).lowercased()]
            if type == eventStream { lines.append("cache-control: no-cache") }
            if !keepAlive { lines.append("connection: close") }
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    static let eventStream = "text/event-stream"

    /// Starlette names the character set of texts only.
    private static func charset(_ type: String) -> String { type == eventStream ? type + "; charset=utf-8" : type }

    private static func field(_ framing: Framing) -> String {
        switch framing {
        case .length(let length): "Content-Length: \(length)"
        case .open: "Transfer-Encoding: chunked"
        }
    }

    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 204: "No Content"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 411: "Length Required"
        case 413: "Payload Too Large"
        case 422: "Unprocessable Entity"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 507: "Insufficient Storage"
        default: "Status"
        }
    }
}
