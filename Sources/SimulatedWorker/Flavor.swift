/// Which real server a simulated worker imitates, and what of that server's manners the machine has to know.
///
/// The figures are observations of the real servers; where a server was only read about, the comment says assumed.
package enum Flavor: String, CaseIterable, Sendable {
    case openAI = "openai"
    case mlxLM = "mlx_lm"
    case llamaCpp = "llama_cpp"
}

/// When a server finds out that its client has gone.
package enum Noticing: Sendable, Equatable {
    case atOnce
    /// It writes into the closed connection with its next event or at the end of a prefill step.
    case atNextEvent
    /// It computes the answer to its end, for nobody.
    case never
}

/// When the head of a stream is sent.
package enum HeadMoment: Sendable, Equatable {
    case atAccept
    case atSlot
}

extension Flavor {
    package var defaultSlots: Int {
        switch self {
        case .openAI: 256
        case .mlxLM: 32
        case .llamaCpp: 4
        }
    }

    package var headMoment: HeadMoment { self == .openAI ? .atAccept : .atSlot }

    package func noticing(stream: Bool) -> Noticing {
        switch self {
        case .openAI: .atOnce
        case .mlxLM: stream ? .atNextEvent : .never
        case .llamaCpp: stream ? .atOnce : .never
        }
    }

    /// mlx_lm ends every answer by closing the connection, in HTTP/1.0, and frames nothing.
    package var closesAfterAnswer: Bool { self == .mlxLM }
    /// A second model pushes the first one out of memory; the others keep all of theirs.
    package var keepsOneModel: Bool { self == .mlxLM }
    /// A seeded request cannot join a batch: it waits until the batch has drained and then runs alone.
    package var seedRunsAlone: Bool { self == .mlxLM }
    package var hasEmbeddings: Bool { self != .mlxLM }
    package var obeysResponseFormat: Bool { self != .mlxLM }
    package var obeysChoices: Bool { self != .mlxLM }
    /// llama.cpp serves whatever it has loaded under any name.
    package var servesUnknownModels: Bool { self == .llamaCpp }
    /// Requests above the context are refused; mlx_lm has no limit and goes on.
    package var refusesLongPrompts: Bool { self != .mlxLM }
    package var reportsCachedTokens: Bool { true }
    package var prefillComments: Bool { self == .mlxLM }

    /// Tokens of an answer whose request names no ceiling; nil runs until the context is full.
    package var defaultCeiling: Int? { self == .llamaCpp ? nil : 512 }
    package var cacheEntriesMax: Int { 10 }
    /// How long a kept connection may idle; nil keeps none.
    package var idleSeconds: Int? {
        switch self {
        case .openAI: 75
        case .mlxLM: nil
        case .llamaCpp: 5
        }
    }
    package var requestsPerConnectionMax: Int { self == .llamaCpp ? 100 : Int.max }
    /// The accept backlog. Python's `socketserver` has five; connects beyond it wait for seconds.
    package var backlog: Int32 { self == .mlxLM ? 5 : 512 }
}
