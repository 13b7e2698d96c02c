import Determinism
import Membership
import WireCoding

/// What a process has on disk: its identity, in the order in which it was written.
struct SimulatedDisk: Sendable {
    /// Oldest first; what a backup may bring back.
    private(set) var versions: [PersistedIdentity] = []
    /// Written, not synced.
    private(set) var pending: [PersistedIdentity] = []

    /// The keys of the flock, and those that a backup of before would have. Written by renaming a synced file.
    private(set) var keyring: Keyring?
    private var olderKeyring: Keyring?

    static let versionsMax = 16

    mutating func write(_ keyring: Keyring) {
        olderKeyring = self.keyring
        self.keyring = keyring
    }

    var durable: PersistedIdentity? { versions.last }

    mutating func write(_ identity: PersistedIdentity) { pending.append(identity) }

    /// The oldest write that was not synced is now.
    mutating func sync() -> PersistedIdentity? {
        guard !pending.isEmpty else { return nil }
        let identity = pending.removeFirst()
        keep(identity)
        return identity
    }

    private mutating func keep(_ identity: PersistedIdentity) {
        if versions.count >= Self.versionsMax { versions.removeFirst() }
        versions.append(identity)
    }

    /// What the next start finds.
    mutating func crash(
        _ fate: Trouble.DiskFate, cloneOf other: PersistedIdentity?, drawing generator: inout SeededGenerator
    ) {
        switch fate {
        case .kept:
            // The system had written some of it before it was asked to.
            for identity in pending.prefix(Int(generator.below(UInt64(pending.count + 1)))) { keep(identity) }
        case .unsyncedLost: break
        case .wiped:
            versions.removeAll()
            keyring = nil
            olderKeyring = nil
        case .olderBackup:
            if versions.count > 1 { versions.removeLast(Int(generator.below(UInt64(versions.count)))) }
            keyring = olderKeyring
        case .clone:
            if let other {
                versions = [other]
            }
        }
        pending.removeAll()
    }
}
