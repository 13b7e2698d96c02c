/// A range of addresses: the first `length` bits of an IPv6 or mapped IPv4 address.
package struct AddressPrefix: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64
    package let length: UInt8

    /// What is blocked when an address is: that one of IPv4; of IPv6 its /64, since its owner has all of them.
    package init(around high: UInt64, _ low: UInt64) {
        self.high = high
        if Self.isMapped(high, low) {
            self.low = low
            length = 128
        } else {
            self.low = 0
            length = 64
        }
    }

    /// Nil for a range that is not blocked as one: it has another length, or bits behind it.
    package init?(high: UInt64, low: UInt64, length: UInt8) {
        self.init(around: high, low)
        guard self.low == low, self.length == length else { return nil }
    }

    package static func < (left: AddressPrefix, right: AddressPrefix) -> Bool {
        (left.high, left.low, left.length) < (right.high, right.low, right.length)
    }

    /// RFC 4291 §2.5.5.2.
    private static func isMapped(_ high: UInt64, _ low: UInt64) -> Bool { high == 0 && low >> 32 == 0xffff }
}
