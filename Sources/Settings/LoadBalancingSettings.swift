/// How a worker is chosen, how long we wait for it, and what happens when it fails.
package import Balancing

package struct LoadBalancingSettings: Equatable, Sendable {
    package let enabled: Bool
    package let strategy: StrategyName
    /// Tries of one exchange, the first included.
    package let maxAttempts: Int
    package let retryBudgetPercent: Double
    package let queuePerModelMax: Int
    package let queueSeconds: Double
    /// Whether a prompt of `longPromptTokens` may be prefilled a second time after a slow timeout.
    package let retryLongPrompts: Bool
    package let longPromptTokens: Int
    package let connectSeconds: Double
    /// Until the first event of a stream.
    package let firstByteSeconds: Double
    /// Until the head of a plain answer, which a worker sends when generation is over.
    package let plainFirstByteSeconds: Double
    package let stallSeconds: Double
    package let totalSeconds: Double
    package let probeIntervalSeconds: Double
    /// How long the first in line waits for a model while its worker serves another.
    package let swapPatienceSeconds: Double
    /// How long a model stays that was loaded for somebody.
    package let residencyMinSeconds: Double

    init(_ section: SectionReader) {
        var section = section
        enabled = section.flag("enabled", default: true)
        strategy = section.choice("strategy", default: .resourceAware)
        maxAttempts = section.wholeNumber("max_attempts", default: 3, in: 1...10)
        retryBudgetPercent = section.number("retry_budget_percent", default: 20, in: 0...100)
        queuePerModelMax = section.wholeNumber("queue_per_model_max", default: 256, in: 1...65536)
        queueSeconds = section.number("queue_seconds", default: 30, in: 0.1...3600)
        retryLongPrompts = section.flag("retry_long_prompts", default: false)
        longPromptTokens = section.wholeNumber("long_prompt_tokens", default: 4000, in: 1...10_000_000)
        connectSeconds = section.number("connect_seconds", default: 2, in: 0.05...60)
        firstByteSeconds = section.number("first_byte_seconds", default: 600, in: 0.1...86400)
        plainFirstByteSeconds = section.number("plain_first_byte_seconds", default: 600, in: 0.1...86400)
        stallSeconds = section.number("stall_seconds", default: 300, in: 0.1...3600)
        totalSeconds = section.number("total_seconds", default: 3600, in: 1...86400)
        probeIntervalSeconds = section.number("probe_interval_seconds", default: 2, in: 0.1...300)
        swapPatienceSeconds = section.number("swap_patience_seconds", default: 30, in: 0...3600)
        residencyMinSeconds = section.number("residency_min_seconds", default: 120, in: 0...86400)
        section.finish()
        // A clock that can only ring after the whole exchange was ended by another one is a mistake, not a choice.
        let inner = [
            ("queue_seconds", queueSeconds), ("first_byte_seconds", firstByteSeconds),
            ("plain_first_byte_seconds", plainFirstByteSeconds), ("stall_seconds", stallSeconds),
        ]
        for (key, seconds) in inner where seconds > totalSeconds {
            let written = section.isWritten(key) ? key : "total_seconds"
            section.report.fault(
                at: section.place(of: written),
                "load_balancing.\(key) (\(SectionReader.shown(seconds))) is longer than load_balancing.total_seconds "
                    + "(\(SectionReader.shown(totalSeconds))), so it could never ring")
        }
    }
}
