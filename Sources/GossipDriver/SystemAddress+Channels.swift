/// `PeerAddress` in NIO's words.
import NIOCore
import WireCoding

extension SystemAddress {
    static func address(_ address: SocketAddress) -> PeerAddress? {
        address.withSockAddr { name, _ in Self.address(name) }
    }

    /// For TCP: a socket is made for each connection, of the family of its peer.
    static func stream(to address: PeerAddress) -> SocketAddress? {
        var packed = ByteBuffer()
        if let ipv4 = address.ipv4 {
            packed.writeInteger(ipv4)
        } else {
            packed.writeInteger(address.high)
            packed.writeInteger(address.low)
        }
        return try? SocketAddress(packedIPAddress: packed, port: Int(address.port))
    }
}
