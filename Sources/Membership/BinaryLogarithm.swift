/// Logarithms to the base of two in whole numbers: libraries differ in the last bit of `log`, and the same seed must mean
/// the same run everywhere.
enum BinaryLogarithm {
    /// log2 of `value` ≥ 1 in 65,536ths, rounded down: the place of the highest bit, then one bit for each squaring.
    static func q16(_ value: UInt64) -> Int64 {
        precondition(value >= 1, "zero has no logarithm")
        let whole = 63 - value.leadingZeroBitCount
        // The significand in 31 bits: 1 ≤ x < 2.
        var x = whole >= 31 ? value >> UInt64(whole - 31) : value << UInt64(31 - whole)
        var result = Int64(whole) << 16
        for bit in stride(from: 15, through: 0, by: -1) {
            x = (x * x) >> 31
            if x >= 1 << 32 {
                x >>= 1
                result |= 1 << Int64(bit)
            }
        }
        return result
    }

    /// ⌈log2 value⌉ of `value` ≥ 1.
    static func ceiling(_ value: UInt64) -> Int {
        precondition(value >= 1, "zero has no logarithm")
        return value == 1 ? 0 : 64 - (value - 1).leadingZeroBitCount
    }
}
