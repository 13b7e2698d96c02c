/// Stamps that order what people order (Kulkarni and others, «Logical Physical Clocks», 2014): 48 bits of wall milliseconds
/// and 16 bits that count within one.
///
/// A stamp is greater than all that its maker gave or saw before, and near the wall clock otherwise. So whoever lifts a
/// block beats the block, on whatever replica and by whatever clock. A full count runs on into the next millisecond.
package struct HybridClock: Hashable, Sendable {
    package enum Observation: Hashable, Sendable {
        case followed
        /// The stamp is this far ahead of the wall clock here: it holds for what it stamps, and this clock did not go along.
        case tooFarAhead(milliseconds: UInt64)
    }

    /// How far a clock elsewhere may draw this one along [ours]: one bad clock must not make all stamps meaningless.
    package static let leadMillisecondsMax: UInt64 = 60_000
    /// No clock gives a greater one for some thousands of years; whoever is told one was told nonsense. The room above lets
    /// «one more than that» never overflow.
    package static let stampMax: UInt64 = .max - (1 << 32)

    /// The greatest stamp given or followed.
    package private(set) var latest: UInt64 = 0

    package init() {}

    /// A new stamp, greater than all before. `above`: what it has to beat besides.
    package mutating func stamp(above: UInt64 = 0, wallMilliseconds wall: UInt64) -> UInt64 {
        let own = max(Self.packed(wall), latest + 1)
        let stamp = max(own, min(above, Self.stampMax) + 1)
        // What has to be beaten may come from a clock that is not followed.
        latest = max(own, min(stamp, Self.farthest(from: wall)))
        return stamp
    }

    /// A stamp was seen that another clock gave.
    @discardableResult
    package mutating func observe(_ stamp: UInt64, wallMilliseconds wall: UInt64) -> Observation {
        let farthest = Self.farthest(from: wall)
        guard stamp > farthest else {
            latest = max(latest, stamp)
            return .followed
        }
        latest = max(latest, farthest)
        return .tooFarAhead(milliseconds: stamp >> 16 - min(wall, Self.stampMax >> 16))
    }

    /// The wall milliseconds of a stamp.
    package static func milliseconds(of stamp: UInt64) -> UInt64 { stamp >> 16 }

    private static func packed(_ wall: UInt64) -> UInt64 { min(wall, stampMax >> 16) << 16 }

    private static func farthest(from wall: UInt64) -> UInt64 {
        min(packed(wall) + leadMillisecondsMax << 16, stampMax)
    }
}
