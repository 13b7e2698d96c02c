import ArgumentParser
import Settings

struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks and shows settings without starting anything.", subcommands: [Check.self, Show.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads the settings as `serve` would. Exit code 78 with a line per fault, 0 when it would start.")
        @OptionGroup var options: ConfigOptions

        func run() async throws { print(try options.load().renderCheck(), terminator: "") }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints every effective value and where it came from. Secrets stay hidden.")
        @OptionGroup var options: ConfigOptions

        func run() async throws { print(try options.load().renderShow(), terminator: "") }
    }
}
