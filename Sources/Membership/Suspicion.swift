package import Determinism
package import WireCoding

/// Accelerates the death of a suspect as independent replicas confirm the suspicion.
///
/// A lone accuser may itself be the slow one, so a fresh suspicion waits `longest`. Each *different* accuser makes that
/// less likely, and the wait shrinks logarithmically to `shortest` (Lifeguard §IV.B):
///
///     wait = longest − (longest − shortest) · ln(c + 1) ÷ ln(K + 1)
///
/// `c` other accusers so far, `K` that earn the shortest wait. Who saw connections refused knows more: two of those end
/// the wait after 1.5 T.
package struct Suspicion: Hashable, Sendable {
    package enum Confirmation: Hashable, Sendable { case counted, repeated, saturated }

    package let subject: ReplicaShortID
    package let incarnation: Incarnation
    package let session: SessionID
    package let raisedAt: Instant
    /// M4: at most K + 1, in order of arrival.
    package private(set) var accusers: [ReplicaShortID]
    package private(set) var refusers: [ReplicaShortID] = []
    /// Where the sought one's address answered for another: the shortest wait at once.
    package var isElsewhere = false
    /// By which this machine was late meanwhile.
    package private(set) var lag = Nanoseconds.zero
    package private(set) var firstRefusal: Instant?

    package init(
        subject: ReplicaShortID, incarnation: Incarnation, session: SessionID, raisedAt: Instant, by: ReplicaShortID
    ) {
        self.subject = subject
        self.incarnation = incarnation
        self.session = session
        self.raisedAt = raisedAt
        accusers = [by]
    }

    package mutating func confirm(by accuser: ReplicaShortID, wanted: Int) -> Confirmation {
        if accusers.contains(accuser) { return .repeated }
        guard accusers.count <= wanted else { return .saturated }
        accusers.append(accuser)
        return .counted
    }

    /// True when this refuser is a new one. Two are all that count.
    package mutating func refuse(by refuser: ReplicaShortID, at now: Instant) -> Bool {
        guard refusers.count < 2, !refusers.contains(refuser) else { return false }
        refusers.append(refuser)
        firstRefusal = firstRefusal ?? now
        return true
    }

    package mutating func wait(longerBy late: Nanoseconds) { lag += late }

    package struct Terms: Hashable, Sendable {
        package var shortest: Nanoseconds
        package var longest: Nanoseconds
        package var wanted: Int
        package var refusersWanted: Int
        /// 1.5 T
        package var refusedWait: Nanoseconds

        package init(timing: MembershipTiming, replicas: Int, isLossy: Bool) {
            shortest = timing.shortestSuspicion(replicas: replicas, isLossy: isLossy)
            longest = shortest * timing.suspicionRatio
            wanted = timing.confirmationsWanted(replicas: replicas, isLossy: isLossy)
            refusersWanted = replicas <= 2 ? 1 : 2
            refusedWait = timing.period * 3 / 2
        }
    }

    package func deadline(under terms: Terms) -> Instant {
        let confirmations = min(accusers.count - 1, terms.wanted)
        let perMille = isElsewhere ? 1_000 : Self.share(of: confirmations, wanted: terms.wanted)
        let saved = (terms.longest.rawValue - terms.shortest.rawValue) / 1_000 * perMille
        let patient = raisedAt + Nanoseconds(rawValue: terms.longest.rawValue - saved) + lag
        guard refusers.count >= terms.refusersWanted, let firstRefusal else { return patient }
        return min(patient, firstRefusal + terms.refusedWait + lag)
    }

    package func isRefused(under terms: Terms) -> Bool { refusers.count >= terms.refusersWanted }

    /// 1,000 · ln(c + 1) ÷ ln(K + 1); K = 0 waits the shortest.
    private static func share(of confirmations: Int, wanted: Int) -> Int64 {
        shares[min(wanted, shares.count - 1)][confirmations]
    }

    private static let shares: [[Int64]] = [
        [1_000], [0, 1_000], [0, 631, 1_000], [0, 500, 792, 1_000], [0, 431, 683, 861, 1_000],
        [0, 387, 613, 774, 898, 1_000], [0, 356, 565, 712, 827, 921, 1_000],
    ]
    /// K for which the table has a row.
    package static let wantedMax = 6
}
