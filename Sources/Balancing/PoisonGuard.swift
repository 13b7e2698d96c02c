/// Which requests are thought to end the engines that compute them. One such request, tried again by a kind gateway or an
/// impatient client, ends a whole fleet one by one.
///
/// A request that was under way without a token when its worker died is a *suspect*. It may be tried once more, alone with
/// its worker, so that no innocent fellow shares its second trial: if that worker dies too, it is *convicted* and reaches no
/// worker any more. An answer clears it. A request is known by a hash of what it asks, so a client's own retry is the same.
package import Determinism

package struct PoisonGuard: Sendable {
    package static let recordsMax = 4_096
    package static let suspectSeconds = 600.0
    package static let convictSeconds = 3_600.0
    /// Reports of one death come within this time of each other.
    static let deathSeconds = 5.0
    /// Deaths that are remembered, one for each worker.
    static let deathsMax = 256
    /// Exchanges of one death that had tokens already.
    static let bystandersMax = 64
    /// The same worker, hanging up on a request that is alone with it: this much later it is another time.
    static let againSeconds = 1.0

    package enum Judgement: Equatable, Sendable { case unknown, suspect, convicted }

    package struct Record: Equatable, Sendable {
        package let fingerprint: UInt64
        package internal(set) var casualties: Int
        package internal(set) var isConvicted: Bool
        package internal(set) var until: Instant
        var worker: WorkerIndex
        var incarnation: Int
        var at: Instant
    }

    private struct Death: Sendable {
        var incarnation: Int
        var at: Instant
        /// Somebody without a token was there: those with tokens are innocent.
        var hasSuspect = false
        var bystanders: [UInt64] = []
    }

    private var byFingerprint: [UInt64: Record] = [:]
    private var deaths: [WorkerIndex: Death] = [:]

    package init() {}

    package var isEmpty: Bool { byFingerprint.isEmpty }

    /// Those that count now, the latest first.
    package func records(at now: Instant) -> [Record] {
        byFingerprint.values.filter { $0.until > now }.sorted {
            ($0.until, $0.fingerprint) > ($1.until, $1.fingerprint)
        }
    }

    package mutating func judge(_ fingerprint: UInt64, at now: Instant) -> Judgement {
        guard let record = byFingerprint[fingerprint] else { return .unknown }
        guard record.until > now else {
            byFingerprint[fingerprint] = nil
            return .unknown
        }
        return record.isConvicted ? .convicted : .suspect
    }

    /// The worker died while this request was under way without a token. `wasAlone`: no other request without one was
    /// there. `isNew`: the first report of this death.
    package mutating func casualty(
        _ fingerprint: UInt64, on worker: WorkerIndex, incarnation: Int, wasAlone: Bool, at now: Instant
    ) -> (judgement: Judgement, isNew: Bool) {
        let isNew = noteDeath(of: worker, incarnation, at: now)
        if let death = deaths[worker], !death.hasSuspect {
            for bystander in death.bystanders { retract(bystander, worker) }
            deaths[worker]?.hasSuspect = true
            deaths[worker]?.bystanders = []
        }
        return (suspect(fingerprint, worker, incarnation, wasAlone: wasAlone, at: now), isNew)
    }

    /// The worker died while this request had tokens already: suspect only if nobody without one was there.
    package mutating func witness(
        _ fingerprint: UInt64, on worker: WorkerIndex, incarnation: Int, at now: Instant
    ) -> (judgement: Judgement, isNew: Bool) {
        let isNew = noteDeath(of: worker, incarnation, at: now)
        guard let death = deaths[worker], !death.hasSuspect, death.bystanders.count < Self.bystandersMax else {
            return (judge(fingerprint, at: now), isNew)
        }
        deaths[worker]?.bystanders.append(fingerprint)
        return (suspect(fingerprint, worker, incarnation, wasAlone: false, at: now), isNew)
    }

    /// It was answered: whatever died, it was not of this.
    package mutating func answered(_ fingerprint: UInt64) {
        if byFingerprint[fingerprint]?.isConvicted == false { byFingerprint[fingerprint] = nil }
    }

    /// An operator knows better; nil forgets all. False: there was none.
    package mutating func forget(_ fingerprint: UInt64?) -> Bool {
        guard let fingerprint else {
            byFingerprint.removeAll()
            return true
        }
        return byFingerprint.removeValue(forKey: fingerprint) != nil
    }

    // MARK: Within

    private mutating func noteDeath(of worker: WorkerIndex, _ incarnation: Int, at now: Instant) -> Bool {
        if let known = deaths[worker], known.incarnation == incarnation,
            now.seconds(since: known.at) < Self.deathSeconds
        {
            return false
        }
        if deaths[worker] == nil, deaths.count >= Self.deathsMax { deaths.removeAll() }
        deaths[worker] = Death(incarnation: incarnation, at: now)
        return true
    }

    private mutating func suspect(
        _ fingerprint: UInt64, _ worker: WorkerIndex, _ incarnation: Int, wasAlone: Bool, at now: Instant
    ) -> Judgement {
        guard judge(fingerprint, at: now) != .unknown, var record = byFingerprint[fingerprint] else {
            makeRoom()
            byFingerprint[fingerprint] = Record(
                fingerprint: fingerprint, casualties: 1, isConvicted: false, until: now + .seconds(Self.suspectSeconds),
                worker: worker, incarnation: incarnation, at: now)
            return .suspect
        }
        let isAnother =
            record.worker != worker || record.incarnation != incarnation
            || now.seconds(since: record.at) >= Self.againSeconds
        if isAnother { record.casualties += 1 }
        if isAnother, wasAlone { record.isConvicted = true }
        record.worker = worker
        record.incarnation = incarnation
        record.at = now
        record.until = now + .seconds(record.isConvicted ? Self.convictSeconds : Self.suspectSeconds)
        byFingerprint[fingerprint] = record
        return record.isConvicted ? .convicted : .suspect
    }

    /// Takes the suspicion back that only this death had raised.
    private mutating func retract(_ fingerprint: UInt64, _ worker: WorkerIndex) {
        guard let record = byFingerprint[fingerprint], !record.isConvicted, record.casualties == 1,
            record.worker == worker
        else { return }
        byFingerprint[fingerprint] = nil
    }

    /// The one that would be forgotten first goes first.
    private mutating func makeRoom() {
        guard byFingerprint.count >= Self.recordsMax, let oldest = byFingerprint.values.min(by: { $0.until < $1.until })
        else { return }
        byFingerprint[oldest.fingerprint] = nil
    }
}

extension Duration {
    fileprivate static func seconds(_ seconds: Double) -> Duration { .nanoseconds(Int64(seconds * 1e9)) }
}
