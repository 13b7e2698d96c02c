package import Determinism

/// How much a gate holds and lets through. A third of the simulator's seeds run with tiny ones.
package struct GateBounds: Hashable, Sendable {
    package var bytesMax = Datagram.bytesMax
    package var sessions = 16_384
    package var sessionKept = Nanoseconds.seconds(600)
    package var windowWidth = ReplayWindow.widthMax
    /// Addresses whose packets are counted.
    package var sources = 4_096
    /// Packets a second before proof, of one source and of all.
    package var strangerPackets = 200
    package var strangersPackets = 2_000
    /// Packets a second of a proven session.
    package var memberPackets = 2_000
    /// Between two hellos of a kind to one peer.
    package var helloEvery = Nanoseconds.milliseconds(50)
    package var misdeliveredEvery = Nanoseconds.seconds(1)

    package init() {}
}
