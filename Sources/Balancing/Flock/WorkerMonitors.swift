/// Who probes a worker: ranks 1 and 2 of the ring of replicas for it, however many replicas there are, so that a worker is
/// asked about once a second. Rank 3 stands in while one of the two is suspect, or they disagree for longer than a round.
package import Determinism
package import Placement
package import WireCoding

package struct WorkerMonitors: Sendable {
    /// Probes of one monitor are this far apart; two that disagree for longer did so in two rounds.
    package static let round = Nanoseconds.seconds(2)

    private struct Seats: Sendable {
        let ringKey: UInt64
        /// At most three.
        var ranked: [ReplicaShortID] = []
        var disagreeSince: Instant?
        var thirdStandsIn = false
    }

    private var seats: [Seats] = []

    package init() {}

    /// Positions are those of these keys.
    package mutating func configure(ringKeys: [UInt64]) { seats = ringKeys.map { Seats(ringKey: $0) } }

    /// Another layout, or somebody in it is gone.
    package mutating func assign(in ring: ReplicaRing, where isPresent: (ReplicaShortID) -> Bool) {
        for position in seats.indices {
            let ranked = ring.ranked(key: seats[position].ringKey, count: 3, where: isPresent)
            guard ranked != seats[position].ranked else { continue }
            if ranked.prefix(2) != seats[position].ranked.prefix(2) { seats[position].disagreeSince = nil }
            seats[position].ranked = ranked
        }
    }

    /// Looks at the two monitors of a worker. `saysDown`: nil when it has said nothing.
    package mutating func look(
        at position: Int, isSuspect: (ReplicaShortID) -> Bool, saysDown: (ReplicaShortID) -> Bool?, now: Instant
    ) {
        let ranked = seats[position].ranked
        guard ranked.count == 3 else {
            seats[position].disagreeSince = nil
            seats[position].thirdStandsIn = false
            return
        }
        if let first = saysDown(ranked[0]), let second = saysDown(ranked[1]), first != second {
            seats[position].disagreeSince = seats[position].disagreeSince ?? now
        } else {
            seats[position].disagreeSince = nil
        }
        let disagree = seats[position].disagreeSince.map { now > $0 + Self.round } ?? false
        seats[position].thirdStandsIn = disagree || isSuspect(ranked[0]) || isSuspect(ranked[1])
    }

    /// When rank 3 will stand in, if nothing changes until then.
    package func deadline(at position: Int) -> Instant {
        guard let since = seats[position].disagreeSince, !seats[position].thirdStandsIn else { return .never }
        return since + Self.round + .nanoseconds(1)
    }

    package func isMonitor(_ replica: ReplicaShortID, at position: Int) -> Bool {
        let seats = seats[position]
        guard let rank = seats.ranked.firstIndex(of: replica) else { return false }
        return rank < 2 || seats.thirdStandsIn
    }

    /// Ranks 1 to 3, of whom the last one may only wait.
    package func ranked(at position: Int) -> [ReplicaShortID] { seats[position].ranked }
}
