import Determinism
import Membership
import Placement
import WireCoding

/// Promises about what replicas believe.
extension Observer {
    /// A view has changed: M2, M3, M6, M15, M16, M18.
    mutating func changed(_ viewer: Int, _ member: Member) {
        let record = member.record
        guard let identity = identities[record.id], let session = sessionPlaces[record.session],
            sessions[session].identity == identity
        else { return report(.m2, viewer, "holds \(record.id.short) \(record.session), which nobody ever was") }
        if identityClusters[identity] != truths[viewer].cluster {
            report(.m16, viewer, "holds \(record.id.short) of another cluster")
        }
        if record.incarnation > sessions[session].announced {
            report(
                .m2, viewer,
                "holds \(record.id.short) at \(record.incarnation), its owner is at \(sessions[session].announced)")
        }
        let before = row(viewer, identity)
        if !before.isHeld || before.session != Int32(session) { truths[viewer].adopted.append(identity) }
        let after = Row(
            incarnation: record.incarnation.rawValue, session: Int32(session), status: record.status.rawValue,
            isRemoved: member.isRemoved)
        if before.isHeld {
            let old = (before.incarnation, sessions[Int(before.session)].id.rawValue, before.status)
            let new = (after.incarnation, record.session.rawValue, after.status)
            if new < old {
                report(.m3, viewer, "went from \(old) to \(new) about \(record.id.short)")
            }
            if before.isRemoved, !after.isRemoved, before.session == after.session {
                report(.m15, viewer, "takes \(record.id.short) back in the life that was removed")
            }
            // Of one disk: a copy of it is another process with the same identity and incarnations of its own.
            if before.status == MemberStatus.left.rawValue, after.status < before.status,
                after.incarnation <= before.incarnation,
                sessions[session].process == sessions[Int(before.session)].process
            {
                report(.m15, viewer, "takes \(record.id.short) back without a higher incarnation")
            }
        } else if before.status == Row.forgotten, record.status.isGone, before.session == after.session,
            after.incarnation <= before.incarnation
        {
            report(.m17, viewer, "learned again that \(record.id.short) is gone")
        }
        if record.status == .dead, !isKnownDeath(session, record.incarnation) {
            report(.m6, viewer, "holds \(record.id.short) at \(record.incarnation) dead, nobody waited for that")
        }
        if let sharing = shorts[record.id.short.rawValue], sharing.count > 1 {
            for other in sharing where other != identity && row(viewer, other).isHeld {
                report(.m18, viewer, "holds two members as \(record.id.short)")
            }
        }
        setRow(viewer, identity, after)
        noteProgress(viewer, identity, after)
    }

    /// M12: the living are not evicted. `dropsAll` after hours of sleep, when everything is forgotten on purpose.
    mutating func forgot(_ viewer: Int, _ id: ReplicaID, isFull: Bool, dropsAll: Bool) {
        guard let identity = identities[id] else { return }
        var row = row(viewer, identity)
        guard row.isHeld else { return }
        let isGone = row.isRemoved || row.status >= MemberStatus.dead.rawValue
        let sharesShort = (shorts[id.short.rawValue]?.count ?? 0) > 1
        if !isGone, !dropsAll, !sharesShort { report(.m12, viewer, "forgot \(id.short), which it holds alive") }
        row.status = isGone && !isFull && !dropsAll && !sharesShort ? Row.forgotten : Row.unseen
        setRow(viewer, identity, row)
    }

    /// What a machine says of its own doings, in the order in which it said it: M4, M5, M6, M11.
    mutating func observed(
        _ viewer: Int, _ fact: MembershipFact, replicas: Int, local: Instant, lag: Nanoseconds
    ) {
        switch fact {
        case .suspected(let subject, .probe):
            if lag > timing.lagNoticed { report(.m11, viewer, "suspects \(subject) though it was late by \(lag)") }
            checkPaths(viewer, subject, local: local)
        case .probeFailed(let subject):
            if lag > timing.lagNoticed { report(.m11, viewer, "judges \(subject) though it was late by \(lag)") }
        case .matured(let subject, let accusers, let waited, let isRefused):
            matured(
                viewer, subject, accusers: accusers, waited: .nanoseconds(waited.wholeNanoseconds),
                isRefused: isRefused,
                replicas: replicas, local: local)
        case .climate(let isLossy): if isLossy { truths[viewer].wasLossy = true }
        case .reached(let mark): measures.marks[Int(mark.rawValue)] += 1
        default: break
        }
    }

    /// M5: the stream that is dialled beside the indirect pings had the rest of the period.
    private mutating func checkPaths(_ viewer: Int, _ subject: ReplicaShortID, local: Instant) {
        guard let identity = identity(meant: subject, by: viewer), row(viewer, identity).isHeld else { return }
        // Where it lives is in the truth: addresses of one life never change.
        let address = sessions[Int(row(viewer, identity).session)].address
        let least = timing.period - timing.timeoutMax - timing.lagNoticed
        let most = timing.period * (timing.awarenessMax + 2)
        let hadTime = truths[viewer].dialled.contains {
            $0.to == address && (least...most).contains(local.span(since: $0.at))
        }
        if !hadTime { report(.m5, viewer, "suspects \(subject) without having dialled it and waited") }
    }

    static let dialledMax = 16

    mutating func dialled(_ process: Int, _ address: PeerAddress, local: Instant) {
        if truths[process].dialled.count >= Self.dialledMax { truths[process].dialled.removeFirst() }
        truths[process].dialled.append((address, local))
    }

    /// M13: who has the same participants has the same ring.
    mutating func published(_ viewer: Int, _ ring: ReplicaRing) {
        var hash = StableHash64()
        for participant in ring.participants {
            hash.update(UInt64(participant.id.rawValue) << 1 | (participant.isSettled ? 1 : 0))
        }
        let participants = hash.digest()
        guard let known = rings[participants] else {
            rings[participants] = ring.version
            return
        }
        if known != ring.version { report(.m13, viewer, "has another ring than others with the same participants") }
    }

    private mutating func matured(
        _ viewer: Int, _ subject: ReplicaShortID, accusers: Int, waited: Nanoseconds, isRefused: Bool, replicas: Int,
        local: Instant
    ) {
        let wanted = truths[viewer].wasLossy ? timing.confirmationsMaxLossy : timing.confirmationsMax
        if accusers > wanted + 1 { report(.m4, viewer, "counts \(accusers) accusers of \(subject)") }
        // Only what it may do at least is sure: it may have waited under more members, or in heavier weather.
        let least =
            isRefused ? timing.period * 3 / 2 : timing.shortestSuspicion(replicas: replicas, isLossy: false)
        if waited < least { report(.m6, viewer, "waited \(waited.wholeMilliseconds) ms for \(subject)") }
        var late = Nanoseconds.zero
        for lag in truths[viewer].lags where local.span(since: lag.at) < waited { late += lag.lag }
        if late.rawValue > 0, waited < least + late {
            report(
                .m11, viewer,
                "waited \(waited.wholeMilliseconds) ms for \(subject), and was late by \(late.wholeMilliseconds) ms of it"
            )
        }
        guard let identity = identity(meant: subject, by: viewer) else { return }
        let row = row(viewer, identity)
        guard row.isHeld else { return }
        noteDeath(Int(row.session), Incarnation(rawValue: row.incarnation))
        noteVerdict(viewer, identity, row, waited: waited)
    }

    /// After each input: M2, M7, M12.
    mutating func handled(
        _ process: Int, own: MemberRecord, members: Int, removed: Int, local: Instant, lag: Nanoseconds
    ) {
        if lag > timing.lagNoticed {
            if truths[process].lags.count >= 8 { truths[process].lags.removeFirst() }
            truths[process].lags.append((local, lag))
        }
        if members > bounds.members { report(.m12, process, "holds \(members) members") }
        if removed > bounds.removed { report(.m12, process, "holds \(removed) removed sessions") }
        if own.incarnation != truths[process].incarnation {
            if own.incarnation < truths[process].incarnation, own.session == truths[process].saidSession {
                report(.m2, process, "went back to \(own.incarnation)")
            }
            truths[process].incarnation = own.incarnation
            truths[process].saidSession = own.session
            announce(process, own.incarnation)
            raised(process, local: local)
        }
        if !truths[process].adopted.isEmpty { truths[process].adopted.removeAll(keepingCapacity: true) }
        truths[process].wasCalled = truths[process].isCalled
        truths[process].isCalled = own.id.short
        guard let accusation = truths[process].accusation else { return }
        if own.incarnation > accusation.incarnation || own.session != accusation.session || own.status == .left {
            truths[process].accusation = nil
        } else if local.span(since: accusation.at) > Self.answersWithin + lag {
            report(.m7, process, "was accused at \(accusation.incarnation) and has not answered")
            truths[process].accusation = nil
        }
    }

    /// At most four raises a second, so an answer may wait for the next one (M7).
    static let answersWithin = Nanoseconds.milliseconds(1_300)

    private mutating func raised(_ process: Int, local: Instant) {
        truths[process].raises.removeAll { local.span(since: $0) >= .seconds(1) }
        truths[process].raises.append(local)
        // Seconds are counted from the first raise of each, so two of them may touch.
        if truths[process].raises.count > 2 * timing.raisesPerSecond {
            report(.m7, process, "raised its incarnation \(truths[process].raises.count) times within a second")
        }
    }
}
