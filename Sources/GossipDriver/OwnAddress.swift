/// What a replica tells others of where it is.
import NIOCore
import WireCoding

enum OwnAddress {
    static func told(_ configuration: GossipConfiguration, port: UInt16) throws(GossipFailure) -> PeerAddress {
        let port = configuration.advertisedPort ?? port
        if let host = configuration.advertisedHost {
            if let address = SystemAddress.address(literal: host, port: port) { return address }
            guard let address = SeedLookup.addresses(of: host, port: port).first else {
                throw GossipFailure(
                    .listen, "gossip.advertise names \(host), which has no address; write the address others reach")
            }
            return address
        }
        let isIPv6 = configuration.host.contains(":")
        if let bound = SystemAddress.address(literal: configuration.host, port: port), !isWildcard(bound) {
            return bound
        }
        return outward(port: port, isIPv6: isIPv6) ?? PeerAddress(ipv4: 0x7f00_0001, port: port)
    }

    private static func isWildcard(_ address: PeerAddress) -> Bool {
        (address.high == 0 && address.low == 0) || address.ipv4 == 0
    }

    /// The first address of this machine that others may reach, IPv4 before IPv6: every socket of ours reaches that.
    private static func outward(port: UInt16, isIPv6: Bool) -> PeerAddress? {
        let devices = (try? System.enumerateDevices()) ?? []
        let addresses = devices.compactMap { $0.address.flatMap(SystemAddress.address) }.map {
            PeerAddress(high: $0.high, low: $0.low, port: port)
        }
        let four = addresses.first { $0.ipv4.map { $0 >> 24 != 127 && $0 >> 16 != 0xa9fe } ?? false }
        guard isIPv6, four == nil else { return four }
        // Neither loopback nor link-local (RFC 4291 §2.4).
        return addresses.first { $0.ipv4 == nil && !($0.high == 0 && $0.low == 1) && $0.high >> 54 != 0x3fa }
    }
}
