/// Which replica is responsible for what: rendezvous over the replicas that are ready (Thaler and Ravishankar, 1998).
///
/// A value, and a pure function of those it is made of: equal participants give equal ranks on every replica, in whatever
/// order they came (M13). Replicas have no weights, so a draw is one hash and no logarithm.
import Determinism
package import WireCoding

package struct ReplicaRing: Hashable, Sendable {
    package struct Participant: Hashable, Sendable {
        package let id: ReplicaShortID
        /// May be an authority.
        package let isSettled: Bool

        package init(id: ReplicaShortID, isSettled: Bool) {
            self.id = id
            self.isSettled = isSettled
        }
    }

    package static let empty = ReplicaRing([])

    /// Sorted by id, each once.
    package let participants: [Participant]
    /// The low half rides on pings.
    package let version: UInt64

    /// Members that are alive or suspect, ready and not draining: a suspicion alone never changes a ring (M14).
    package init(_ members: some Sequence<Participant>) {
        var sorted = members.sorted { $0.id < $1.id }
        // Two of one id are one replica told of twice; M18 keeps others from sharing it.
        var kept = 0
        for position in sorted.indices {
            if kept > 0, sorted[kept - 1].id == sorted[position].id {
                let isSettled = sorted[kept - 1].isSettled || sorted[position].isSettled
                sorted[kept - 1] = Participant(id: sorted[position].id, isSettled: isSettled)
            } else {
                sorted[kept] = sorted[position]
                kept += 1
            }
        }
        sorted.removeLast(sorted.count - kept)
        participants = sorted
        version =
            RingVersion(
                members: sorted.lazy.map {
                    RingVersion.Member(key: UInt64($0.id.rawValue), weight: $0.isSettled ? 2 : 1)
                }
            ).rawValue
    }

    /// The smallest draw has rank 1.
    package static func draw(of id: ReplicaShortID, key: UInt64) -> UInt64 {
        var hash = StableHash64(seed: key)
        hash.update(UInt64(id.rawValue))
        return hash.digest()
    }

    /// Ranks 1, 2, … of a key among those that `isPresent` lets through: whoever is gone is left out at once, before a new
    /// layout is published.
    package func ranked(
        key: UInt64, count: Int, where isPresent: (ReplicaShortID) -> Bool = { _ in true }
    ) -> [ReplicaShortID] {
        var best: [(draw: UInt64, id: ReplicaShortID)] = []
        guard count > 0 else { return [] }
        best.reserveCapacity(min(count, participants.count) + 1)
        for participant in participants {
            let draw = Self.draw(of: participant.id, key: key)
            if best.count == count, let last = best.last, (draw, participant.id) >= (last.draw, last.id) { continue }
            guard isPresent(participant.id) else { continue }
            let place = best.firstIndex { (draw, participant.id) < ($0.draw, $0.id) } ?? best.count
            best.insert((draw, participant.id), at: place)
            if best.count > count { best.removeLast() }
        }
        return best.map(\.id)
    }

    /// Who grants the allowances of a key: rank 1 of the settled, or of all while nobody has settled. Nil in an empty ring.
    package func authority(
        key: UInt64, where isPresent: (ReplicaShortID) -> Bool = { _ in true }
    ) -> ReplicaShortID? {
        var best: (isUnsettled: UInt8, draw: UInt64, id: ReplicaShortID)?
        for participant in participants where isPresent(participant.id) {
            let draw = Self.draw(of: participant.id, key: key)
            let own = (participant.isSettled ? UInt8(0) : 1, draw, participant.id)
            if best.map({ own < $0 }) ?? true { best = own }
        }
        return best?.id
    }
}
