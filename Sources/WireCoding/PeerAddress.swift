/// Where packets are sent: an IPv6 address, or an IPv4 one mapped into it (RFC 4291 §2.5.5.2), and a port.
package struct PeerAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64
    package let port: UInt16

    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    package init(ipv4 address: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xffff_0000_0000 | UInt64(address), port: port)
    }

    /// Nil for an address that is not a mapped one.
    package var ipv4: UInt32? {
        high == 0 && low >> 32 == 0xffff ? UInt32(truncatingIfNeeded: low) : nil
    }

    /// 127/8 or ::1: whoever is there is on this machine.
    package var isLoopback: Bool { ipv4.map { $0 >> 24 == 127 } ?? ((high, low) == (0, 1)) }

    /// Whether both are to be held for one sender. The replicas of one machine share the loopback's address, so there the ports
    /// tell them apart.
    package func isSameSource(as other: PeerAddress) -> Bool {
        (high, low) == (other.high, other.low) && (!isLoopback || port == other.port)
    }

    package static func < (left: PeerAddress, right: PeerAddress) -> Bool {
        (left.high, left.low, left.port) < (right.high, right.low, right.port)
    }

    /// `10.0.0.1:7946` or `[2001:db8:0:0:0:0:0:1]:7946`.
    package var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// The address without its port.
    package var host: String {
        if let ipv4 {
            return (0..<4).map { "\(UInt8(truncatingIfNeeded: ipv4 >> (24 - 8 * $0)))" }.joined(separator: ".")
        }
        return (0..<8).map { group in
            let word = group < 4 ? high : low
            return String(UInt16(truncatingIfNeeded: word >> UInt64(48 - 16 * (group % 4))), radix: 16)
        }.joined(separator: ":")
    }
}
