/// What seeds stand for now. Names are looked up on threads of their own, since a lookup may block for half a minute.
import NIOCore
import NIOPosix
import WireCoding

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Belongs to the gossip's loop.
final class SeedLookup {
    /// Answers that come later are not waited for [ours].
    static let patience = TimeAmount.seconds(2)
    /// Addresses of one name [ours].
    static let addressesPerNameMax = 64

    private let seeds: [GossipConfiguration.Seed]
    private let loop: any EventLoop
    private let pool: NIOThreadPool
    /// Addresses that this replica's socket cannot reach are none.
    private let isIPv6: Bool
    /// Lookups that block, this round's or an earlier one's: one at a time for each seed.
    private var running: Set<GossipConfiguration.Seed> = []

    init(_ seeds: [GossipConfiguration.Seed], loop: any EventLoop, pool: NIOThreadPool, isIPv6: Bool) {
        self.seeds = seeds
        self.loop = loop
        self.pool = pool
        self.isIPv6 = isIPv6
    }

    /// Calls `done` once, on the loop, with everything that was found in time.
    func look(_ done: @escaping ([PeerAddress]) -> Void) {
        let round = Round(done)
        for seed in seeds {
            switch seed {
            case .address(let address): round.found += [address]
            case .name(let name, let port):
                guard running.insert(seed).inserted else { continue }
                round.awaited += 1
                pool.runIfActive(eventLoop: loop) { Self.addresses(of: name, port: port) }.assumeIsolated()
                    .whenComplete { result in
                        self.running.remove(seed)
                        round.found += (try? result.get()) ?? []
                        round.awaited -= 1
                        self.endIfDone(round)
                    }
            }
        }
        if round.awaited > 0 {
            loop.assumeIsolated().scheduleTask(in: Self.patience) {
                round.awaited = 0
                self.endIfDone(round)
            }
        }
        endIfDone(round)
    }

    private func endIfDone(_ round: Round) {
        guard round.awaited <= 0, let done = round.done else { return }
        round.done = nil
        done(round.found.filter { isIPv6 || $0.ipv4 != nil })
    }

    private final class Round {
        var done: (([PeerAddress]) -> Void)?
        var found: [PeerAddress] = []
        var awaited = 0

        init(_ done: @escaping ([PeerAddress]) -> Void) { self.done = done }
    }

    /// All addresses of a name, IPv4 and IPv6. Blocks.
    static func addresses(of name: String, port: UInt16) -> [PeerAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        #if canImport(Glibc)
            hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = CInt(SOCK_STREAM)
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0, let first = list else { return [] }
        defer { freeaddrinfo(first) }
        var found: [PeerAddress] = []
        var next = list
        while let entry = next, found.count < addressesPerNameMax {
            next = entry.pointee.ai_next
            guard let socketName = entry.pointee.ai_addr, let address = SystemAddress.address(socketName) else {
                continue
            }
            let here = PeerAddress(high: address.high, low: address.low, port: port)
            if !found.contains(here) { found.append(here) }
        }
        return found
    }
}
