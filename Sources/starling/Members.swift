import ArgumentParser
import Foundation
import GatewayAssembly

struct Members: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Who is in the flock, as one replica sees it.",
        discussion: """
            A member is alive, suspect (it did not answer; it may still refute), dead, or left. SETTINGS is the hash of what \
            all replicas must say alike; one that differs from most is marked.
            """)
    @OptionGroup var flock: FlockOptions
    @Flag(name: .long, help: "All that is known of each.")
    var detailed = false
    @Option(name: .long, help: "Only those that are alive, suspect, dead or left.")
    var status: String?
    @Flag(name: .long, help: "Round trips as this replica measures them.")
    var rtt = false
    @Flag(
        name: .long,
        help:
            "Asks every member whom it cannot reach; prints these pairs and who did not answer, and exits with 1 if there are any."
    )
    var reachability = false
    @Option(name: .long, help: "table or json.")
    var format = FlockOptions.Format.table

    func validate() throws {
        if [detailed, rtt, reachability].count(where: { $0 }) > 1 {
            throw ValidationError("--detailed, --rtt and --reachability are three different pages; give one of them.")
        }
        if reachability, status != nil { throw ValidationError("--reachability asks everybody; leave --status out.") }
    }

    func run() async throws {
        if reachability {
            let answer = try await flock.ask(.get, "/v1/cluster/reachability")
            let page = try FlockText.reachability(answer)
            try flock.show(answer, format) { _ in page.text }
            if !page.isWell { throw ExitCode(1) }
            return
        }
        var query: [String] = []
        if let status { query.append("status=\(AdminClient.escaped(status))") }
        if detailed || rtt { query.append("detailed=true") }
        let answer = try await flock.ask(
            .get, "/v1/cluster/members" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
        try flock.show(answer, format) {
            try FlockText.members(
                $0, detailed ? .detailed : rtt ? .rtt : .usual, nowSeconds: Date().timeIntervalSince1970)
        }
    }
}
