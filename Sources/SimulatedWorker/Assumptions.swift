/// What no source gives a figure for and somebody had to choose; printed by `worker-sim --explain`.
package enum Assumptions {
    package static func text(_ flavor: Flavor) -> String {
        var lines = [
            "Assumed, for want of a source:",
            "  each further stream of a batch makes a decode step \(percent(Timing.stepSlope)) longer",
            "  a running prefill takes \(percent(Timing.prefillShare)) of the chip from decoding",
            "  prefill has half its rate at a context of \(Int(Timing.prefillHalfContext)) tokens",
            "  a model loads at \(Timing.loadGigabytesPerSecond) GB/s; loads share the disk one after another",
            "  swapping leaves \(percent(Timing.swapShare)) of every rate",
            "  the system keeps \(MemoryUse.systemGigabytes) GB; the GPU may have 67 % of up to 36 GB, 75 % of more",
            "  128 KiB of keys and values a token for 8 billion parameters, others in proportion",
            "  temperatures and watts of the telemetry",
            "  the base M5's rates",
            "For \(flavor.rawValue):",
            "  slots: \(flavor.defaultSlots); queue: \(flavor.queueMax); cached prefixes: \(flavor.cacheEntriesMax)",
            "  memory that does not suffice: \(MemoryPolicy.usual(flavor).rawValue)",
        ]
        switch flavor {
        case .openAI, .mlxLM, .vllmMLX, .llamaCpp:
            lines.append("  manners: observed on the real server, but for openai, which is whatever keeps its ways")
        case .exo: lines.append("  manners: read in its code; SIGTERM and idle connections are assumed")
        case .ollama: lines.append("  manners: its documentation; SIGTERM and idle connections are assumed")
        case .lmStudio, .oMLX:
            lines.append(
                "  manners: documentation and issue threads; departures, SIGTERM and the text of events are assumed")
        }
        return lines.joined(separator: "\n")
    }

    private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }
}
