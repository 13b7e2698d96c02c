import NIOCore
import NIOPosix
import SimulatedWorker

/// Several workers in one process, on one loop: many Macs for the price of one thread.
///
/// `{"workers": [{"name": "a", "kind": "mlx_lm", "port": 9001, "count": 20, …}, …]}`; `count` makes so many alike, each with
/// the next seed and, unless the ports are free ones (0), the next port. A `scenario` stands in its worker's entry.
package struct Fleet: Sendable {
    package static let workersMax = 1_024

    package struct Member: Sendable {
        package let name: String
        package let settings: SimulatorSettings
    }

    /// What is wrong with the file, and with which entry.
    package struct Unreadable: Error, Equatable { package let message: String }

    package let members: [Member]

    package init(_ bytes: [UInt8]) throws(Unreadable) {
        let file: JSONValue
        do throws(JSONValue.Unreadable) {
            file = try JSONValue(bytes)
        } catch {
            throw Unreadable(message: "it is no JSON: \(error.message) at byte \(error.offset)")
        }
        guard let entries = file["workers"]?.items, !entries.isEmpty, file.members?.count == 1 else {
            throw Unreadable(message: "it must be {\"workers\": [...]} with at least one worker, and nothing else")
        }
        var members: [Member] = []
        for (number, entry) in entries.enumerated() {
            do throws(WorkerOptions.Mistake) {
                try Self.add(entry, to: &members)
            } catch {
                throw Unreadable(message: "worker \(number + 1): \(error.option): \(error.message)")
            }
        }
        self.members = members
    }

    private static func add(_ entry: JSONValue, to members: inout [Member]) throws(WorkerOptions.Mistake) {
        let count = entry["count"].map { $0.whole ?? 0 } ?? 1
        guard count >= 1, members.count + count <= workersMax else {
            throw .init(option: "count", message: "must be from 1; a fleet has at most \(workersMax) workers")
        }
        let own = (entry.members ?? []).filter { !["count", "scenario"].contains($0.name) }
        var options = try WorkerOptions(.object(own))
        let scenario: [ScenarioStep]
        do throws(ScenarioStep.Unreadable) {
            scenario = try ScenarioStep.steps(entry["scenario"] ?? .array([]))
        } catch {
            throw .init(option: "scenario", message: error.message)
        }
        let name = options.name ?? "\(options.kind)-\(members.count + 1)"
        for number in 0..<count {
            var settings = try options.settings()
            settings.sharesProcess = true
            settings.scenario = scenario
            members.append(Member(name: count == 1 ? name : "\(name)-\(number + 1)", settings: settings))
            options.seed += 1
            if options.port > 0 { options.port += 1 }
            if let control = options.controlPort, control > 0 { options.controlPort = control + 1 }
        }
    }

    /// Starts all of them. If one cannot listen, none stays.
    package func start() async throws(SimulatorServer.CannotListen) -> RunningFleet {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var servers: [SimulatorServer] = []
        do throws(SimulatorServer.CannotListen) {
            for member in members { servers.append(try await SimulatorServer.start(member.settings, on: group)) }
        } catch {
            for server in servers { await server.stop() }
            try? await group.shutdownGracefully()
            throw error
        }
        return RunningFleet(names: members.map(\.name), servers: servers, group: group)
    }
}

package struct RunningFleet: Sendable {
    package let names: [String]
    package let servers: [SimulatorServer]
    private let group: MultiThreadedEventLoopGroup

    init(names: [String], servers: [SimulatorServer], group: MultiThreadedEventLoopGroup) {
        self.names = names
        self.servers = servers
        self.group = group
    }

    package func terminate() { for server in servers { server.terminate() } }

    /// Returns once every worker has ended.
    package func waitUntilStopped() async { for server in servers { await server.waitUntilStopped() } }

    package func stop() async {
        for server in servers { await server.stop() }
        try? await group.shutdownGracefully()
    }
}
