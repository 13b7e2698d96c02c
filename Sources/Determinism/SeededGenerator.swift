/// Chance that can be replayed: xoshiro256** (Blackman and Vigna, 2018) seeded through SplitMix64.
///
/// Only integers leave it, so the same seed gives the same sequence on every machine; a fraction is made of 53 bits.
package struct SeededGenerator: RandomNumberGenerator, Sendable, Equatable {
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64

    package init(seed: UInt64) {
        var mix = seed
        func next() -> UInt64 {
            mix &+= 0x9e37_79b9_7f4a_7c15
            var z = mix
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        s0 = next()
        s1 = next()
        s2 = next()
        s3 = next()
    }

    package mutating func next() -> UInt64 {
        let result = rotate(s1 &* 5, by: 7) &* 9
        let shifted = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = rotate(s3, by: 45)
        return result
    }

    /// An integer in `0 ..< bound` without modulo bias (Lemire's multiplication, 2019).
    package mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "an empty range has no member")
        var wide = next().multipliedFullWidth(by: bound)
        if wide.low < bound {
            let threshold = (0 &- bound) % bound
            while wide.low < threshold { wide = next().multipliedFullWidth(by: bound) }
        }
        return wide.high
    }

    /// A fraction in `0 ..< 1` with 53 random bits.
    package mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// True with this probability.
    package mutating func chance(_ probability: Double) -> Bool { fraction() < probability }

    private func rotate(_ value: UInt64, by bits: UInt64) -> UInt64 { (value << bits) | (value >> (64 &- bits)) }
}
