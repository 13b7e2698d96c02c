/// The two sockets of a replica's gossip, bound to one number: what is told of a replica is one address for both.
///
/// They are made here, in order and without a channel, since with port 0 the number of the one decides the other's.
import WireCoding

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct BoundSocket: Sendable {
    enum Kind: String { case stream = "TCP", datagram = "UDP" }

    /// Bytes of room for datagrams that the system is asked for each way [ours]: a second of a busy flock.
    static let roomBytes: CInt = 1 << 20
    static let backlog: CInt = 128
    /// Numbers that are tried when the system chooses one for TCP that UDP has already.
    static let attemptsMax = 16

    let descriptor: CInt
    let isIPv6: Bool

    /// `port` 0 lets the system choose. The host is of this machine, or all zeros for every address of it.
    static func pair(
        host: String, port: UInt16
    ) throws(GossipFailure) -> (stream: BoundSocket, datagram: BoundSocket, port: UInt16) {
        guard let address = SystemAddress.address(literal: host, port: port) else {
            throw GossipFailure(
                .listen, "gossip.bind names \(host), which is no address; write one of this machine, or 0.0.0.0 for all"
            )
        }
        let isIPv6 = host.contains(":")
        var failure: GossipFailure?
        for _ in 0..<(port == 0 ? attemptsMax : 1) {
            let stream = try BoundSocket(.stream, address, isIPv6: isIPv6)
            guard let chosen = stream.name?.port else {
                stream.close()
                continue
            }
            do {
                let same = PeerAddress(high: address.high, low: address.low, port: chosen)
                return (stream, try BoundSocket(.datagram, same, isIPv6: isIPv6), chosen)
            } catch {
                stream.close()
                failure = error
            }
        }
        throw failure ?? GossipFailure(.listen, "gossip cannot listen on \(address): the system names no port")
    }

    /// UDP again, after the system has closed it.
    static func datagram(host: String, port: UInt16) throws(GossipFailure) -> BoundSocket {
        guard let address = SystemAddress.address(literal: host, port: port) else {
            throw GossipFailure(.listen, "\(host) is no address")
        }
        return try BoundSocket(.datagram, address, isIPv6: host.contains(":"))
    }

    /// The address of this machine from which the system would send to another; nothing is sent. Nil when it knows no way.
    static func source(towards address: PeerAddress) -> PeerAddress? {
        let isIPv6 = address.ipv4 == nil
        let descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, type(of: .datagram), 0)
        guard descriptor >= 0 else { return nil }
        let probe = BoundSocket(descriptor: descriptor, isIPv6: isIPv6)
        defer { probe.close() }
        let isConnected = SystemAddress.with(address, isIPv6: isIPv6) { connect(descriptor, $0, $1) } == 0
        return isConnected ? probe.name : nil
    }

    private init(descriptor: CInt, isIPv6: Bool) {
        self.descriptor = descriptor
        self.isIPv6 = isIPv6
    }

    private init(_ kind: Kind, _ address: PeerAddress, isIPv6: Bool) throws(GossipFailure) {
        self.isIPv6 = isIPv6
        descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Self.type(of: kind), 0)
        guard descriptor >= 0 else { throw Self.failure(kind, address) }
        switch kind {
        case .stream: set(SOL_SOCKET, SO_REUSEADDR, 1)
        case .datagram:
            set(SOL_SOCKET, SO_RCVBUF, Self.roomBytes)
            set(SOL_SOCKET, SO_SNDBUF, Self.roomBytes)
            forbidFragments()
        }
        let isBound = SystemAddress.with(address, isIPv6: isIPv6) { bind(descriptor, $0, $1) } == 0
        guard isBound, kind == .datagram || listen(descriptor, Self.backlog) == 0 else {
            let failure = Self.failure(kind, address)
            close()
            throw failure
        }
    }

    private static func type(of kind: Kind) -> CInt {
        #if canImport(Glibc)
            CInt((kind == .stream ? SOCK_STREAM : SOCK_DGRAM).rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        #else
            CInt(kind == .stream ? SOCK_STREAM : SOCK_DGRAM)
        #endif
    }

    private var name: PeerAddress? {
        var name = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length) == 0 ? SystemAddress.address($0) : nil
            }
        }
    }

    /// Only before a channel took it over.
    func close() {
        #if canImport(Darwin)
            _ = Darwin.close(descriptor)
        #elseif canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Musl.close(descriptor)
        #endif
    }

    /// A packet that a router cuts in pieces is lost wherever pieces are dropped; better to be told that it is too long.
    private func forbidFragments() {
        #if os(Linux)
            set(CInt(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            if isIPv6 { set(CInt(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO) }
        #elseif canImport(Darwin)
            if isIPv6 { set(IPPROTO_IPV6, IPV6_DONTFRAG, 1) } else { set(IPPROTO_IP, IP_DONTFRAG, 1) }
        #endif
    }

    /// What the system refuses is done without.
    private func set(_ level: CInt, _ name: CInt, _ value: CInt) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func failure(_ kind: Kind, _ address: PeerAddress) -> GossipFailure {
        let code = errno
        let remedy = code == EADDRINUSE ? "; another process has this port, name another one in gossip.bind" : ""
        return GossipFailure(
            .listen,
            "gossip cannot listen on \(address) (\(kind.rawValue)): \(String(cString: strerror(code)))\(remedy)")
    }
}
