package import Determinism

/// Whether a model is in memory, in how many copies, and until when.
package struct Residency: Sendable, Equatable {
    package internal(set) var copies = 0
    package internal(set) var lastUsed = Instant.zero
    /// How long it stays without being used; nil: for ever.
    package internal(set) var keepAlive: Duration?

    package var isResident: Bool { copies > 0 }
    /// When it goes, if nobody uses it before.
    package var expiresAt: Instant {
        guard isResident, let keepAlive else { return .never }
        return lastUsed + keepAlive
    }
}

/// A model on its way into memory.
package struct ModelLoad: Sendable, Equatable {
    package let model: Int
    /// The request that began it; nil: an order, or the start of the process.
    package let exchange: ExchangeID?
    package let until: Instant
}
