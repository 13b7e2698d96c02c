/// The options that every command with settings takes, and the way their failures are told.
import ArgumentParser
import Foundation
import Settings

struct ConfigOptions: ParsableArguments {
    @Option(name: .long, help: "The settings file.")
    var config = "config/gateway.yaml"

    @Option(name: .customLong("set"), help: "Overrides one setting: --set server.port=8001. May be repeated.")
    var overrides: [String] = []

    /// Loads the settings, or prints every fault and exits with 78 (EX_CONFIG of sysexits.h).
    func load() throws -> LoadedSettings {
        do throws(SettingsFailure) {
            return try SettingsLoader.load(
                path: config, environment: ProcessInfo.processInfo.environment, overrides: overrides)
        } catch {
            complain(error.lines)
            throw ExitCode(78)
        }
    }

    func complain(_ lines: [String]) {
        for line in lines { FileHandle.standardError.write(Data((line + "\n").utf8)) }
    }
}
