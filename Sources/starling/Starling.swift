/// The command line: one file a subcommand, parsing only; the work is in the rooms.
import ArgumentParser

@main
struct Starling: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "starling",
        abstract: "A gateway for language models on Apple Silicon workers, with OpenAI's API.",
        version: StarlingVersion.text,
        subcommands: [
            Serve.self, Config.self, Keys.self, Workers.self, Members.self, Status.self, Monitor.self, Join.self,
            Leave.self, ForceLeave.self, Keyring.self, WorkerSim.self, RelayCommand.self,
            Simulate.self,
        ])
}

enum StarlingVersion {
    static let text = "0.1.0"
}
