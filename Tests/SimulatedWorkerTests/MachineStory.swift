import Determinism
import SimulatedWorker

/// A machine with a clock that a test turns by hand, and everything that came out of it.
struct MachineStory {
    var machine: WorkerMachine
    let reader: AskReader
    private(set) var outputs: [Output] = []
    private(set) var now = Instant.zero

    init(
        _ flavor: Flavor, slots: Int? = nil, instant: Bool = false, models: [SimulatedModel] = [.seven],
        seed: UInt64 = 7,
        contextTokens: Int = 8_192, memoryGigabytes: Double = 192
    ) {
        machine = WorkerMachine(
            flavor: flavor, chip: ChipFigures.named("M2 Ultra")!, models: models, memoryGigabytes: memoryGigabytes,
            slots: slots,
            seed: seed, isInstant: instant)
        reader = AskReader(
            flavor: flavor, models: models, contextTokens: contextTokens, slots: slots ?? flavor.defaultSlots)
    }

    func read(_ body: String, _ route: Ask.Route = .chat) throws(Refusal) -> Ask {
        try reader.read(route, Array(body.utf8))
    }

    @discardableResult
    mutating func ask(_ body: String, _ route: Ask.Route = .chat) throws -> ExchangeID {
        let id = machine.accept(try read(body, route), at: now)
        outputs += machine.takeOutputs()
        return id
    }

    mutating func leave(_ id: ExchangeID) {
        machine.clientLeft(id, at: now)
        outputs += machine.takeOutputs()
    }

    mutating func pass(seconds: Double) {
        now = now + .seconds(seconds)
        machine.advance(to: now)
        outputs += machine.takeOutputs()
    }

    mutating func fault(_ text: String) throws {
        let fault = try ScriptedFault(try JSONValue(Array(text.utf8)))
        _ = machine.add(fault, at: now)
    }

    func tokens(_ id: ExchangeID) -> Int {
        outputs.reduce(0) { sum, output in
            if case .tokens(id, let count) = output { sum + count } else { sum }
        }
    }

    func isFinished(_ id: ExchangeID) -> Bool { cached(id) != nil }

    /// The cached tokens that the finish told; nil before it.
    func cached(_ id: ExchangeID) -> Int? {
        for case .finish(id, let cached) in outputs { return cached }
        return nil
    }

    func hasHead(_ id: ExchangeID) -> Bool { outputs.contains(.head(id)) }
}

extension SimulatedModel {
    /// The size of the model that the chip table was measured with, at the width whose weights are nearest to it.
    static let seven = SimulatedModel(name: "llama-7b", parametersBillions: 7)
}

/// A chat request with one user message.
func chat(_ words: String = "hello", _ more: String = "\"max_tokens\":4", stream: Bool = true) -> String {
    let rest = more.isEmpty ? "" : ",\(more)"
    return """
        {"model":"llama-7b","stream":\(stream),"messages":[{"role":"user","content":"\(words)"}]\(rest)}
        """
}
