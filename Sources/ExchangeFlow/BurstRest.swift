/// When to stop listening to a worker for a moment, so that a burst of events is read as one.
///
/// A read, a write and their acknowledgements cost the same for one event as for ten, and most of that is the kernel's.
/// So after a read that came quickly a stream rests, and what arrives meanwhile is read together: interrupt moderation,
/// as network cards do it. The first bytes never wait, nor do those of a stream whose events are further apart than a
/// rest is long.
package import Determinism

package struct BurstRest: Sendable {
    /// How long a rest lasts at most, and so how late it can make an event: half of a frame at 120 Hz (8.3 ms), and less
    /// than the gap between two tokens of one stream at 200 tokens/s (5 ms).
    package static let length = Duration.milliseconds(4)

    /// Since when nothing more was there to read.
    private var listeningSince: Instant?

    package init() {}

    /// Bytes came, and all that were there have been read. Whether to rest before the next read.
    package mutating func bytesCame(at now: Instant) -> Bool {
        defer { listeningSince = now }
        guard let since = listeningSince else { return false }
        return now - since < Self.length
    }

    package mutating func ended(at now: Instant) { listeningSince = now }
}
