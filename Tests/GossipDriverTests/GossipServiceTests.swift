import Crypto
import Foundation
import Membership
import NIOCore
import NIOPosix
import ReplicaCore
import Testing
import WireCoding

@testable import GossipDriver

@Suite("Replicas on real sockets", .serialized)
struct GossipServiceTests {
    /// Runs `body` with replicas that know the first one's address, and ends them all.
    static func flock(_ count: Int, _ body: ([Replica], [Folder]) async throws -> Void) async throws {
        let folders = (0..<count).map { _ in Folder() }
        var replicas: [Replica] = []
        do {
            for (place, folder) in folders.enumerated() {
                let seeds = replicas.first.map { [$0.address] } ?? []
                replicas.append(try await .start(in: folder, name: "r\(place)", seeds: seeds))
            }
            try await body(replicas, folders)
        } catch {
            for replica in replicas { await replica.service.shutdown() }
            throw error
        }
        for replica in replicas { await replica.service.shutdown() }
    }

    static func ids(_ replicas: [Replica]) -> Set<ReplicaID> { Set(replicas.map(\.own.id)) }

    static func know(_ replicas: [Replica]) async throws {
        for replica in replicas {
            try await replica.sees(.alive, ids(replicas).subtracting([replica.own.id]))
        }
    }

    @Test("three replicas find each other through one seed, and a goodbye is known by all")
    func findAndLeave() async throws {
        try await Self.flock(3) { replicas, _ in
            try await Self.know(replicas)
            for replica in replicas { try await replica.sees { $0.isReady && $0.readyReplicas == 3 } }
            #expect(Set(replicas.map(\.service.port)).count == 3 && !replicas.map(\.service.port).contains(0))
            let leaver = replicas[2]
            let id = leaver.own.id
            await leaver.service.leave()
            for replica in replicas.dropLast() { try await replica.sees(.left, [id]) }
        }
    }

    @Test("a late replica is known by all soon after its start")
    func join() async throws {
        try await Self.flock(3) { replicas, _ in
            try await Self.know(replicas)
            let clock = ContinuousClock()
            let folder = Folder()
            let start = clock.now
            let late = try await Replica.start(in: folder, name: "late", seeds: [replicas[1].address])
            let id = late.own.id
            for replica in replicas {
                try await replica.sees { $0.others.contains { $0.id == id && $0.status == .alive } }
            }
            try await late.sees(.alive, Self.ids(replicas))
            let took = clock.now - start
            print("a join was known by all after \(took)")
            #expect(took < .seconds(5))
            await late.service.shutdown()
        }
    }

    @Test("a replica that ends without a word is found dead")
    func crash() async throws {
        try await Self.flock(3) { replicas, _ in
            try await Self.know(replicas)
            let id = replicas[1].own.id
            let clock = ContinuousClock()
            await replicas[1].service.shutdown()
            let start = clock.now
            for replica in [replicas[0], replicas[2]] { try await replica.sees(.dead, [id]) }
            print("a crash was known by all after \(clock.now - start)")
            let counts = replicas[0].service.counts
            #expect(counts.changed(to: .dead) == 1 && counts.falseDeaths == 0)
        }
    }

    @Test("after a restart a replica is the same, with a higher incarnation and a new session")
    func restart() async throws {
        try await Self.flock(2) { replicas, folders in
            try await Self.know(replicas)
            let before = replicas[1].own
            await replicas[1].service.shutdown()
            let again = try await Replica.start(in: folders[1], name: "again", seeds: [replicas[0].address])
            let after = again.own
            #expect(after.id == before.id && after.incarnation > before.incarnation && after.session != before.session)
            try await replicas[0].sees { view in
                view.others.contains { $0.id == before.id && $0.record.session == after.session && $0.status == .alive }
            }
            await again.service.shutdown()
        }
    }

    @Test("without seeds, the members of the last run are tried")
    func lastRun() async throws {
        try await Self.flock(2) { replicas, folders in
            try await Self.know(replicas)
            await replicas[1].service.shutdown()
            let known = KnownMembersFile.decode(try #require(try folders[1].read("members")))
            #expect(known == [replicas[0].address])
            let again = try await Replica.start(in: folders[1])
            try await again.sees(.alive, [replicas[0].own.id])
            await again.service.shutdown()
        }
    }

    @Test("other clusters and other secrets never meet, whatever their seeds say", arguments: [true, false])
    func strangers(otherName: Bool) async throws {
        let (here, there) = (Folder(), Folder())
        let first = try await Replica.start(in: here)
        let second = try await Replica.start(
            in: there, cluster: otherName ? "flocks" : "flock", secret: otherName ? Flock.secret : Flock.key(1),
            seeds: [first.address])
        let events = second.service.events()
        first.service.submit(.membership(.command(.join([second.address]))))
        try await second.sees { $0.isReady }
        var refusals = 0
        for await event in events {
            if case .fact(.joinFailed(_, .handshake)) = event { refusals += 1 }
            if refusals == 2 { break }
        }
        for replica in [first, second] {
            #expect(replica.service.members.value.others.isEmpty)
            #expect(replica.service.counts.streamsAccepted == 0 && replica.service.counts.failed(.handshake) > 0)
        }
        await first.service.shutdown()
        await second.service.shutdown()
    }

    @Test("garbage on both ports changes nothing and stops nothing")
    func garbage() async throws {
        try await Self.flock(2) { replicas, _ in
            try await Self.know(replicas)
            let target = replicas[0]
            let group = MultiThreadedEventLoopGroup.singleton
            let to = try SocketAddress(ipAddress: "127.0.0.1", port: Int(target.service.port))
            let datagrams = try await DatagramBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
            for count in [0, 1, 19, 36, 63, 64, 80, 91, 1_200, 1_201, 1_500, 9_000] {
                for first in [UInt8(0x10), 0x11, 0x53, 0xff] {
                    var bytes = [UInt8](repeating: 0x55, count: count)
                    if count > 0 { bytes[0] = first }
                    if count > 1 { bytes[1] = 0 }
                    let envelope = AddressedEnvelope(remoteAddress: to, data: ByteBuffer(bytes: bytes))
                    try? await datagrams.writeAndFlush(envelope)
                }
            }
            for count in [0, 1, 56, 2_000] {
                let stream = try await ClientBootstrap(group: group).connect(to: to).get()
                try? await stream.writeAndFlush(ByteBuffer(repeating: 0x53, count: count))
                if count > 0 { try? await stream.closeFuture.get() } else { try? await stream.close() }
            }
            try await datagrams.close()
            // Once both have probed each other again, everything was read.
            let before = target.service.counts.datagramsReceived
            let events = target.service.events()
            var acks = 0
            for await event in events {
                if case .fact(.acknowledged) = event { acks += 1 }
                if acks == 3 { break }
            }
            #expect(target.service.counts.datagramsReceived > before)
            let counts = target.service.counts
            #expect(counts.dropped(.decode) + counts.dropped(.version) + counts.dropped(.key) >= 40)
            #expect(counts.dropped(.auth) == 0 && counts.streamsAccepted <= 3)
            #expect(target.others(.alive) == [replicas[1].own.id] && replicas[1].others(.alive) == [target.own.id])
        }
    }

    @Test("a new key reaches all, seals when all have it, and outlives a restart of all")
    func rotation() async throws {
        try await Self.flock(2) { replicas, folders in
            try await Self.know(replicas)
            let key = ClusterSecrets.drawTrafficKey()
            replicas[0].service.submit(.keyring(.install(key)))
            for replica in replicas { try await replica.sees { $0.own.keyIDs.primary == key.id } }
            try await Self.know(replicas)
            for replica in replicas { await replica.service.shutdown() }
            let first = try await Replica.start(in: folders[0])
            let second = try await Replica.start(in: folders[1], seeds: [first.address])
            #expect(first.own.keyIDs.primary == key.id && second.own.keyIDs.primary == key.id)
            try await Self.know([first, second])
            await first.service.shutdown()
            await second.service.shutdown()
        }
    }

    @Test("a loop that stands still for a while ejects nobody, and is not ejected")
    func pause() async throws {
        try await Self.flock(3) { replicas, _ in
            try await Self.know(replicas)
            let paused = replicas[1]
            // What a stopped process looks like from outside; nothing waits for it here.
            try await paused.service.gossip.eventLoop.submit { _ = poll(nil, 0, 1_500) }.get()
            // Of events that began before, the first could be of a probe before the pause.
            for await event in paused.service.events() {
                if case .fact(.acknowledged) = event { break }
            }
            try await Self.know(replicas)
            for replica in replicas {
                let counts = replica.service.counts
                #expect(counts.changed(to: .dead) == 0 && counts.falseDeaths == 0)
            }
            #expect(paused.service.counts.late > 0)
        }
    }

    @Test("when the system closes the UDP socket, it is opened again, and nobody is lost meanwhile")
    func closedSocket() async throws {
        try await Self.flock(2) { replicas, _ in
            try await Self.know(replicas)
            let gossip = replicas[0].service.gossip
            let events = replicas[1].service.events()
            try await gossip.eventLoop.flatSubmit {
                gossip.value.reader?.close() ?? gossip.eventLoop.makeSucceededVoidFuture()
            }.get()
            #expect(try await gossip.eventLoop.submit { gossip.value.socket == nil }.get())
            var byStream = false
            for await event in events {
                guard case .fact(.acknowledged(_, _, let path)) = event else { continue }
                if path == .stream { byStream = true }
                if path == .direct, byStream { break }
            }
            try await Self.know(replicas)
            #expect(replicas.allSatisfy { $0.service.counts.changed(to: .dead) == 0 })
        }
    }

    @Test("no packet leaves before the identity is durable, and a full disk is waited out")
    func disk() async throws {
        let folder = Folder()
        let first = try await Replica.start(in: Folder())
        // In the way of what is written beside the identity.
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/identity.new", withIntermediateDirectories: true)
        let second = try await Replica.start(in: folder, seeds: [first.address])
        for await event in second.service.events() {
            if case .cannotPersist(let why) = event, why.contains("\(folder.path)/identity") { break }
        }
        #expect(second.service.counts.datagramsSent == 0 && second.service.counts.streamsOpened == 0)
        try FileManager.default.removeItem(atPath: "\(folder.path)/identity.new")
        try await second.sees(.alive, [first.own.id])
        await first.service.shutdown()
        await second.service.shutdown()
    }

    @Test("a seed may be a name, and an address of version 6")
    func names() async throws {
        let first = try await Replica.start(in: Folder()) { $0.host = "::" }
        let second = try await Replica.start(in: Folder()) {
            $0.seeds = [.name("localhost", port: first.service.port), .name("no such host", port: 1)]
        }
        try await second.sees(.alive, [first.own.id])
        try await first.sees(.alive, [second.own.id])
        await first.service.shutdown()
        await second.service.shutdown()
    }

    @Test("strangers may hold thirty-two connections, and none of them for longer than a second")
    func connections() async throws {
        let replica = try await Replica.start(in: Folder())
        let to = try SocketAddress(ipAddress: "127.0.0.1", port: Int(replica.service.port))
        var streams: [any Channel] = []
        // On the loopback each port is a source of its own, so what counts is how many there are in all.
        for _ in 0..<36 {
            streams.append(
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(to: to).get())
        }
        for stream in streams { try await stream.closeFuture.get() }
        let counts = replica.service.counts
        #expect(counts.streamsRefused == 4 && counts.failed(.timeout) == 32 && counts.streamsAccepted == 0)
        await replica.service.shutdown()
    }

    @Test("a directory serves one replica at a time, and says so")
    func twoInOne() async throws {
        let folder = Folder()
        let first = try await Replica.start(in: folder)
        let failure = await #expect(throws: GossipFailure.self) { _ = try await Replica.start(in: folder) }
        #expect(failure?.code == .dataDirectory && failure?.description.contains(folder.path) == true)
        await first.service.shutdown()
    }

    @Test("a port that is taken is named, with a remedy")
    func portTaken() async throws {
        let first = try await Replica.start(in: Folder())
        let failure = await #expect(throws: GossipFailure.self) {
            _ = try await Replica.start(in: Folder()) { $0.port = first.service.port }
        }
        #expect(failure?.code == .listen && failure?.description.contains("\(first.service.port)") == true)
        await first.service.shutdown()
    }
}
