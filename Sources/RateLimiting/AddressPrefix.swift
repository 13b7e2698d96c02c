/// A range of addresses: the first `length` bits of an IPv6 or mapped IPv4 address.
package struct AddressPrefix: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64
    package let length: UInt8
}
