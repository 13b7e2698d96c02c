/// What a directed link does to what passes. The default does nothing.

package struct DatagramFaults: Equatable, Sendable {
    /// Shares of packets, 0 … 1.
    package var loss = 0.0
    package var duplicate = 0.0
    /// Held for 1 … 500 ms more, so that later ones overtake it.
    package var reorder = 0.0
    /// Some bits turned, or the end cut off.
    package var corrupt = 0.0
    package var delayMilliseconds = 0.0
    /// Mean of what comes on top, with an exponential tail.
    package var jitterMilliseconds = 0.0
    /// Bytes a second; 0 has no limit. What does not fit into a quarter of a second is dropped at the tail.
    package var rate = 0
    package var isBlocked = false
    package var burst: Burst?

    /// Loss that comes in bursts (Gilbert–Elliott): shares of packets at which it begins and ends, and the loss meanwhile.
    package struct Burst: Equatable, Sendable {
        package var begins = 0.01
        package var ends = 0.2
        package var loss = 1.0
        package init() {}
    }

    package static let none = DatagramFaults()
    package static let reorderHeldMilliseconds = 1.0...500.0
    package static let delayMillisecondsMax = 60_000.0
    package static let queuedSecondsMax = 0.25

    package init() {}
}

package struct StreamFaults: Equatable, Sendable {
    package enum Mode: Equatable, Sendable {
        case pass
        /// Reset as soon as it is accepted.
        case refuse
        /// Nothing passes while this stands; what was written waits, and goes on when it ends, as over a cut cable.
        case blackhole
        /// Reset when this many bytes passed from the dialler.
        case resetAfter(Int)
        /// The listener sees the end of the dialler's bytes after this many; the other direction goes on.
        case halfCloseAfter(Int)
    }

    package var mode = Mode.pass
    package var delayMilliseconds = 0.0
    /// Bytes a second; 0 has no limit.
    package var rate = 0

    package static let none = StreamFaults()

    package init() {}
}
