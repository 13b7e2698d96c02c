/// `PeerAddress` in the words of the system's sockets, written byte by byte.
///
/// `sockaddr_in` and `sockaddr_in6` have the same places everywhere: family, port at 2, an IPv4 address at 4, an IPv6
/// address at 8. Only the first two bytes differ: BSD has a length there (RFC 3493 §3.4).
import WireCoding

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum SystemAddress {
    private static let fourBytes = 16
    private static let sixBytes = 28

    /// Calls `body` with the address as a socket of this family names it; nil when such a socket cannot reach it.
    static func with<R>(
        _ address: PeerAddress, isIPv6: Bool, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R? {
        let ipv4 = address.ipv4
        guard isIPv6 || ipv4 != nil else { return nil }
        let count = isIPv6 ? sixBytes : fourBytes
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            #if canImport(Darwin)
                bytes[0] = UInt8(count)
                bytes[1] = UInt8(isIPv6 ? AF_INET6 : AF_INET)
            #else
                bytes.storeBytes(of: UInt16(isIPv6 ? AF_INET6 : AF_INET), as: UInt16.self)
            #endif
            bytes.storeBytes(of: address.port.bigEndian, toByteOffset: 2, as: UInt16.self)
            if isIPv6 {
                bytes.storeBytes(of: address.high.bigEndian, toByteOffset: 8, as: UInt64.self)
                bytes.storeBytes(of: address.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            } else if let ipv4 {
                bytes.storeBytes(of: ipv4.bigEndian, toByteOffset: 4, as: UInt32.self)
            }
            return bytes.withMemoryRebound(to: sockaddr.self) { names in
                names.baseAddress.map { body($0, socklen_t(count)) }
            }
        }
    }

    /// Nil unless it is an IPv4 or IPv6 name.
    static func address(_ name: UnsafePointer<sockaddr>) -> PeerAddress? {
        let bytes = UnsafeRawPointer(name)
        #if canImport(Darwin)
            let family = CInt(bytes.load(fromByteOffset: 1, as: UInt8.self))
        #else
            let family = CInt(bytes.loadUnaligned(as: UInt16.self))
        #endif
        let port = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        return switch family {
        case AF_INET:
            PeerAddress(ipv4: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)), port: port)
        case AF_INET6:
            PeerAddress(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)), port: port)
        default: nil
        }
    }

    /// Of digits, `10.0.0.1` or `2001:db8::1`; nil for a name.
    static func address(literal host: String, port: UInt16) -> PeerAddress? {
        var four: UInt32 = 0
        if inet_pton(AF_INET, host, &four) == 1 { return PeerAddress(ipv4: UInt32(bigEndian: four), port: port) }
        var six: (UInt64, UInt64) = (0, 0)
        guard inet_pton(AF_INET6, host, &six) == 1 else { return nil }
        return PeerAddress(high: UInt64(bigEndian: six.0), low: UInt64(bigEndian: six.1), port: port)
    }
}
