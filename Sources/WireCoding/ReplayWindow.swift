/// Which counters of one sealing session were seen: the highest, and a bit for each of the last 1,024 (RFC 6479 has the
/// idea of a bitmap that turns round instead of being shifted).
///
/// Counters leave gaps, since a sender counts over all its packets, whoever they go to. At 1,000 packets a second of one
/// sender the window tolerates a second of reordering.
package struct ReplayWindow: Hashable, Sendable {
    package static let widthMax = 1_024

    private typealias Words = (
        UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64,
        UInt64, UInt64
    )

    package private(set) var highest: UInt64
    private let width: UInt64
    /// The bit of a counter is at its remainder by 1,024.
    private var words: Words = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    /// All counters up to `highest` count as seen.
    package init(width: Int = widthMax, after highest: UInt64 = 0) {
        precondition(1...Self.widthMax ~= width, "a window of that width has no bitmap")
        self.width = UInt64(width)
        self.highest = highest
        withUnsafeMutableBytes(of: &words) { for place in $0.indices { $0[place] = 0xff } }
    }

    /// Counters begin at 1. What is older than the window counts as seen.
    package func hasSeen(_ counter: UInt64) -> Bool {
        if counter > highest { return false }
        guard counter > 0, highest - counter < width else { return true }
        let place = Int(counter % UInt64(Self.widthMax))
        return withUnsafeBytes(of: words) { bytes in
            bytes.load(fromByteOffset: place / 64 * 8, as: UInt64.self) >> UInt64(place % 64) & 1 == 1
        }
    }

    package mutating func mark(_ counter: UInt64) {
        guard counter > 0 else { return }
        if counter > highest {
            clear(after: highest, upTo: counter)
            highest = counter
        } else if highest - counter >= width {
            return
        }
        let place = Int(counter % UInt64(Self.widthMax))
        withUnsafeMutableBytes(of: &words) { bytes in
            bytes.withMemoryRebound(to: UInt64.self) { $0[place / 64] |= 1 << UInt64(place % 64) }
        }
    }

    /// Bits of counters that come into the window: they stood for those that leave it. At most 1,023 steps, and one for a
    /// sender that speaks to nobody else.
    private mutating func clear(after old: UInt64, upTo new: UInt64) {
        guard new - old < UInt64(Self.widthMax) else {
            words = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
            return
        }
        withUnsafeMutableBytes(of: &words) { bytes in
            bytes.withMemoryRebound(to: UInt64.self) { words in
                for step in 1...(new - old) {
                    let place = Int((old + step) % UInt64(Self.widthMax))
                    words[place / 64] &= ~(1 << UInt64(place % 64))
                }
            }
        }
    }

    package static func == (left: ReplayWindow, right: ReplayWindow) -> Bool {
        left.highest == right.highest && left.width == right.width
            && withUnsafeBytes(of: left.words) { a in withUnsafeBytes(of: right.words) { a.elementsEqual($0) } }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(highest)
        withUnsafeBytes(of: words) { hasher.combine(bytes: $0) }
    }
}
