/// One question to one worker, with bounds: seconds it may take, bytes it may answer.
import AsyncHTTPClient
import Balancing
import InferenceDialect
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import ReplicaCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What came of a question.
enum ProbeAnswer: Sendable {
    case reply(status: Int, body: [UInt8])
    /// Nobody listens there: the only failure that proves something at once.
    case refused
    /// No answer within the time, a broken connection, a name that is not found.
    case failed(String)
}

struct ProbeClient: Sendable {
    /// A worker with hundreds of models describes them in less.
    static let answerBytesMax = 1 << 20

    let client: HTTPClient
    let logger: Logger

    func get(_ path: String, of worker: Worker, tls: TLSConfiguration?, within seconds: Double) async -> ProbeAnswer {
        await ask(request(path, worker, tls), within: seconds)
    }

    /// A page of somebody who is no worker: it gets no credential, and its answer is short.
    func get(_ url: String, within seconds: Double) async -> ProbeAnswer {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "connection", value: "close")
        request.headers.add(name: "user-agent", value: "starling-probe")
        return await ask(request, within: seconds, bytesMax: MacReading.bytesMax)
    }

    func post(
        _ path: String, json: [UInt8], to worker: Worker, tls: TLSConfiguration?, within seconds: Double
    ) async -> ProbeAnswer {
        var request = request(path, worker, tls)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        request.body = .bytes(json)
        return await ask(request, within: seconds)
    }

    private func request(_ path: String, _ worker: Worker, _ tls: TLSConfiguration?) -> HTTPClientRequest {
        let host = worker.host.contains(":") && !worker.host.hasPrefix("[") ? "[\(worker.host)]" : worker.host
        var request = HTTPClientRequest(url: "\(worker.useTLS ? "https" : "http")://\(host):\(worker.port)\(path)")
        request.tlsConfiguration = tls
        request.headers.add(name: "host", value: worker.hostHeader)
        // A kept connection would hold a place in the short accept queue of small servers.
        request.headers.add(name: "connection", value: "close")
        request.headers.add(name: "user-agent", value: "starling-probe")
        if let key = worker.apiKey { request.headers.add(name: "authorization", value: "Bearer \(key)") }
        return request
    }

    private func ask(
        _ request: HTTPClientRequest, within seconds: Double, bytesMax: Int = answerBytesMax
    ) async -> ProbeAnswer {
        do {
            let response = try await client.execute(
                request, timeout: .nanoseconds(Int64(seconds * 1e9)), logger: logger)
            let body = try await response.body.collect(upTo: bytesMax)
            return .reply(status: Int(response.status.code), body: Array(body.readableBytesView))
        } catch {
            return Self.isRefusal(error) ? .refused : .failed(TLSFailureText.reason("\(error)") ?? "\(error)")
        }
    }

    private static func isRefusal(_ error: any Error) -> Bool {
        switch error {
        case let error as IOError: error.errnoCode == ECONNREFUSED
        case let error as NIOConnectionError:
            !error.connectionErrors.isEmpty && error.connectionErrors.allSatisfy { isRefusal($0.error) }
        default: false
        }
    }
}
