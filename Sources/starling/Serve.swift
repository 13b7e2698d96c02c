import ArgumentParser
import Foundation
import GatewayAssembly
import Settings

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Starts one replica and serves until it is told to stop.",
        discussion: """
            SIGTERM or SIGINT drains: /readyz says 503, running answers may finish within server.drain_seconds; a second \
            signal ends at once. SIGHUP reads the settings again; a bad file keeps the old ones and says so.
            """)
    @OptionGroup var options: ConfigOptions

    @Option(name: .long, help: "Writes {\"port\", \"pid\"} as JSON to this file once the replica listens.")
    var readyFile: String?

    func run() async throws {
        let loaded = try options.load()
        for warning in loaded.warnings { options.complain(["warning: \(warning.line)"]) }
        let path = options.config
        let overrides = options.overrides
        let environment = ProcessInfo.processInfo.environment
        do throws(GatewayFailure) {
            try await Gateway.run(
                loaded, version: StarlingVersion.text, readyFile: readyFile,
                reload: { () throws(SettingsFailure) in
                    try SettingsLoader.load(path: path, environment: environment, overrides: overrides)
                })
        } catch {
            options.complain([error.description])
            throw ExitCode(error.exitCode)
        }
    }
}
