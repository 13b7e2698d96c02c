/// Who is here, and which workers there are: what rings and monitors are made of.
import Balancing
package import Determinism
package import Membership
import Placement
package import WireCoding

extension WorkerFlock {
    /// What membership shows of a member has changed, the own record included.
    package mutating func memberChanged(_ member: Member, at now: Instant) {
        guard !member.status.isGone else { return memberForgotten(member.short, at: now) }
        let next = FlockMembers.Present(member)
        let before = members.set(next)
        if let before, before.session != next.session {
            // Another process: what the former said of workers and had on them is over.
            forgetWords(of: next.id, at: now)
        }
        let wasIn = before?.participates ?? false
        if wasIn != next.participates || (wasIn && before?.isSettled != next.isSettled) { debounce.changed(at: now) }
        // Whoever comes back finds its place in the layout as it was.
        if before == nil, next.participates { seatsAreStale = true }
        if before?.isSuspect != next.isSuspect { verdictsAreStale = true }
    }

    package mutating func memberForgotten(_ member: ReplicaShortID, at now: Instant) {
        guard let before = members.remove(member) else { return }
        if before.isDifferenceTold {
            view.disagreeing = members.disagreeing
            viewChanged = true
        }
        if before.participates {
            debounce.changed(at: now)
            seatsAreStale = true
        }
        forgetWords(of: member, at: now)
    }

    private mutating func forgetWords(of member: ReplicaShortID, at now: Instant) {
        if observations.forget(member) {
            wordsChanged = true
            verdictsAreStale = true
        }
        if othersLoads.forget(member) { loadsDue = now }
    }

    /// The replica speaks as another from now on. Its record is told by `memberChanged`.
    package mutating func becomes(_ other: ReplicaShortID, at now: Instant) {
        guard other != me else { return }
        memberForgotten(me, at: now)
        me = other
        for piece in observations.becomes(other, at: now) { send(.workerHealth(piece)) }
        wordsChanged = true
        verdictsAreStale = true
    }

    package mutating func configure(_ configured: [RingedWorker], at now: Instant) {
        let before = workers
        workers.removeAll()
        for worker in configured.sorted(by: { $0.short < $1.short }) where workers.last?.short != worker.short {
            workers.append(worker)
        }
        guard workers != before else { return }
        let probesBefore = probes
        probes = workers.map { worker in
            before.firstIndex { $0.short == worker.short }.map { probesBefore[$0] } ?? Probe()
        }
        observations.configure(workers.map { ($0.short, $0.ringKey) })
        othersLoads.configure(workers.map(\.short))
        monitors.configure(ringKeys: workers.map(\.ringKey))
        let known = view.workers
        view.workers = workers.map { worker in
            known.first { $0.short == worker.short } ?? FlockView.Worker(short: worker.short)
        }
        var pairs: [(key: UInt64, position: Int)] = []
        for (position, worker) in workers.enumerated() {
            for model in worker.models { pairs.append((model, position)) }
        }
        pairs.sort { $0 < $1 }
        models.removeAll()
        for pair in pairs {
            if models.last?.key != pair.key { models.append((pair.key, [])) }
            // A model named twice by one worker is one model of it.
            if models[models.count - 1].positions.last != pair.position {
                models[models.count - 1].positions.append(pair.position)
            }
        }
        seatsAreStale = true
        verdictsAreStale = true
        wordsChanged = true
        ordersChanged = true
        viewChanged = true
        loadsDue = now
    }
}
