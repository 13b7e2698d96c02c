import ArgumentParser
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
            GET /_sim/state, GET /_sim/journal?after=N, POST /_sim/faults, /_sim/set, /_sim/advance, /_sim/restart and \
            /_sim/reset. Heat, batching slope and prefill decay are assumptions; the chips' rates are published figures.
            """)

    @Option(name: .long, help: "The address to listen on.")
    var host = "127.0.0.1"
    @Option(name: .long, help: "The worker's port; 0 takes a free one.")
    var port = 0
    @Option(name: .long, help: "The control port; 0 takes a free one. Without it there is none.")
    var controlPort: Int?
    @Option(name: .long, help: "The server to imitate: openai, mlx_lm or llama_cpp.")
    var kind = "openai"
    @Option(name: .long, help: "A model: NAME, NAME=14 or NAME=14:4bit (billions of parameters, width). Repeatable.")
    var model: [String] = []
    @Option(name: .long, help: "The chip, as \"M2 Ultra\" or \"M4 Max 32\".")
    var chip = "M2 Ultra"
    @Option(name: .long, help: "Memory of the Mac.")
    var memoryGb = 64.0
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
    @Option(name: .long, help: "Writes {\"port\", \"control_port\", \"pid\"} as JSON to this file once it listens.")
    var readyFile: String?

    /// Messages name the flag, so that whoever typed it finds it.
    private func settings() throws(ValidationError) -> SimulatorSettings {
        guard let figures = ChipFigures.named(chip) else {
            let known = ChipFigures.table.map(\.name).joined(separator: ", ")
            throw ValidationError("--chip \"\(chip)\": unknown. Known: \(known)")
        }
        guard let flavor = Flavor(rawValue: kind) else {
            throw ValidationError("--kind \"\(kind)\": must be openai, mlx_lm or llama_cpp")
        }
        guard timeScale >= 0, timeScale <= 1e6 else { throw ValidationError("--time-scale must be from 0 to 1000000") }
        guard ["wall", "manual"].contains(clock) else { throw ValidationError("--clock must be wall or manual") }
        guard memoryGb > 0 else { throw ValidationError("--memory-gb must be positive") }
        guard contextTokens >= 16 else { throw ValidationError("--context-tokens must be at least 16") }
        guard (1...WorkerMachine.slotsMax).contains(slots ?? 1) else {
            throw ValidationError("--slots must be from 1 to \(WorkerMachine.slotsMax)")
        }
        for port in [port, controlPort ?? 0] where !(0...65_535).contains(port) {
            throw ValidationError("\(port) is no port: --port and --control-port take 0 to 65535")
        }
        var settings = SimulatorSettings(chip: figures)
        settings.host = host
        settings.port = port
        settings.controlPort = controlPort
        settings.flavor = flavor
        settings.memoryGigabytes = memoryGb
        settings.timeScale = timeScale
        settings.isManual = clock == "manual"
        settings.seed = seed
        settings.slots = slots
        settings.contextTokens = contextTokens
        settings.apiKey = apiKey
        for argument in model.isEmpty ? ["llama-8b"] : model {
            do throws(SimulatedModel.Unreadable) {
                settings.models.append(try SimulatedModel(argument: argument))
            } catch {
                throw ValidationError("--model \(error.description)")
            }
        }
        return settings
    }

    func run() async throws {
        let settings = try settings()
        do throws(SimulatorServer.CannotListen) {
            let server = try await SimulatorServer.start(settings)
            try announce(server)
            await server.waitUntilStopped()
        } catch {
            tell(error.description)
            throw ExitCode(71)
        }
    }

    private func announce(_ server: SimulatorServer) throws(SimulatorServer.CannotListen) {
        let control = server.controlPort.map { ", control on port \($0)" } ?? ""
        tell("worker-sim (\(kind), \(chip)) listens on \(host) port \(server.port)\(control)")
        guard let readyFile else { return }
        try ReadyFile.write(server, to: readyFile)
    }

    private func tell(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
