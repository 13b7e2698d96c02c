import Determinism

/// Chance for a whole world out of one seed: one stream for each concern, split off by its name.
///
/// A new draw in one does not shift the others, so an old seed keeps most of its story when the code changes.
struct WorldGenerator: Sendable {
    let seed: UInt64

    func stream(_ concern: String) -> SeededGenerator { SeededGenerator(seed: StableHash64.hash(concern, seed: seed)) }

    func seed(_ concern: String, _ number: Int) -> UInt64 {
        var hash = StableHash64(seed: seed)
        hash.update(concern)
        hash.update(UInt64(number))
        return hash.digest()
    }
}

extension SeededGenerator {
    /// In `range`, both ends included.
    mutating func whole(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(below(UInt64(range.upperBound - range.lowerBound) + 1))
    }

    mutating func span(_ from: Nanoseconds, _ to: Nanoseconds) -> Nanoseconds {
        .nanoseconds(from.rawValue + Int64(below(UInt64(to.rawValue - from.rawValue) + 1)))
    }

    /// True `perMillion` times in a million.
    mutating func happens(perMillion: UInt32) -> Bool { perMillion > 0 && below(1_000_000) < UInt64(perMillion) }

    /// Exponential with that mean, without `log`: −ln u = ln 2 · −log2 u, and −log2 of a binary fraction is its leading
    /// zeros and a logarithm between one and two, read from a table of sixteen and drawn straight between its lines.
    mutating func exponential(mean: Nanoseconds) -> Nanoseconds {
        guard mean.rawValue > 0 else { return .zero }
        let drawn = next() | 1
        let zeros = drawn.leadingZeroBitCount
        let significand = drawn << UInt64(zeros)
        let line = Int((significand >> 59) & 15)
        let between = Int64((significand >> 43) & 0xffff)
        let low = Self.binaryLogarithms[line]
        let logarithm = low + ((Self.binaryLogarithms[line + 1] - low) * between) / 65_536
        let halvings = Int64(zeros + 1) * 65_536 - logarithm
        // ln 2 is 45,426 in 65,536ths.
        let natural = halvings * 45_426 / 65_536
        return .nanoseconds(mean.rawValue / 65_536 * natural + (mean.rawValue % 65_536) * natural / 65_536)
    }

    /// log2(1 + i ÷ 16) in 65,536ths.
    private static let binaryLogarithms: [Int64] = [
        0, 5_732, 11_136, 16_248, 21_098, 25_711, 30_109, 34_312, 38_336, 42_196, 45_904, 49_472, 52_911, 56_229,
        59_434, 62_534, 65_536,
    ]
}
