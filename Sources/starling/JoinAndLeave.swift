import ArgumentParser
import GatewayAssembly

struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells a replica where others are, besides its gossip.seeds, until it restarts.")
    @OptionGroup var flock: FlockOptions
    @Argument(help: "10.0.0.5:7946, [fd00::5]:7946 or dns:name:7946; one member of the flock is enough.")
    var addresses: [String]

    func run() async throws {
        _ = try await flock.ask(.post, "/v1/cluster/join", ["addresses": addresses])
        print("knocking at \(addresses.joined(separator: ", ")); starling members shows who opened")
    }
}

struct Leave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A replica says goodbye, ends what runs and stops, as with SIGTERM.")
    @OptionGroup var flock: FlockOptions

    func run() async throws {
        _ = try await flock.ask(.post, "/v1/cluster/leave")
        print("it leaves as soon as what runs there has ended")
    }
}

struct ForceLeave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes a member out that will not come back.",
        discussion: """
            It is the process that is taken out, not the machine: if it lives after all, it hears of it and joins again, and \
            so does the next one that is started there.
            """)
    @OptionGroup var flock: FlockOptions
    @Flag(name: .long, help: "Does not list it any more either.")
    var prune = false
    @Argument(help: "Its id, the id's first digits, or its name.")
    var member: String

    func run() async throws {
        _ = try await flock.ask(.post, "/v1/cluster/force-leave", ["member": member, "prune": prune])
        print("\(member) is out")
    }
}
