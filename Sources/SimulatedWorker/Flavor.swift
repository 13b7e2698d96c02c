/// Which real server a simulated worker imitates, and what of that server's manners the machine has to know.
///
/// `mlx_lm`, `vllm_mlx` and `llama_cpp` were observed; the manners of the others were read in their code and
/// documentation. What has no source at all is marked assumed, and `Assumptions` lists it for `--explain`.
package enum Flavor: String, CaseIterable, Sendable {
    case openAI = "openai"
    case mlxLM = "mlx_lm"
    case llamaCpp = "llama_cpp"
    case vllmMLX = "vllm_mlx"
    case exo
    case ollama
    case lmStudio = "lm_studio"
    case oMLX = "omlx"
}

/// When a server finds out that its client has gone.
package enum Noticing: Sendable, Equatable {
    case atOnce
    /// It asks now and then.
    case after(Duration)
    /// It asks when nobody's result has come for so long.
    case afterQuiet(Duration)
    /// It writes into the closed connection with its next event or at the end of a prefill step.
    case atNextEvent
    /// It computes the answer to its end, for nobody.
    case never
}

/// When the head of a stream is sent.
package enum HeadMoment: Sendable, Equatable {
    case atAccept
    /// When the thread takes the request up: at once, unless a model loads first or somebody runs alone.
    case whenHeard
    /// Which is after the load, where the model must be loaded first.
    case atSlot
}

/// How a server takes SIGTERM while streams run.
package enum Farewell: Sendable, Equatable {
    /// It is gone at once: every connection ends without a finish.
    case diesAtOnce
    /// It refuses connects and ends when the last answer has ended.
    case finishesAnswers
    /// It refuses connects and says nothing more; after half a minute one comment, then the end of everything.
    case goesSilent
}

extension Flavor {
    package var defaultSlots: Int {
        switch self {
        case .openAI, .vllmMLX: 256
        case .mlxLM: 32
        case .llamaCpp, .lmStudio: 4
        case .exo, .oMLX: 8
        case .ollama: 1
        }
    }

    /// What it says of its own version, if nobody sets another: that of the server which was looked at, where one was.
    package var version: String {
        switch self {
        case .mlxLM: "0.32.2"
        case .llamaCpp: "b6000-sim"
        case .ollama: "0.12.0-sim"
        case .oMLX: "0.4.4-sim"
        // They tell none.
        case .openAI, .vllmMLX, .exo, .lmStudio: "sim"
        }
    }

    /// Requests that may wait. Only ollama's bound is known; one more gets a 503.
    package var queueMax: Int { self == .ollama ? 512 : WorkerMachine.queueMax }

    package var headMoment: HeadMoment {
        switch self {
        case .openAI, .vllmMLX, .exo, .oMLX: .atAccept
        case .mlxLM: .whenHeard
        case .llamaCpp, .ollama, .lmStudio: .atSlot
        }
    }

    package func noticing(stream: Bool) -> Noticing {
        switch self {
        case .mlxLM: stream ? .atNextEvent : .never
        case .llamaCpp: stream ? .atOnce : .afterQuiet(.seconds(1))
        // Seen: 0.1 to 3.7 s for a stream, 0.3 to 1 s for a plain answer.
        case .vllmMLX: .after(.milliseconds(stream ? 2_000 : 650))
        // Assumed for lm_studio and omlx.
        case .openAI, .exo, .ollama, .lmStudio, .oMLX: .atOnce
        }
    }

    package var farewell: Farewell {
        switch self {
        case .llamaCpp: .goesSilent
        // uvicorn and hypercorn finish what runs; seen of vllm_mlx, assumed of the others.
        case .vllmMLX, .oMLX, .exo: .finishesAnswers
        // Assumed for the others.
        case .mlxLM, .openAI, .ollama, .lmStudio: .diesAtOnce
        }
    }

    /// A seeded request cannot join a batch: it waits until the batch has drained and then runs alone.
    package var seedRunsAlone: Bool { self == .mlxLM }
    package var cacheEntriesMax: Int { 10 }
    /// Prefill steps are told on the wire: mlx_lm's and exo's comments.
    package var prefillComments: Bool { self == .mlxLM || self == .exo }

    /// After so much silence a stream gets a comment.
    package var silence: Duration? {
        switch self {
        case .vllmMLX: .seconds(5)
        case .exo: .seconds(10)
        case .llamaCpp: .seconds(30)
        default: nil
        }
    }

    /// How long a kept connection may idle; nil keeps none.
    package var idleSeconds: Int? {
        switch self {
        case .openAI, .ollama: 75
        case .mlxLM: nil
        case .llamaCpp, .vllmMLX, .lmStudio, .oMLX, .exo: 5
        }
    }
    package var requestsPerConnectionMax: Int { self == .llamaCpp ? 100 : Int.max }
    /// The accept backlog. Python's `socketserver` has five; connects beyond it wait for seconds.
    package var backlog: Int32 { self == .mlxLM ? 5 : 512 }
}
