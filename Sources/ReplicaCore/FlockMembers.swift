/// What `WorkerFlock` needs to know of the replicas that are here: alive or suspect, this one included.
import Determinism
import Membership
import Placement
import WireCoding

struct FlockMembers: Sendable {
    struct Present: Sendable {
        let id: ReplicaShortID
        var session: SessionID
        var isSuspect: Bool
        /// Ready and not draining: its place in rings.
        var participates: Bool
        var isSettled: Bool
        /// Since when it holds other rings than this replica.
        var differsSince: Instant?
        var isDifferenceTold = false

        init(_ member: Member) {
            let flags = member.record.flags
            id = member.short
            session = member.record.session
            isSuspect = member.status == .suspect
            participates = flags.contains(.ready) && !flags.contains(.draining)
            isSettled = flags.contains(.settled)
        }
    }

    /// Sorted by id.
    private(set) var present: [Present] = []

    subscript(id: ReplicaShortID) -> Present? { position(of: id).map { present[$0] } }

    func isPresent(_ id: ReplicaShortID) -> Bool { position(of: id) != nil }
    func isSuspect(_ id: ReplicaShortID) -> Bool { self[id]?.isSuspect ?? false }

    /// Returns what was held before.
    mutating func set(_ next: Present) -> Present? {
        guard let position = position(of: next.id) else {
            present.insert(next, at: present.place(of: next.id, sortedBy: \.id))
            return nil
        }
        let before = present[position]
        present[position] = next
        present[position].differsSince = before.differsSince
        present[position].isDifferenceTold = before.isDifferenceTold
        return before
    }

    mutating func remove(_ id: ReplicaShortID) -> Present? {
        position(of: id).map { present.remove(at: $0) }
    }

    /// Notes whether a member has the same rings. Not nil: that has lasted long enough to be told, or is over.
    mutating func note(_ id: ReplicaShortID, differs: Bool, patience: Nanoseconds, at now: Instant) -> Bool? {
        guard let position = position(of: id) else { return nil }
        guard differs else {
            let wasTold = present[position].isDifferenceTold
            present[position].differsSince = nil
            present[position].isDifferenceTold = false
            return wasTold ? false : nil
        }
        guard let since = present[position].differsSince else {
            present[position].differsSince = now
            return nil
        }
        guard !present[position].isDifferenceTold, now > since + patience else { return nil }
        present[position].isDifferenceTold = true
        return true
    }

    /// Who holds other rings for longer than it should.
    var disagreeing: [ReplicaShortID] { present.filter(\.isDifferenceTold).map(\.id) }

    var ring: ReplicaRing {
        ReplicaRing(
            present.lazy.filter(\.participates).map { ReplicaRing.Participant(id: $0.id, isSettled: $0.isSettled) })
    }

    private func position(of id: ReplicaShortID) -> Int? { present.position(of: id, sortedBy: \.id) }
}
