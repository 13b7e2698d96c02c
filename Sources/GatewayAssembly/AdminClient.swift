/// Asks a replica's admin routes, for the command line: one question, one answer, no state.
import AsyncHTTPClient
import NIOCore
import NIOHTTP1

package struct AdminClient: Sendable {
    static let answerBytesMax = 16 << 20
    static let seconds: Int64 = 10

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
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
    package func ask(_ method: Method, _ path: String) async throws(Failure) -> [UInt8] {
        let status: Int
        let body: [UInt8]
        do {
            var request = HTTPClientRequest(url: base + path)
            request.method = .RAW(value: method.rawValue)
            request.headers.add(name: "authorization", value: "Bearer \(key)")
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(Self.seconds))
            status = Int(response.status.code)
            body = Array(try await response.body.collect(upTo: Self.answerBytesMax).readableBytesView)
        } catch {
            throw Failure(description: "\(base) cannot be asked: \(error); is a replica running there? (--url)")
        }
        guard (200..<300).contains(status) else {
            throw Failure(
                description: "\(base)\(path) answered \(status): \(String(decoding: body.prefix(2_048), as: UTF8.self))"
            )
        }
        return body
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
