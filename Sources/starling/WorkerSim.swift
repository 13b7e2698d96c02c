import ArgumentParser
import Dispatch
import Foundation
import SimulatedWorker
import WorkerSimulator

struct WorkerSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker-sim",
        abstract: "Pretends to be an Apple Silicon worker: no model, only arithmetic.",
        discussion: """
            The same prompt gets the same text from every simulated worker. «stop:9» in a prompt ends the answer after nine \
            tokens, «think:5» begins it with five tokens of thought, «tool:name» calls a tool. The control port takes \
            GET /_sim/state, GET /_sim/journal?after=N, GET /_sim/telemetry, POST /_sim/faults, /_sim/set, /_sim/advance, \
            /_sim/restart, /_sim/terminate and /_sim/reset. A fleet's file is {"workers": [{"kind": "mlx_lm", "count": 20, \
            "port": 9001}, …]} with the words of these options; a scenario's is [{"at_ms": 5000, "fault": {"kind": "slow"}}, …] \
            with fault, set or restart. Both are JSON. The chips' rates are published figures; --explain lists what is assumed.
            """)

    @Option(name: .long, help: "The address to listen on.")
    var host = "127.0.0.1"
    @Option(name: .long, help: "The worker's port; 0 takes a free one.")
    var port = 0
    @Option(name: .long, help: "The control port; 0 takes a free one. Without it there is none.")
    var controlPort: Int?
    @Option(
        name: .long,
        help: "The server to imitate: openai, mlx_lm, vllm_mlx, llama_cpp, exo, ollama, lm_studio or omlx.")
    var kind = "openai"
    @Option(name: .long, help: "A model: NAME, NAME=14 or NAME=14:4bit (billions of parameters, width). Repeatable.")
    var model: [String] = []
    @Option(name: .long, help: "The chip, as \"M2 Ultra\" or \"M4 Max 32\".")
    var chip = "M2 Ultra"
    @Option(name: .long, help: "Memory of the Mac.")
    var memoryGb = 64.0
    @Option(
        name: .long, help: "When memory does not suffice: refuse, evict, swap or die; without it, as the kind does.")
    var memory: String?
    @Option(name: .long, help: "How many times faster than a real Mac; 0 answers at once.")
    var timeScale = 1.0
    @Option(name: .long, help: "wall, or manual: time then moves only by POST /_sim/advance.")
    var clock = "wall"
    @Option(name: .long, help: "Decides every chance.")
    var seed: UInt64 = 0
    @Option(name: .long, help: "Requests that run at a time; without it, what the kind is known for.")
    var slots: Int?
    @Option(name: .long, help: "The context of every model, in tokens.")
    var contextTokens = 8_192
    @Option(name: .long, help: "A bearer token that requests must carry.")
    var apiKey: String?
    @Option(name: .long, help: "A JSON file of faults, settings and restarts, each at a moment of the worker's time.")
    var scenario: String?
    @Option(name: .long, help: "A JSON file of workers that share this process; the options above are then the file's.")
    var fleet: String?
    @Option(name: .long, help: "Writes {\"port\", \"control_port\", \"pid\"} as JSON to this file once it listens.")
    var readyFile: String?
    @Flag(name: .long, help: "Prints what is assumed of this kind and of every Mac, and ends.")
    var explain = false

    /// Messages name the flag, so that whoever typed it finds it.
    private func settings() throws(ValidationError) -> SimulatorSettings {
        var options = WorkerOptions()
        options.host = host
        options.port = port
        options.controlPort = controlPort
        options.kind = kind
        options.models = model
        options.chip = chip
        options.memoryGigabytes = memoryGb
        options.memory = memory
        options.timeScale = timeScale
        options.clock = clock
        options.seed = seed
        options.slots = slots
        options.contextTokens = contextTokens
        options.apiKey = apiKey
        do throws(WorkerOptions.Mistake) {
            var settings = try options.settings()
            if let scenario { settings.scenario = try steps(scenario) }
            return settings
        } catch {
            throw ValidationError("--\(error.option): \(error.message)")
        }
    }

    private func steps(_ path: String) throws(WorkerOptions.Mistake) -> [ScenarioStep] {
        let bytes = try contents(path, "scenario")
        let list: JSONValue
        do throws(JSONValue.Unreadable) {
            list = try JSONValue(bytes)
        } catch {
            throw .init(option: "scenario", message: "\(path) is no JSON: \(error.message) at byte \(error.offset)")
        }
        do throws(ScenarioStep.Unreadable) {
            return try ScenarioStep.steps(list)
        } catch {
            throw .init(option: "scenario", message: "\(path): \(error.message)")
        }
    }

    private func contents(_ path: String, _ option: String) throws(WorkerOptions.Mistake) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .init(option: option, message: "\(path) cannot be read")
        }
        return Array(data)
    }

    func run() async throws {
        if explain {
            print(Assumptions.text(try settings().flavor))
        } else if let fleet {
            let members = try members(fleet)
            try await listening { () async throws(SimulatorServer.CannotListen) in try await run(members) }
        } else {
            let settings = try settings()
            try await listening { () async throws(SimulatorServer.CannotListen) in try await run(settings) }
        }
    }

    private func members(_ path: String) throws(ValidationError) -> Fleet {
        do throws(WorkerOptions.Mistake) {
            let bytes = try contents(path, "fleet")
            do throws(Fleet.Unreadable) {
                return try Fleet(bytes)
            } catch {
                throw WorkerOptions.Mistake(option: "fleet", message: "\(path): \(error.message)")
            }
        } catch {
            throw ValidationError("--\(error.option): \(error.message)")
        }
    }

    private func listening(_ body: () async throws(SimulatorServer.CannotListen) -> Void) async throws(ExitCode) {
        do throws(SimulatorServer.CannotListen) {
            try await body()
        } catch {
            tell(error.description)
            throw ExitCode(71)
        }
    }

    private func run(_ settings: SimulatorSettings) async throws(SimulatorServer.CannotListen) {
        let server = try await SimulatorServer.start(settings)
        let signal = atTermination { server.terminate() }
        defer { signal.cancel() }
        let control = server.controlPort.map { ", control on port \($0)" } ?? ""
        tell("worker-sim (\(kind), \(chip)) listens on \(host) port \(server.port)\(control)")
        if let readyFile { try ReadyFile.write(server, to: readyFile) }
        await server.waitUntilStopped()
    }

    private func run(_ fleet: Fleet) async throws(SimulatorServer.CannotListen) {
        let running = try await fleet.start()
        let signal = atTermination { running.terminate() }
        defer { signal.cancel() }
        tell("worker-sim: a fleet of \(fleet.members.count) listens")
        if let readyFile { try ReadyFile.write(running, to: readyFile) }
        await running.waitUntilStopped()
    }

    /// SIGTERM is taken as the kind takes it; a second one is the machine's usual death.
    private func atTermination(_ body: @escaping @Sendable () -> Void) -> any DispatchSourceSignal {
        signal(SIGTERM, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
        source.setEventHandler {
            signal(SIGTERM, SIG_DFL)
            body()
        }
        source.resume()
        return source
    }

    private func tell(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
