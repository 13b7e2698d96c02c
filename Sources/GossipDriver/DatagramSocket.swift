/// The UDP socket of a replica. NIO reads from it; we send on it ourselves.
///
/// NIO closes a datagram channel whose write fails, and writes fail whenever a laptop changes its network. A datagram
/// that cannot be sent is one lost datagram. Besides, sending from the outbox needs no buffer and no promise.
import WireCoding

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct DatagramSocket: Sendable {
    enum Sent {
        case sent
        /// Longer than the way to the peer allows.
        case tooLong
        /// The system has no room, or no way there. A datagram may be lost at any place.
        case lost
    }

    /// Longer than any packet of ours, so that a longer one shows.
    static let bufferBytes = 2_048

    let descriptor: CInt
    let isIPv6: Bool

    init(_ socket: BoundSocket) {
        descriptor = socket.descriptor
        isIPv6 = socket.isIPv6
    }

    func send(_ bytes: UnsafeRawBufferPointer, to address: PeerAddress) -> Sent {
        let count = SystemAddress.with(address, isIPv6: isIPv6) {
            sendto(descriptor, bytes.baseAddress, bytes.count, Self.dontWait, $0, $1)
        }
        if count == bytes.count { return .sent }
        return count != nil && errno == EMSGSIZE ? .tooLong : .lost
    }

    /// Nil when nothing waits.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (count: Int, from: PeerAddress)? {
        var name = sockaddr_storage()
        return withUnsafeMutablePointer(to: &name) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                let count = recvfrom(descriptor, buffer.baseAddress, buffer.count, Self.dontWait, name, &length)
                guard count >= 0, let from = SystemAddress.address(name) else { return nil }
                return (count, from)
            }
        }
    }

    #if os(Linux)
        private static let dontWait = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
    #else
        private static let dontWait = MSG_DONTWAIT
    #endif
}
