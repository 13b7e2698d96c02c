import ArgumentParser
import GatewayAssembly

struct Keyring: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The keys that replicas seal their packets with.",
        discussion: """
            To rotate: install, wait until list shows that all members hold the new key (it is then used by itself, or with \
            use), and the old one retires. After a leak: remove --now; members that are away then have to join again.
            """,
        subcommands: [List.self, Install.self, Use.self, Remove.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Each key, its state, and how many members hold it; exits with 1 if a member did not answer.")
        @OptionGroup var flock: FlockOptions
        @Option(name: .long, help: "table or json.")
        var format = FlockOptions.Format.table

        func run() async throws {
            let answer = try await flock.ask(.get, "/v1/cluster/keyring")
            let page = try FlockText.keyring(answer)
            try flock.show(answer, format) { _ in page.text }
            if !page.isWell { throw ExitCode(1) }
        }
    }

    struct Install: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes a key and hands it to all members.")
        @OptionGroup var flock: FlockOptions

        func run() async throws { try await Keyring.tell(flock, "install", nil) }
    }

    struct Use: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Everybody seals with this key from now on.")
        @OptionGroup var flock: FlockOptions
        @Argument(help: "Its number, from list.") var key: UInt16

        func run() async throws { try await Keyring.tell(flock, "use", ["key": Int(key)]) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Nobody opens packets of this key any more.")
        @OptionGroup var flock: FlockOptions
        @Flag(name: .long, help: "At once, though members that are away have to join again: after a leak.")
        var now = false
        @Argument(help: "Its number, from list.") var key: UInt16

        func run() async throws { try await Keyring.tell(flock, "remove", ["key": Int(key), "now": now]) }
    }

    private static func tell(_ flock: FlockOptions, _ word: String, _ order: [String: Any]?) async throws {
        let answer = try await flock.ask(.post, "/v1/cluster/keyring/\(word)", order)
        print(try FlockText.keyring(answer).text, terminator: "")
    }
}
