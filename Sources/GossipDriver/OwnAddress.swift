/// What a replica tells others of where it is.
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
        if let bound = bound(configuration) { return PeerAddress(high: bound.high, low: bound.low, port: port) }
        let source = towardsOthers(configuration.seeds, isIPv6: isIPv6).lazy.compactMap(BoundSocket.source).first
        let address = source ?? loopback
        return PeerAddress(high: address.high, low: address.low, port: port)
    }

    /// The one address that it listens on, without a port, if it is told one.
    static func bound(_ configuration: GossipConfiguration) -> PeerAddress? {
        SystemAddress.address(literal: configuration.host, port: 0).flatMap { isWildcard($0) ? nil : $0 }
    }

    private static func isWildcard(_ address: PeerAddress) -> Bool {
        (address.high == 0 && address.low == 0) || address.ipv4 == 0
    }

    /// From where this machine would send to the seeds; without any, to the world: no packet goes there (RFC 5737, 3849).
    /// A flock whose seeds are all on this machine stays on it.
    private static func towardsOthers(_ seeds: [GossipConfiguration.Seed], isIPv6: Bool) -> [PeerAddress] {
        let literal = seeds.compactMap { seed -> PeerAddress? in
            if case .address(let address) = seed, isIPv6 || address.ipv4 != nil { address } else { nil }
        }
        let far = literal.filter { !$0.isLoopback }
        if far.isEmpty, !seeds.isEmpty, literal.count == seeds.count { return literal }
        let world = PeerAddress(ipv4: 0xc000_0201, port: 9)
        return far + [world] + (isIPv6 ? [PeerAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 9)] : [])
    }

    private static let loopback = PeerAddress(ipv4: 0x7f00_0001, port: 0)
}
