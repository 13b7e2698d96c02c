import Determinism
import Membership
import ReplicaCore
import WireCoding

/// From faults to quiet, and what must hold then.
extension World {
    /// Everybody should know everybody: within this after the last fault (M8) …
    private var convergesWithin: Nanoseconds {
        let isRestarted = options.scenario == .restart
        return options.replicas <= 50 ? .seconds(isRestarted ? 10 : 5) : .seconds(15)
    }
    /// … and nobody remembers as present who is not, one longest suspicion of a patient replica later.
    private static let forgetsWithin = Nanoseconds.seconds(120)
    /// News is passed on for some time after all know it: the records of fifty that began anew together ride along for
    /// some fifteen seconds, and those of a thousand, hop by hop, for most of a minute.
    private var calmsWithin: Nanoseconds {
        .seconds(options.replicas <= 8 ? 10 : options.replicas <= timing.directMax ? 20 : 60)
    }
    private static let inspectsEvery = Nanoseconds.milliseconds(20)

    /// UDP of one replica, with headers, a second.
    private var idleBytesMax: Int { options.replicas <= 8 ? 500 : options.replicas <= 50 ? 1_000 : 5_000 }
    /// More wake-ups a second than this are no quiet: no timers closer than 10 ms apart.
    private static let idleTicksMax = 100

    mutating func enter(_ next: Phase) {
        guard next.rawValue > phase.rawValue else { return }
        phase = next
        trace(0, "— \(next) —")
        switch next {
        case .faults: break
        case .settling:
            heal()
            beginHealing()
        case .calming: agenda.add(WorldEvent(.phase, payload: Phase.quiet.rawValue), at: now + calmsWithin)
        case .quiet:
            quietBytes = observer.measures.bytes
            quietDigest = commonDigest
            quietTicks = observer.measures.ticks
            agenda.add(WorldEvent(.phase, payload: Phase.over.rawValue), at: now + options.scenario.quiet)
        case .over: checkQuiet()
        }
    }

    /// All faults end: links are like a LAN, whoever is down starts, whoever is paused goes on.
    private mutating func heal() {
        network.cuts.healAll()
        network.weather = .lan
        observer.endWatches()
        for place in processes.indices {
            processes[place].slowness = 1
            processes[place].crash = nil
            if processes[place].state == .paused {
                processes[place].pausedUntil = now
                resume(place)
            }
            observer.disturbed(place, until: now)
            guard place < options.replicas, !processes[place].state.isUp, !processes[place].isGoneForGood else {
                continue
            }
            let at = now + lives.span(.zero, .milliseconds(500))
            agenda.add(WorldEvent(.start, target: place), at: at)
        }
        // What the worst of them wrote is on disk by now.
        agenda.add(WorldEvent(.inspection), at: now + Self.inspectsEvery)
    }

    mutating func beginHealing() {
        guard healsSince == nil else {
            healsSince = now
            return
        }
        healsSince = now
        if !isInspecting {
            isInspecting = true
            agenda.add(WorldEvent(.inspection), at: now + Self.inspectsEvery)
        }
    }

    // MARK: Inspection

    mutating func inspect() {
        if let since = healsSince {
            if everybodyKnowsEverybody() {
                healsSince = nil
                isInspecting = false
                if phase == .faults { observer.measures.heals.append(now.nanoseconds - since.nanoseconds) }
                if phase == .settling {
                    observer.measures.heals.append(now.nanoseconds - since.nanoseconds)
                    settledAt = now
                    agenda.add(WorldEvent(.inspection), at: now + Self.inspectsEvery)
                }
                return
            }
            if phase == .settling, now.span(since: since) > convergesWithin, !hasReportedDivergence {
                hasReportedDivergence = true
                observer.report(
                    .m8, lastDifference.viewer,
                    "does not hold r\(lastDifference.process) alive \(convergesWithin.wholeSeconds) s after the last fault"
                        + stateOfDifference())
            }
            let limit = phase == .settling ? Nanoseconds.seconds(180) : .seconds(600)
            guard now.span(since: since) < limit else {
                healsSince = nil
                isInspecting = false
                if phase == .settling { enter(.over) }
                return
            }
            agenda.add(WorldEvent(.inspection), at: now + Self.inspectsEvery)
        } else if phase == .settling {
            if viewsAreEqual() { return enter(.calming) }
            if now.span(since: settledAt) > Self.forgetsWithin {
                observer.report(.m8, lastDifference.viewer, "has another view than the others" + stateOfDifference())
                return enter(.calming)
            }
            agenda.add(WorldEvent(.inspection), at: now + Self.inspectsEvery * 5)
        }
    }

    private func isExpected(_ place: Int) -> Bool {
        place < options.replicas && !processes[place].isGoneForGood
            && (phase != .faults || (processes[place].state.isUp && processes[place].leave == nil))
    }

    /// M8. The pair that was found to differ last is looked at first, so a look costs little until all agree.
    private mutating func everybodyKnowsEverybody() -> Bool {
        if !holds(lastDifference.viewer, lastDifference.process) { return false }
        for viewer in 0..<options.replicas where isExpected(viewer) {
            for process in 0..<options.replicas where isExpected(process) && viewer != process {
                guard holds(viewer, process) else {
                    lastDifference = (viewer, process)
                    return false
                }
            }
        }
        return true
    }

    private func holds(_ viewer: Int, _ process: Int) -> Bool {
        guard isExpected(viewer), isExpected(process) else { return true }
        guard processes[viewer].state == .running, processes[process].state == .running else { return false }
        guard viewer != process else { return true }
        let session = observer.truths[process].session
        let row = observer.row(viewer, observer.sessions[session].identity)
        return row.session == Int32(session) && row.status == MemberStatus.alive.rawValue && !row.isRemoved
    }

    /// Equal digests, nobody suspect, nobody present who is not.
    private mutating func viewsAreEqual() -> Bool {
        let expected = (0..<options.replicas).count { isExpected($0) }
        var digest: UInt64?
        for viewer in 0..<options.replicas where isExpected(viewer) {
            guard processes[viewer].state == .running,
                let membership = processes[viewer].replica?.machine.pointee.membership,
                let keys = processes[viewer].replica?.machine.pointee.keyring.hash, membership.replicas == expected,
                digest == nil || membership.digest &+ keys == digest
            else {
                lastDifference = (viewer, viewer)
                return false
            }
            digest = membership.digest &+ keys
        }
        return true
    }

    private func stateOfDifference() -> String {
        let (viewer, process) = lastDifference
        guard let membership = processes[viewer].replica?.machine.pointee.membership else { return "; it is down" }
        guard viewer != process else {
            let present = membership.members.filter { !$0.status.isGone }
            return "; it holds \(present.map { "\(name($0.short)) \($0.record.session.life) \($0.status.word)" })"
        }
        let session = observer.truths[process].session
        guard session >= 0 else { return "; which never started" }
        let row = observer.row(viewer, observer.sessions[session].identity)
        let status = MemberStatus(rawValue: row.status)?.word ?? "unknown"
        return "; it is \(status)\(row.isRemoved ? ", removed" : "") there"
            + (row.session == Int32(session) ? "" : " in another life")
    }

    /// What all agree on by then, as whoever comes first says.
    private var commonDigest: UInt64? {
        processes.indices.first { processes[$0].state.isUp }.flatMap {
            processes[$0].replica?.machine.pointee.membership.digest
        }
    }

    private mutating func checkQuiet() {
        let seconds = Int(options.scenario.quiet.wholeSeconds)
        // A record that changes is news to tell: replicas that have just found the network calm again are not idle.
        let isIdle = quietDigest == commonDigest
        for place in 0..<options.replicas where processes[place].state.isUp && !quietBytes.isEmpty {
            let bytes = (observer.measures.bytes[place] - quietBytes[place]) / seconds
            let ticks = (observer.measures.ticks[place] - quietTicks[place]) / seconds
            quietBytesPerSecond.append(bytes)
            // Whoever is gone is asked for now and then, so that a cut that has healed is found.
            let gone = processes[place].replica?.machine.pointee.membership.table.deadCount ?? 0
            if isIdle, bytes > (gone > 0 ? 16 : 5) * idleBytesMax / 4 {
                observer.report(.quiet, place, "sends \(bytes) bytes a second when nothing happens")
            }
            if ticks > Self.idleTicksMax { observer.report(.quiet, place, "wakes \(ticks) times a second for nothing") }
        }
    }

    mutating func finish() {
        for place in processes.indices { observer.ended(place) }
        // A flock of one has nobody to speak to.
        if options.replicas > 1, observer.measures.applied == 0 {
            observer.report(.workload, 0, "no packet was applied in the whole run")
        }
        if plan.measuresDetection, options.replicas > 2, !script.isEmpty, observer.measures.firstDetections.isEmpty {
            observer.report(.workload, 0, "nobody noticed a death")
        }
    }
}
