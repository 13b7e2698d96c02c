/// Asks a replica's admin routes, for the command line: one question, one answer or a stream of events, no state.
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

package struct AdminClient: Sendable {
    static let answerBytesMax = 16 << 20
    static let refusalBytesMax = 2_048
    static let seconds: Int64 = 10

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
        /// The replica was reached and said no; asking again would not help.
        package let isRefusal: Bool
    }

    package enum Method: String, Sendable { case get = "GET", post = "POST", delete = "DELETE" }

    private let base: String
    private let key: String

    /// `base`: as `http://127.0.0.1:8000`.
    package init(base: String, key: String) {
        self.base = base.hasSuffix("/") ? String(base.dropLast()) : base
        self.key = key
    }

    /// The body of a 2xx answer. Throws what the replica said otherwise, or why it could not be asked.
    package func ask(_ method: Method, _ path: String, json: [UInt8]? = nil) async throws(Failure) -> [UInt8] {
        let status: Int
        let body: [UInt8]
        do {
            var request = request(method, path)
            if let json {
                request.headers.add(name: "content-type", value: "application/json")
                request.body = .bytes(ByteBuffer(bytes: json))
            }
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(Self.seconds))
            status = Int(response.status.code)
            body = Array(try await response.body.collect(upTo: Self.answerBytesMax).readableBytesView)
        } catch {
            throw unreachable(error)
        }
        guard (200..<300).contains(status) else { throw refused(path, status, body) }
        return body
    }

    /// Hands on the data of each server-sent event, until the replica ends the stream.
    package func watch(_ path: String, _ each: ([UInt8]) -> Void) async throws(Failure) {
        let status: Int
        var body: [UInt8] = []
        do {
            let response = try await HTTPClient.shared.execute(request(.get, path), deadline: .distantFuture)
            status = Int(response.status.code)
            var lines = EventLines()
            for try await buffer in response.body {
                if status == 200 {
                    lines.read(buffer.readableBytesView, each)
                } else if body.count < Self.refusalBytesMax {
                    body += buffer.readableBytesView.prefix(Self.refusalBytesMax)
                }
            }
        } catch {
            throw unreachable(error)
        }
        guard status == 200 else { throw refused(path, status, body) }
    }

    private func request(_ method: Method, _ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: base + path)
        request.method = .RAW(value: method.rawValue)
        request.headers.add(name: "authorization", value: "Bearer \(key)")
        return request
    }

    private struct Refusal: Decodable {
        struct Told: Decodable {
            let message: String
            let code: String?
        }
        let error: Told

        /// Its own sentence, which says what to do, and the code, which a script can test.
        var words: String { error.code.map { "\(error.message) (\($0))" } ?? error.message }
    }

    private func unreachable(_ error: any Error) -> Failure {
        Failure(description: "\(base) cannot be asked: \(error); is a replica running there? (--url)", isRefusal: false)
    }

    private func refused(_ path: String, _ status: Int, _ body: [UInt8]) -> Failure {
        let told = try? JSONDecoder().decode(Refusal.self, from: Data(body))
        let words = told?.words ?? String(decoding: body.prefix(Self.refusalBytesMax), as: UTF8.self)
        return Failure(
            description: "\(base)\(path) answered \(status): \(words)", isRefusal: (400..<500).contains(status))
    }

    /// One part of a path, with every byte that has a meaning in one written as its number.
    package static func escaped(_ part: String) -> String {
        var text = ""
        for byte in part.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }
}

/// The `data:` lines of a stream of events that are a line each, whatever pieces they come in.
struct EventLines {
    static let lineBytesMax = 65_536
    private var line: [UInt8] = []
    private var isTooLong = false

    mutating func read(_ bytes: some Sequence<UInt8>, _ each: ([UInt8]) -> Void) {
        for byte in bytes {
            guard byte == UInt8(ascii: "\n") else {
                if line.count < Self.lineBytesMax { line.append(byte) } else { isTooLong = true }
                continue
            }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if !isTooLong, line.starts(with: "data:".utf8) {
                each(Array(line.dropFirst(5).drop { $0 == UInt8(ascii: " ") }))
            }
            line.removeAll(keepingCapacity: true)
            isTooLong = false
        }
    }
}
