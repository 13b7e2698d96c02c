import ArgumentParser
import Foundation
import GatewayAssembly
import Settings

struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Workers as a running replica sees them, and an operator's word to them.",
        discussion: """
            Asks one replica, by default the one whose settings lie here, with the bootstrap admin key of its cluster secret. \
            A drain holds for all replicas that gossip with it; what is listed and explained is that replica's own view.
            """,
        subcommands: [List.self, Show.self, Drain.self, Resume.self, Poison.self, Explain.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "One line for each worker.")
        @OptionGroup var replica: ReplicaOptions
        @Flag(name: .long, help: "The replica's own answer, as JSON.")
        var json = false

        func run() async throws {
            let answer = try await replica.ask(.get, "/admin/workers")
            guard !json else { return print(String(decoding: answer, as: UTF8.self)) }
            print(try WorkerTable.text(answer), terminator: "")
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All that is known of one worker, as JSON.")
        @OptionGroup var replica: ReplicaOptions
        @Argument(help: "Its node_id.") var worker: String

        func run() async throws {
            try await replica.show(.get, "/admin/workers/\(AdminClient.escaped(worker))")
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes a worker out: what runs there finishes, nothing new is sent.")
        @OptionGroup var replica: ReplicaOptions
        @Argument(help: "Its node_id.") var worker: String

        func run() async throws {
            try await replica.show(.post, "/admin/workers/\(AdminClient.escaped(worker))/drain")
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Takes a drained worker back.")
        @OptionGroup var replica: ReplicaOptions
        @Argument(help: "Its node_id.") var worker: String

        func run() async throws {
            try await replica.show(.post, "/admin/workers/\(AdminClient.escaped(worker))/resume")
        }
    }

    struct Poison: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the requests that are thought to end workers, or forgets them.")
        @OptionGroup var replica: ReplicaOptions
        @Option(name: .long, help: "Forgets the request of this fingerprint.")
        var clear: String?
        @Flag(name: .long, help: "Forgets all of them.")
        var clearAll = false

        func run() async throws {
            if clearAll {
                try await replica.show(.delete, "/admin/poison")
            } else if let clear {
                try await replica.show(.delete, "/admin/poison/\(AdminClient.escaped(clear))")
            } else {
                try await replica.show(.get, "/admin/poison")
            }
        }
    }

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Why a request went to its worker: candidates, scores, why not the others.")
        @OptionGroup var replica: ReplicaOptions
        @Argument(help: "The request's id, from its answer's x-request-id or the access log.") var request: String

        func run() async throws {
            try await replica.show(.get, "/admin/decisions/\(AdminClient.escaped(request))")
        }
    }
}

/// Which replica is asked, and as whom.
struct ReplicaOptions: ParsableArguments {
    @OptionGroup var settings: ConfigOptions
    @Option(
        name: .long, help: "The replica, as http://10.0.0.1:8000; without it, the one of the settings on this machine.")
    var url: String?
    private static let keyFileBytesMax = 4_096

    @Option(name: .long, help: "A file with an admin key; without it, the bootstrap key of the settings.")
    var keyFile: String?

    func ask(_ method: AdminClient.Method, _ path: String) async throws -> [UInt8] {
        let client = try client()
        do throws(AdminClient.Failure) {
            return try await client.ask(method, path)
        } catch {
            settings.complain([error.description])
            throw ExitCode(69)
        }
    }

    /// Prints the answer, for people and for programs.
    func show(_ method: AdminClient.Method, _ path: String) async throws {
        let answer = try await ask(method, path)
        let object = try JSONSerialization.jsonObject(with: Data(answer))
        let pretty = try JSONSerialization.data(
            withJSONObject: object, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
        print(String(decoding: pretty, as: UTF8.self))
    }

    private func client() throws -> AdminClient {
        if let url, let keyFile { return AdminClient(base: url, key: try key(in: keyFile)) }
        let loaded = try settings.load().settings
        let scheme = loaded.server.tls != nil ? "https" : "http"
        let base = url ?? "\(scheme)://127.0.0.1:\(loaded.server.port)"
        if let keyFile { return AdminClient(base: base, key: try key(in: keyFile)) }
        do throws(ClusterSecret.Failure) {
            if let secret = try ClusterSecret.load(at: loaded.cluster.secretFile) {
                return AdminClient(base: base, key: BootstrapKey(secret).text)
            }
            settings.complain([
                "\(loaded.cluster.secretFile) is not there, so there is no bootstrap key; give --key-file"
            ])
        } catch {
            settings.complain([error.description])
        }
        throw ExitCode(78)
    }

    private func key(in path: String) throws -> String {
        // A pipe, as the shell makes of <(…), is as good as a file.
        guard let file = FileHandle(forReadingAtPath: path),
            let data = try? file.read(upToCount: Self.keyFileBytesMax)
        else {
            settings.complain(["--key-file \(path) cannot be read"])
            throw ExitCode(66)
        }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// The list of workers for a terminal.
enum WorkerTable {
    private struct Page: Decodable {
        let data: [Worker]
    }

    private struct Worker: Decodable {
        let id: String
        let kind: String
        let address: String
        let state: String
        let why: String?
        let running: Int
        let slots: Int
        let models: [String]
    }

    static func text(_ answer: [UInt8]) throws -> String {
        let page = try JSONDecoder().decode(Page.self, from: Data(answer))
        let rows =
            [["WORKER", "KIND", "ADDRESS", "STATE", "RUNNING", "MODELS"]]
            + page.data.map { worker in
                [
                    worker.id, worker.kind, worker.address,
                    worker.why.map { "\(worker.state) (\($0))" } ?? worker.state,
                    "\(worker.running)/\(worker.slots)", worker.models.joined(separator: " "),
                ]
            }
        return TextTable.text(rows)
    }
}
