/// The conclusions: layouts, monitors, verdicts, probes, sums, and what is published of them.
import Balancing
package import Determinism
import Placement
import RateLimiting
import WireCoding

extension WorkerFlock {
    package mutating func advance(at now: Instant) {
        // The first layout waits for nothing: there is none that it could disturb.
        if debounce.takeDue(at: ring.participants.isEmpty ? .never : now) {
            let next = members.ring
            if next != ring {
                ring = next
                view.ring = next
                viewChanged = true
                seatsAreStale = true
            }
        }
        if seatsAreStale {
            seatsAreStale = false
            verdictsAreStale = true
            let members = members
            monitors.assign(in: ring) { members.isPresent($0) }
        }
        if verdictsAreStale || now >= verdictsUntil { judge(at: now) }
        if now >= probesDue { askProbes(at: now) }
        if orders.expire(at: now) || ordersChanged { publishOrders() }
        if blocks.expire(at: now) || blocksChanged {
            blocksChanged = false
            view.blocked = blocks.blocked
            view.blocks = blocks.entries
            viewChanged = true
        }
        if wordsChanged {
            wordsChanged = false
            view.words = observations.news
            viewChanged = true
        }
        sendLoads(at: now)
        if now >= loadsDue { publishLoads(at: now) }
        let views = views
        if view.views != views {
            view.views = views
            viewChanged = true
        }
        nextDeadline = min(
            min(debounce.deadline, verdictsUntil, probesDue),
            min(orders.nextDeadline, blocks.nextDeadline),
            min(reports.nextDeadline, loadsDue))
    }

    // MARK: Verdicts

    private mutating func judge(at now: Instant) {
        verdictsAreStale = false
        verdictsUntil = .never
        let members = members
        let me = me
        for position in workers.indices {
            let row = observations.rows[position]
            monitors.look(
                at: position, isSuspect: { members.isSuspect($0) },
                saysDown: { id in
                    (id == me ? row.own?.news.state : row.word(of: id)?.news.state).map { $0 == .down }
                }, now: now)
        }
        let seats = monitors
        let ready = workers.isEmpty ? 0 : ring.participants.count { members.isPresent($0.id) }
        for position in workers.indices {
            let (verdict, until) = WorkerVerdict.weigh(
                observations.rows[position], me: me, isMonitor: { seats.isMonitor($0, at: position) },
                vouchersWanted: ready <= 1 ? 1 : 2, at: now)
            verdictsUntil = min(verdictsUntil, until, monitors.deadline(at: position))
            let isMine = monitors.isMonitor(me, at: position)
            let before = view.workers[position]
            if before.verdict != verdict || before.isMonitoredHere != isMine {
                view.workers[position].verdict = verdict
                view.workers[position].isMonitoredHere = isMine
                viewChanged = true
            }
            let isVouchedNow = verdict == .vouched && before.verdict != .vouched
            let isAccusedNow = probes[position].isAccused && (verdict == .doubted || verdict == .outvoted)
            probes[position].isAccused = false
            if isVouchedNow || isAccusedNow { wantProbe(of: position, at: now) }
        }
        lookForPanic()
    }

    private mutating func lookForPanic() {
        var panics: [UInt64] = []
        for (key, positions) in models {
            let outvoted = positions.count { view.workers[$0].verdict == .outvoted }
            if WorkerVerdict.isPanic(outvoted: outvoted, of: positions.count) { panics.append(key) }
        }
        guard panics != view.panics else { return }
        for key in view.panics where !panics.contains(key) { note(.panic(model: key, false)) }
        for key in panics where !view.panics.contains(key) { note(.panic(model: key, true)) }
        view.panics = panics
        viewChanged = true
    }

    // MARK: Probes

    /// One at a time. Many replicas hear the same word in the same millisecond, and a worker accepts few connections at a
    /// time: each begins at its own moment, the later the more replicas there are.
    private mutating func wantProbe(of position: Int, at now: Instant) {
        guard now >= probes[position].openUntil else { return }
        let spreadMilliseconds = min(150, 5 * max(0, ring.participants.count - 2))
        let draw = ReplicaRing.draw(of: me, key: ~workers[position].ringKey)
        let wait = Nanoseconds.milliseconds(Int64(draw % UInt64(spreadMilliseconds + 1)))
        probes[position].due = now + wait
        probes[position].openUntil = now + wait + Self.probeWithin
        probesDue = min(probesDue, now + wait)
    }

    private mutating func askProbes(at now: Instant) {
        probesDue = .never
        for position in probes.indices where probes[position].due != .never {
            if now >= probes[position].due {
                probes[position].due = .never
                probesWanted.append(workers[position].short)
            } else {
                probesDue = min(probesDue, probes[position].due)
            }
        }
    }

    // MARK: Published

    private mutating func publishOrders() {
        ordersChanged = false
        for position in workers.indices {
            view.workers[position].order = orders.order(for: workers[position].short)
        }
        // Whoever an operator removed is no worker until it is resumed; one that drains keeps its place.
        let agreed = workers.indices.filter { view.workers[$0].order != .remove }
        workerRing =
            RingVersion(
                members: agreed.map { RingVersion.Member(key: workers[$0].ringKey, weight: workers[$0].weight) }
            ).rawValue
        view.orders = orders.entries
        viewChanged = true
    }

    private mutating func publishLoads(at now: Instant) {
        othersLoads.expire(at: now)
        loadsSummed = now
        for position in workers.indices {
            let others = othersLoads.others(on: workers[position].short, at: now)
            if view.workers[position].others != others {
                view.workers[position].others = others
                viewChanged = true
            }
        }
        let fall = othersLoads.firstFall
        loadsDue = fall == .never ? .never : max(fall, now + Self.fallsEvery)
    }
}
