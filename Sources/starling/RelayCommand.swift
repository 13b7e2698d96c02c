import ArgumentParser
import ChaosRig
import Foundation

struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract:
            "A faulty network between replicas on one machine: loss, delay, cuts, told over a control connection.",
        discussion: """
            Each replica gets a front, which it advertises (gossip.advertise) and which others have among their seeds; its \
            own gossip.bind stands behind. Orders are lines of JSON on 127.0.0.1, for example:

              {"link": ["r1", "r2"], "udp": {"loss": 0.2, "delay_ms": 5}, "tcp": "blackhole"}
              {"link": ["r1", "*"], "both": true, "udp": "block", "tcp": "blackhole"}
              {"heal": true}
              {"stats": true}
              {"record": true}
              {"replay": true, "speed": 10}
              {"replica": "r1", "bind": "127.0.0.11:7946"}

            udp: pass, block, or loss, duplicate, reorder, corrupt (0 to 1), delay_ms, jitter_ms, rate (bytes a second), block, \
            burst {begins, ends, loss}. tcp: pass, refuse, blackhole, or delay_ms, rate, reset_after, half_close_after (bytes). \
            What an order names of a link is replaced whole. Diallers whose address is no replica's are called "other".
            """)

    @Option(
        name: .long, help: "NAME=FRONT or NAME=FRONT,BIND, like r1=127.0.0.1:0,127.0.0.11:7946. Once for each replica.")
    var replica: [String]
    @Option(name: .long, help: "Of the draws on all links.")
    var seed: UInt64 = 1
    @Option(name: .long, help: "Of the control connection; 0 lets the system choose.")
    var controlPort: Int = 0
    @Option(name: .long, help: "Writes {\"control_port\", \"fronts\", \"pid\"} as JSON to this file once it listens.")
    var readyFile: String?

    func validate() throws { _ = try options() }

    private func options() throws(ValidationError) -> RelayOptions {
        var fronts: [RelayOptions.Front] = []
        for text in replica {
            let parts = text.split(separator: "=", maxSplits: 1)
            let ends = parts.count == 2 ? parts[1].split(separator: ",", omittingEmptySubsequences: false) : []
            let endpoints = ends.compactMap { RelayOptions.Endpoint(String($0)) }
            guard (1...2).contains(ends.count), endpoints.count == ends.count else {
                throw ValidationError(
                    "--replica \(text): write NAME=FRONT or NAME=FRONT,BIND with an address and a port each")
            }
            fronts.append(
                .init(name: String(parts[0]), front: endpoints[0], bind: endpoints.count == 2 ? endpoints[1] : nil))
        }
        var options = RelayOptions(fronts: fronts, seed: seed)
        options.controlPort = controlPort
        return options
    }

    func run() async throws {
        let options = try options()
        let relay: Relay
        do throws(RelayFailure) {
            relay = try await Relay.start(options)
        } catch {
            FlockOptions.complain(error.description)
            throw ExitCode(71)
        }
        for front in relay.fronts { FlockOptions.complain("\(front.name) is reached at \(front.address)") }
        FlockOptions.complain("orders on 127.0.0.1:\(relay.controlPort), seed \(seed)")
        if let readyFile {
            let facts: [String: Any] = [
                "control_port": relay.controlPort, "pid": Int(getpid()),
                "fronts": Dictionary(uniqueKeysWithValues: relay.fronts.map { ($0.name, $0.address) }),
            ]
            let data = try JSONSerialization.data(
                withJSONObject: facts, options: [.sortedKeys, .withoutEscapingSlashes])
            try data.write(to: URL(fileURLWithPath: readyFile), options: .atomic)
        }
        // It has nothing to finish: SIGTERM and SIGINT end it where it stands.
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }
}
