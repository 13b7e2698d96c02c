/// The flock for its operators: what the gossip shows, as pages, and what they order of it.
import Determinism
import ExchangeFlow
import GossipDriver
import HTTPEdge
import Membership
import Placement
import RateLimiting
import ReplicaCore
import Settings
import Telemetry
import UpstreamLane
import WireCoding

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

final class GossipDesk: FlockDesk {
    private let service: FlockService
    private let name: String
    private let inquiry: ReachabilityInquiry
    private let isDraining: @Sendable () -> Bool

    /// `name`: of this replica. `isDraining`: it is about to leave.
    init(
        service: FlockService, name: String, inquiry: ReachabilityInquiry, isDraining: @escaping @Sendable () -> Bool
    ) {
        self.service = service
        self.name = name
        self.inquiry = inquiry
        self.isDraining = isDraining
    }

    // MARK: Pages

    func members() async -> [MemberRow] {
        guard let gossip = service.gossip else { return [] }
        return MemberPages.rows(of: gossip.members.value, gossip, await gossip.inspect())
    }

    func status() async -> FlockStatus {
        guard let gossip = service.gossip else {
            let ring = FlockStatus.Ring(version: Hexadecimal.text(0), participants: 0)
            return FlockStatus(
                members: [], replicaRing: ring, workerRing: ring,
                gossip: FlockStatus.Gossip(state: "starting", mode: "direct", agreement: ""))
        }
        let view = gossip.members.value
        let flock = gossip.flock.value
        let counts = gossip.counts
        let rates = service.traffic.rates
        let inspection = await gossip.inspect()
        let present = view.present
        let word =
            isDraining() ? "leaving" : !view.isReady ? "joining" : present.isEmpty ? "alone" : "joined"
        let disagreeing = present.filter { $0.record.agreement != view.own.agreement }.map { "\($0.record.name)" }
        return FlockStatus(
            members: MemberPages.rows(of: view, gossip, inspection),
            replicaRing: .init(
                version: Hexadecimal.text(flock.ring.version), participants: flock.ring.participants.count),
            workerRing: .init(
                version: Hexadecimal.text(UInt64(flock.views.workerRing)), participants: flock.workers.count),
            ringDisagreements: flock.disagreeing.map { MemberPages.name(of: $0, in: view) },
            gossip: FlockStatus.Gossip(
                state: word, mode: inspection.isDirect ? "direct" : "epidemic",
                awareness: counts.awareness, isLossy: view.own.flags.contains(.lossy), bytesSentPerSecond: rates.sent,
                bytesReceivedPerSecond: rates.received, rumours: inspection.rumours,
                dropped: DropReason.allCases.map { .init(reason: $0.word, count: counts.dropped($0)) },
                primaryKey: view.own.keyIDs.primary, agreement: MemberPages.agreement(view.own),
                disagreeing: disagreeing))
    }

    func reachability(isLocal: Bool, authorization: String?) async -> ReachabilityPage {
        guard let gossip = service.gossip else { return ReachabilityPage(asked: 0) }
        let view = gossip.members.value
        var page = ReachabilityPage(asked: 1, failures: unreached(view))
        guard !isLocal else { return page }
        let present = view.present
        let places = present.map {
            ReachabilityInquiry.Place(
                name: "\($0.record.name)", host: $0.record.address.host, port: $0.record.httpPort)
        }
        page.asked += places.count
        for (place, answer) in zip(places, await inquiry.ask(places, authorization: authorization)) {
            guard let answer else {
                page.silent.append(place.name)
                continue
            }
            page.failures += answer
        }
        page.failures.sort { ($0.from, $0.to) < ($1.from, $1.to) }
        page.silent.sort()
        return page
    }

    /// Whom this replica cannot reach now, or not as it should.
    private func unreached(_ view: MembersView) -> [ReachabilityPage.Pair] {
        view.others.filter { !$0.isPruned }.compactMap { member in
            let why: String
            switch member.status {
            case .suspect, .dead: why = member.status.word
            case .alive where view.udpBlocked.contains(member.short): why = "udp blocked"
            case .alive where view.reachedByOthersOnly.contains(member.short): why = "reached by others only"
            case .alive, .left: return nil
            }
            return .init(from: name, to: "\(member.record.name)", why: why)
        }
    }

    func keyring() async -> KeyringPage {
        guard let gossip = service.gossip else { return KeyringPage(keys: [], members: 0) }
        let view = gossip.members.value
        let present = view.present
        let keys = gossip.keyring.value.map { key in
            KeyringPage.Key(
                id: key.id, state: key.state.word,
                holders: 1 + present.reduce(0) { $0 + ($1.record.keyIDs.contains(key.id) ? 1 : 0) })
        }
        return KeyringPage(
            keys: keys, members: present.count + 1,
            silent: present.filter { $0.status == .suspect }.map { "\($0.record.name)" })
    }

    func events() async -> AsyncStream<FlockEvent> {
        guard let gossip = service.gossip else { return AsyncStream { $0.finish() } }
        let events = gossip.events()
        return AsyncStream(bufferingPolicy: .bufferingOldest(1_024)) { continuation in
            let task = Task {
                var number = 0
                for await event in events {
                    guard let page = FlockEventText.page(event, in: gossip.members.value) else { continue }
                    number += 1
                    continuation.yield(
                        FlockEvent(
                            number: number, atSeconds: Double(LoopClock.wallMilliseconds()) / 1_000, kind: page.kind,
                            name: page.name, id: page.id, text: page.text))
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    func blocks() async -> BlocksPage {
        guard let gossip = service.gossip else { return BlocksPage(rows: []) }
        let view = gossip.members.value
        let now = LoopClock.now()
        let held = gossip.flock.value.blocks.filter { !$0.isCleared && $0.endsAt > now }
        return BlocksPage(
            rows: held.map { entry in
                let address = IPAddress(high: entry.prefix.high, low: entry.prefix.low)
                return BlocksPage.Row(
                    address: address.isVersion4 ? "\(address)" : "\(address)/\(entry.prefix.length)",
                    secondsLeft: Int(entry.endsAt.seconds(since: now).rounded(.up)),
                    by: MemberPages.name(of: entry.origin, in: view))
            })
    }

    // MARK: Orders

    func block(_ blocked: BlockedAddress, seconds: Int) async throws(FlockRefusal) -> BlocksPage {
        let prefix = AddressPrefix(around: blocked.address.high, blocked.address.low)
        await (try begun()).obey(
            .block(
                AddressBlockNews(
                    prefixLength: prefix.length, isCleared: seconds == 0, reason: 0, high: prefix.high, low: prefix.low,
                    stamp: 0, origin: ReplicaShortID(rawValue: 0), durationSeconds: UInt32(seconds), ageSeconds: 0)))
        return await blocks()
    }

    func join(_ seeds: [SeedAddress]) async throws(FlockRefusal) {
        let gossip = try begun()
        var addresses: [PeerAddress] = []
        for seed in seeds {
            switch seed {
            case .address(let address): addresses.append(address)
            case .name(let name, let port): addresses += await gossip.addresses(of: name, port: port)
            }
        }
        guard !addresses.isEmpty else {
            throw FlockRefusal(
                .unknown, code: "seed_not_found",
                "None of these names has an address now. Write addresses, or names that this replica can look up.")
        }
        gossip.submit(.membership(.command(.join(addresses))))
    }

    func leave() async throws(FlockRefusal) {
        _ = try begun()
        // The same end as an operator's signal: notice, running answers, goodbye.
        kill(getpid(), SIGTERM)
    }

    func forceLeave(_ member: String, prune: Bool) async throws(FlockRefusal) -> MemberRow {
        let gossip = try begun()
        let view = gossip.members.value
        let named = view.others.filter {
            "\($0.record.name)" == member || (member.utf8.count >= 4 && "\($0.id)".hasPrefix(member.lowercased()))
        }
        if "\(view.own.name)" == member || "\(view.own.id)".hasPrefix(member.lowercased()) {
            throw FlockRefusal(
                .conflict, code: "member_is_self",
                "This replica does not remove itself: starling leave ends it in order.")
        }
        guard let found = named.first else {
            throw FlockRefusal(
                .unknown, code: "member_not_found",
                "No member has this name or id. starling members lists those that are known.")
        }
        guard named.count == 1 else {
            throw FlockRefusal(
                .unclear, code: "member_unclear",
                "\(named.count) members are meant. Give more digits of the id that starling members shows.")
        }
        gossip.submit(.membership(.command(.forceLeave(found.id, prune: prune))))
        return MemberPages.row(of: found, view, gossip)
    }

    func tell(_ order: KeyringOrder) async throws(FlockRefusal) -> KeyringPage {
        let gossip = try begun()
        let command: KeyringCommand
        switch order {
        case .install: command = .install(ClusterSecrets.drawTrafficKey())
        case .use(let id): command = .use(id)
        case .remove(let id, let now): command = .remove(id, isImmediate: now)
        }
        if let refusal = await gossip.order(command) { throw KeyringWords.refusal(refusal) }
        return await keyring()
    }

    private func begun() throws(FlockRefusal) -> GossipService {
        guard let gossip = service.gossip else {
            throw FlockRefusal(
                .conflict, code: "gossip_starting", "This replica has just started and does not gossip yet. Ask again.")
        }
        return gossip
    }
}
