import Crypto
import Foundation
import Logging
import Membership
import NIOCore
import NIOPosix
import ReplicaCore
import Synchronization
import WireCoding

@testable import GossipDriver

/// A running replica of a test, and what its hooks told.
final class Replica: Sendable {
    struct TimedOut: Error {}

    let service: GossipService
    let views: Latest<MembersView>
    /// Kept as long as the replica.
    private let folder: Folder

    init(service: GossipService, views: Latest<MembersView>, folder: Folder) {
        self.service = service
        self.views = views
        self.folder = folder
    }

    static func start(
        in directory: Folder, cluster: String = "flock", secret: SymmetricKey = Flock.secret, name: String = "",
        seeds: [PeerAddress] = [], _ change: (inout GossipConfiguration) -> Void = { _ in }
    ) async throws -> Replica {
        var configuration = GossipConfiguration(
            clusterName: cluster, secrets: [secret], dataDirectory: directory.path)
        configuration.host = "127.0.0.1"
        configuration.port = 0
        configuration.name = name
        configuration.seeds = seeds.map { .address($0) }
        change(&configuration)
        let views = Latest<MembersView>()
        var hooks = GossipHooks()
        hooks.membersChanged = { views.set($0) }
        var logger = Logger(label: "gossip") { _ in SwiftLogNoOpLogHandler() }
        if ProcessInfo.processInfo.environment["GOSSIP_LOG"] != nil {
            logger = Logger(label: name)
            logger.logLevel = .debug
        }
        let service = try await GossipService.start(configuration, hooks: hooks, logger: logger)
        return Replica(service: service, views: views, folder: directory)
    }

    var own: MemberRecord { service.members.value.own }
    var address: PeerAddress { service.address }

    /// Members of this status, as this replica sees them.
    func others(_ status: MemberStatus) -> Set<ReplicaID> {
        Set(service.members.value.others.filter { $0.status == status }.map(\.id))
    }

    /// Waits for a view; no more than `within`.
    func sees(within: Duration = .seconds(20), _ wanted: @escaping @Sendable (MembersView) -> Bool) async throws {
        try await views.wait(within: within, wanted)
    }

    func sees(_ status: MemberStatus, _ ids: Set<ReplicaID>) async throws {
        try await sees { view in Set(view.others.filter { $0.status == status }.map(\.id)) == ids }
    }
}

/// The latest of values that come one after the other, to be waited for.
final class Latest<Value: Sendable>: Sendable {
    private struct Waiter {
        let wanted: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Bool, Never>
    }
    private struct State {
        var value: Value?
        var waiters: [Int: Waiter] = [:]
        var number = 0
    }
    private let state = Mutex(State())

    func set(_ value: Value) {
        let served = state.withLock { state in
            state.value = value
            let served = state.waiters.filter { $0.value.wanted(value) }
            for key in served.keys { state.waiters[key] = nil }
            return served.values.map(\.continuation)
        }
        for continuation in served { continuation.resume(returning: true) }
    }

    func wait(within: Duration, _ wanted: @escaping @Sendable (Value) -> Bool) async throws {
        let number = state.withLock { state in
            state.number += 1
            return state.number
        }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let deadline = loop.scheduleTask(in: TimeAmount(within)) { self.giveUp(number) }
        let isSeen = await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if let value = state.value, wanted(value) { return true }
                state.waiters[number] = Waiter(wanted: wanted, continuation: continuation)
                return false
            }
            if isThere { continuation.resume(returning: true) }
        }
        deadline.cancel()
        guard isSeen else { throw Replica.TimedOut() }
    }

    private func giveUp(_ number: Int) {
        let waiter = state.withLock { $0.waiters.removeValue(forKey: number) }
        waiter?.continuation.resume(returning: false)
    }
}

/// A folder of a test, gone with it.
final class Folder: Sendable {
    let path = NSTemporaryDirectory() + "starling-gossip-\(UInt64.random(in: .min ... .max))"

    func write(_ bytes: [UInt8], to name: String, mode: Int = 0o600) throws {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
    }

    func read(_ name: String) throws -> [UInt8]? {
        FileManager.default.contents(atPath: "\(path)/\(name)").map { Array($0) }
    }

    func mode(of name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")
        return (attributes[.posixPermissions] as? Int ?? 0) & 0o777
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
