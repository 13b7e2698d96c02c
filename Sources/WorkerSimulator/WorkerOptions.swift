package import SimulatedWorker

/// A worker as somebody describes it, on the command line or in a fleet's file, before anything is checked.
///
/// Both forms have the same words, so that a line can become an entry; a mistake is told with the word in the form in which
/// it was written.
package struct WorkerOptions: Sendable {
    package var name: String?
    package var host = "127.0.0.1"
    package var port = 0
    package var controlPort: Int?
    package var kind = "openai"
    package var models: [String] = []
    package var chip = "M2 Ultra"
    package var memoryGigabytes = 64.0
    package var timeScale = 1.0
    package var clock = "wall"
    package var seed: UInt64 = 0
    package var slots: Int?
    package var contextTokens = 8_192
    package var apiKey: String?
    package var memory: String?

    package init() {}

    /// A value that cannot be; its option by the name of the command line, without the dashes.
    package struct Mistake: Error, Equatable {
        package let option: String
        package let message: String

        package init(option: String, message: String) {
            self.option = option
            self.message = message
        }
    }

    /// From an entry of a fleet: `{"kind": "ollama", "memory-gb": 32, "model": ["llama-8b"]}`.
    package init(_ value: JSONValue) throws(Mistake) {
        guard let members = value.members else { throw Mistake(option: "workers", message: "each must be an object") }
        for member in members { try take(member.name, member.value) }
    }

    private mutating func take(_ name: String, _ value: JSONValue) throws(Mistake) {
        switch (name, value.text, value.number, value.whole) {
        case ("name", let text?, _, _): self.name = text
        case ("host", let text?, _, _): host = text
        case ("kind", let text?, _, _): kind = text
        case ("chip", let text?, _, _): chip = text
        case ("clock", let text?, _, _): clock = text
        case ("api-key", let text?, _, _): apiKey = text
        case ("memory", let text?, _, _): memory = text
        case ("port", _, _, let number?): port = number
        case ("control-port", _, _, let number?): controlPort = number
        case ("slots", _, _, let number?): slots = number
        case ("context-tokens", _, _, let number?): contextTokens = number
        case ("seed", _, _, let number?) where number >= 0: seed = UInt64(number)
        case ("memory-gb", _, let number?, _): memoryGigabytes = number
        case ("time-scale", _, let number?, _): timeScale = number
        case ("model", let text?, _, _): models = [text]
        case ("model", _, _, _) where value.items?.allSatisfy({ $0.text != nil }) == true:
            models = value.items?.compactMap(\.text) ?? []
        default: throw Mistake(option: name, message: "unknown, or a value that means nothing here")
        }
    }

    /// The worker, if it can be.
    package func settings() throws(Mistake) -> SimulatorSettings {
        guard let figures = ChipFigures.named(chip) else {
            let known = ChipFigures.table.map(\.name).joined(separator: ", ")
            throw Mistake(option: "chip", message: "\"\(chip)\" is unknown. Known: \(known)")
        }
        guard let flavor = Flavor(rawValue: kind) else {
            let known = Flavor.allCases.map(\.rawValue).joined(separator: ", ")
            throw Mistake(option: "kind", message: "\"\(kind)\" must be one of: \(known)")
        }
        func check(_ holds: Bool, _ option: String, _ message: String) throws(Mistake) {
            if !holds { throw Mistake(option: option, message: message) }
        }
        try check(timeScale >= 0 && timeScale <= 1e6, "time-scale", "must be from 0 to 1000000")
        try check(["wall", "manual"].contains(clock), "clock", "must be wall or manual")
        try check(memoryGigabytes > 0 && memoryGigabytes <= 1e6, "memory-gb", "must be positive")
        try check((16...100_000_000).contains(contextTokens), "context-tokens", "must be at least 16")
        try check(
            (1...WorkerMachine.slotsMax).contains(slots ?? 1), "slots", "must be from 1 to \(WorkerMachine.slotsMax)")
        try check((0...65_535).contains(port), "port", "must be from 0 to 65535")
        try check((0...65_535).contains(controlPort ?? 0), "control-port", "must be from 0 to 65535")
        var settings = SimulatorSettings(chip: figures)
        settings.host = host
        settings.port = port
        settings.controlPort = controlPort
        settings.flavor = flavor
        settings.memoryGigabytes = memoryGigabytes
        settings.timeScale = timeScale
        settings.isManual = clock == "manual"
        settings.seed = seed
        settings.slots = slots
        settings.contextTokens = contextTokens
        settings.apiKey = apiKey
        if let memory {
            let known = MemoryPolicy.allCases.map(\.rawValue).joined(separator: ", ")
            guard let policy = MemoryPolicy(rawValue: memory) else {
                throw Mistake(option: "memory", message: "\"\(memory)\" must be one of: \(known)")
            }
            settings.memoryPolicy = policy
        }
        for argument in models.isEmpty ? ["llama-8b"] : models {
            do throws(SimulatedModel.Unreadable) {
                settings.models.append(try SimulatedModel(argument: argument))
            } catch {
                throw Mistake(option: "model", message: error.description)
            }
        }
        return settings
    }
}
