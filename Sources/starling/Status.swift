import ArgumentParser
import Foundation
import GatewayAssembly

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "One replica, its flock and its workers on one screen.")
    @OptionGroup var flock: FlockOptions
    @Option(name: .long, help: "table or json.")
    var format = FlockOptions.Format.table

    func run() async throws {
        try flock.show(try await flock.ask(.get, "/v1/cluster/status"), format, StatusText.text)
    }
}

struct Monitor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What happens in the flock, as it happens; Ctrl-C ends it.",
        discussion: "Asks again when the replica ends the stream, as it does when it restarts.")
    /// Between two attempts to reach the replica.
    private static let patience = Duration.seconds(1)

    @OptionGroup var flock: FlockOptions
    @Option(name: .long, help: "table or json: one event a line.")
    var format = FlockOptions.Format.table
    @Flag(name: .long, help: "Ends with the stream instead of asking again.")
    var once = false

    func run() async throws {
        let client = try flock.client()
        let isJSON = format == .json
        while true {
            do throws(AdminClient.Failure) {
                try await client.watch("/v1/cluster/events") { data in
                    // Unbuffered: whoever reads it through a pipe wants it now.
                    let line = isJSON ? String(decoding: data, as: UTF8.self) : FlockText.event(data)
                    FileHandle.standardOutput.write(Data((line + "\n").utf8))
                }
            } catch {
                FlockOptions.complain(error.description)
                if once || error.isRefusal { throw ExitCode(69) }
            }
            if once { return }
            try await Task.sleep(for: Self.patience)
        }
    }
}
