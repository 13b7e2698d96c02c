/// How long a worker takes: the formulae of the resource model with one chip's figures, one model and one state of heat.
package struct Timing: Sendable, Equatable {
    package let chip: ChipFigures
    /// 1 is cool; `slow` faults and thermal states lower it.
    package var speed: Double = 1

    /// Each further stream of a dense batch makes a step this much longer (assumed).
    static let stepSlope = 0.15
    /// A running prefill takes this share of the chip from decoding, and gets no more than the rest (assumed).
    static let prefillShare = 0.5
    /// Prefill slows down with the context: at this many tokens it has half its rate (assumed).
    static let prefillHalfContext = 32_768.0
    static let loadGigabytesPerSecond = 1.0
    /// What is left of every rate while memory is swapped to disk (assumed).
    static let swapShare = 0.1
    /// Prompt tokens that are computed between two looks at the world.
    package static let prefillStep = 2_048

    package init(chip: ChipFigures) { self.chip = chip }

    /// Tokens per second of one stream with an empty context.
    package func decodeRate(_ model: SimulatedModel) -> Double {
        speed * chip.decodeGigabytesPerSecond / model.gigabytes
    }

    /// Tokens per second of prefill with an empty context. The table's model has seven billion parameters.
    package func prefillRate(_ model: SimulatedModel) -> Double {
        speed * chip.prefill7B * 7 / model.parametersBillions
    }

    /// One decode step of a batch: every stream gets one token; the caches of all are read once.
    package func decodeStep(_ model: SimulatedModel, streams: Int, contextTokens: Int, prefilling: Bool) -> Duration {
        let weights = (1 + Self.stepSlope * Double(max(0, streams - 1))) / decodeRate(model)
        let cache = Double(contextTokens) * model.cacheBytesPerToken / (chip.gigabytesPerSecond * 1e9 * speed)
        let share = prefilling ? 1 - Self.prefillShare : 1
        return .seconds((weights + cache) / share)
    }

    package func prefill(_ model: SimulatedModel, tokens: Int, after context: Int, decoding: Bool) -> Duration {
        let rate = prefillRate(model) / (1 + Double(context) / Self.prefillHalfContext)
        let share = decoding ? Self.prefillShare : 1
        return .seconds(Double(tokens) / (rate * share))
    }

    package func load(_ model: SimulatedModel) -> Duration {
        .seconds(model.gigabytes / Self.loadGigabytesPerSecond)
    }
}
