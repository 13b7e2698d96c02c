/// Who owns a key: rendezvous hashing with weights (Thaler and Ravishankar, 1998; weights as in Schindelhauer and
/// Schomaker, 2005).
///
/// Every member draws a number from its own key and the asked one, and the smallest wins. A member that leaves gives
/// away only what was its own, and nobody needs to keep a ring: skipping members that cannot serve now is the same as
/// walking on to the next. Numbers are made by integers and the four operations alone, so that every replica computes
/// the same bits.

package enum Rendezvous {
    /// The draw of one member: the smallest wins. A member of twice the weight wins twice as many keys.
    package static func draw(member: UInt64, weight: Double, key: UInt64) -> Double {
        let mixed = mix(member ^ mix(key))
        // 53 bits and a half: never 0 and never 1, so the logarithm is finite and below zero.
        let fraction = (Double(mixed >> 11) + 0.5) * 0x1p-53
        return -naturalLogarithm(fraction) / (weight > 0 ? weight : .leastNormalMagnitude)
    }

    /// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the result depends on every bit given.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// ln of a positive, normal number to about ten digits: the exponent times ln 2, and the series of
    /// 2·artanh((m − 1) ÷ (m + 1)) for the significand. Libraries differ in the last bit of `log`, and replicas on two
    /// systems would then disagree about an owner.
    static func naturalLogarithm(_ value: Double) -> Double {
        var exponent = Double(value.exponent)
        var significand = value.significand
        if significand > 1.414_213_562_373_095_1 {
            significand *= 0.5
            exponent += 1
        }
        let s = (significand - 1) / (significand + 1)
        let square = s * s
        var series = 1.0 / 13
        series = series * square + 1.0 / 11
        series = series * square + 1.0 / 9
        series = series * square + 1.0 / 7
        series = series * square + 1.0 / 5
        series = series * square + 1.0 / 3
        series = series * square + 1
        return exponent * 0.693_147_180_559_945_3 + 2 * s * series
    }
}
