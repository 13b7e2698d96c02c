/// Gigabytes of a Mac's memory and who has them: weights, keys and values, other programs, and what the system keeps.
package struct MemoryUse: Sendable, Equatable {
    /// The system's own.
    package static let systemGigabytes = 2.0

    package let weights: Double
    /// Keys and values, of what runs and of what is only remembered.
    package let cache: Double
    package let others: Double
    /// What the GPU may hold.
    package let limit: Double

    package var used: Double { weights + cache + others + Self.systemGigabytes }
    /// What does not fit and is written to disk.
    package var swapped: Double { max(0, used - limit) }
    package var isOver: Bool { used > limit }
}

/// What a worker does when its memory does not suffice.
package enum MemoryPolicy: String, Sendable, CaseIterable {
    /// A request that would not fit is answered with an error.
    case refuse
    /// Remembered prefixes go first, then idle models, the least recently used first; then it swaps.
    case evict
    /// Everything goes on, at a tenth of its rate.
    case swap
    /// The process is killed.
    case die

    /// How the kind is known to behave; for those that say nothing of it, swapping is assumed.
    package static func usual(_ flavor: Flavor) -> MemoryPolicy {
        switch flavor {
        case .ollama, .lmStudio: .evict
        case .oMLX: .refuse
        case .openAI, .mlxLM, .llamaCpp, .vllmMLX, .exo: .swap
        }
    }
}
