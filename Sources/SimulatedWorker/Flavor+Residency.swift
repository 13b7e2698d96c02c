import Determinism

/// Which models a server keeps in memory, since when, and for how long.
extension Flavor {
    /// A second model pushes the first one out of memory.
    package var keepsOneModel: Bool { self == .mlxLM }
    /// Nothing is in memory until somebody asks for it.
    package var loadsLazily: Bool { [.ollama, .lmStudio, .oMLX].contains(self) }
    /// One llama-server serves one model. With several it is a router in front of a process for each, which begins when somebody
    /// asks or orders.
    package func isRouter(models: Int) -> Bool { self == .llamaCpp && models > 1 }
    /// A model without a placed instance is answered with 404, and nobody's request places one.
    package var needsInstance: Bool { self == .exo }
    /// While a model loads, requests for the others wait too.
    package var loadHoldsAll: Bool { ![.exo, .lmStudio].contains(self) }
    /// Every request for a model that is not there loads a copy of its own.
    package var loadsCopies: Bool { self == .lmStudio }
    /// The load belongs to the client whose request began it, and ends with its connection.
    package var abortsLoadWithClient: Bool { self == .ollama }
    /// The port stays closed until the model is loaded.
    package var listensAfterLoad: Bool { self == .vllmMLX }

    /// How long a model stays after its last answer; nil: for ever.
    package var keepAlive: Duration? {
        switch self {
        case .ollama: .seconds(300)
        case .lmStudio: .seconds(3_600)
        default: nil
        }
    }
}
