/// Which replica is asked about the flock, and with which key.
import ArgumentParser
import Foundation
import GatewayAssembly

struct FlockOptions: ParsableArguments {
    @Option(name: .long, help: "The replica that is asked; STARLING_URL if it is set, else http://127.0.0.1:8000.")
    var url: String?
    @Option(name: .long, help: "An admin key; without it STARLING_KEY. `starling keys bootstrap` prints one.")
    var key: String?

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

    func client() throws -> AdminClient {
        let environment = ProcessInfo.processInfo.environment
        guard let key = key ?? environment["STARLING_KEY"], !key.isEmpty else {
            Self.complain(
                "this needs an admin key: give --key, or set STARLING_KEY (starling keys bootstrap prints one)")
            throw ExitCode(78)
        }
        return AdminClient(base: url ?? environment["STARLING_URL"] ?? "http://127.0.0.1:8000", key: key)
    }

    func ask(_ method: AdminClient.Method, _ path: String, _ order: [String: Any]? = nil) async throws -> [UInt8] {
        let client = try client()
        let json = try order.map { Array(try JSONSerialization.data(withJSONObject: $0, options: .sortedKeys)) }
        do throws(AdminClient.Failure) {
            return try await client.ask(method, path, json: json)
        } catch {
            Self.complain(error.description)
            throw ExitCode(69)
        }
    }

    /// As it came, or read by `text`.
    func show(_ answer: [UInt8], _ format: Format, _ text: ([UInt8]) throws -> String) throws {
        switch format {
        case .json: print(String(decoding: answer, as: UTF8.self))
        case .table: print(try text(answer), terminator: "")
        }
    }

    static func complain(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
