import Determinism
import Membership
import ReplicaCore
import WireCoding

/// The script: what goes wrong, and what operators do.
extension World {
    mutating func begin(line: Int) {
        guard phase == .faults else { return }
        switch script[line].trouble {
        case .crash(let place, let disk, let host, let after):
            crashSoon(place, SimulatedProcess.Crash(disk: disk, host: host, restartAfter: after))
        case .dies(let place, let isHostGone):
            crashSoon(
                place,
                SimulatedProcess.Crash(
                    disk: .kept, host: isHostGone ? .silent : .refuses, restartAfter: nil, isForGood: true))
        case .crashAll(let within):
            for place in 0..<options.replicas where processes[place].state.isUp {
                let after = lives.span(.zero, within)
                crash(place, SimulatedProcess.Crash(disk: .kept, host: .refuses, restartAfter: after))
            }
        case .pause(let place, let length): pause(place, length)
        case .slow(let place, let factor, let length):
            trace(place, "is \(factor) times as slow")
            processes[place].slowness = factor
            observer.disturbed(place, until: now + length)
            endLater(line, length)
        case .part(let groups, let isOneWay, let length):
            guard groups.count <= processes.count else { return }
            trace(0, "the flock is parted: \(groups)\(isOneWay ? ", one way" : "")")
            // Who is in none of them hears nobody of them.
            network.cuts.part(
                groups + Array(repeating: 254, count: processes.count - groups.count), isOneWay: isOneWay, by: line)
            disturbAll(length)
            endLater(line, length)
        case .cut(let from, let to, let datagrams, let streams, let length):
            trace(from, "is cut from r\(to)\(datagrams ? " datagrams" : "")\(streams ? " streams" : "")")
            network.cuts.cut(
                Cuts.Link(from: from, to: to, cutsDatagrams: datagrams, cutsStreams: streams, owner: line))
            if datagrams, streams { disturbAll(length) }
            endLater(line, length)
        case .jump(let place, let seconds): jump(place, seconds)
        case .rebind(let place):
            trace(place, "is sent from another port")
            processes[place].sourcePort = UInt16(truncatingIfNeeded: 20_000 + line)
        case .weather(let weather, let length):
            network.weather = weather
            endLater(line, length)
        case .join(let place): start(place)
        case .leave(let place, let after):
            guard processes[place].state.isUp, processes[place].leave == nil else { return }
            trace(place, "is told to leave")
            processes[place].leave = (line, after)
            observer.watch(.leave, observer.truths[place].session)
            observer.disturbed(place, until: .never)
            order(place, .leave)
        case .forceLeave(let by, let of):
            guard processes[by].state.isUp,
                let id = processes[of].replica?.machine.pointee.membership.own.id ?? processes[of].disk.durable?.id
            else { return }
            trace(by, "is told that r\(of) is gone for good")
            order(by, .forceLeave(id, prune: false))
        case .rotate(let by): rotate(by)
        case .stranger(let at):
            let stranger = options.replicas
            guard stranger < processes.count, !processes[stranger].state.isUp else { return }
            if !processes[at].state.isUp {
                // It sits where another was; that one comes back elsewhere.
                processes[stranger].host = processes[at].host
                owners[processes[at].host] = stranger
                processes[at].host = newHost(of: at)
            }
            start(stranger)
        }
    }

    mutating func end(line: Int) {
        guard phase == .faults else { return }
        switch script[line].trouble {
        case .slow(let place, _, _): processes[place].slowness = 1
        case .part:
            network.cuts.heal(line)
            trace(0, "the partition is over")
            if network.cuts.isEmpty { beginHealing() }
        case .cut: network.cuts.heal(line)
        case .weather: network.weather = plan.weather
        default: break
        }
    }

    private mutating func endLater(_ line: Int, _ length: Nanoseconds) {
        agenda.add(WorldEvent(.scriptEnds, payload: UInt32(line)), at: now + length)
    }

    private mutating func order(_ place: Int, _ command: MembershipCommand) {
        order(place, .membership(.command(command)), after: .zero)
    }

    private mutating func order(_ place: Int, _ input: ReplicaInput, after: Nanoseconds) {
        orders.append(input)
        agenda.add(
            WorldEvent(.order, target: place, payload: UInt32(orders.count - 1), life: processes[place].life),
            at: now + after)
    }

    private mutating func disturbAll(_ length: Nanoseconds) {
        for place in processes.indices { observer.disturbed(place, until: now + length) }
    }

    // MARK: Ends and beginnings

    /// In the middle of what it does next; if it does nothing within a second, then.
    private mutating func crashSoon(_ place: Int, _ crash: SimulatedProcess.Crash) {
        guard processes[place].state.isUp, processes[place].crash == nil else { return }
        if plan.measuresDetection || processes[place].state == .paused { return self.crash(place, crash) }
        processes[place].crash = crash
        observer.disturbed(place, until: .never)
    }

    mutating func crash(_ place: Int, _ crash: SimulatedProcess.Crash) {
        guard processes[place].state.isUp else { return }
        trace(place, "crashes; disk \(crash.disk), host \(crash.host)")
        observer.disturbed(place, until: .never)
        let session = observer.truths[place].session
        end(place, answersDials: crash.host == .refuses)
        if plan.measuresDetection { observer.watch(.death, session) }
        // A clone is of who runs: two that run are twins, and one that does not is only a backup.
        let next = (place + 1) % options.replicas
        let other = crash.disk == .clone && place < options.replicas ? processes[next].disk.durable : nil
        processes[place].disk.crash(crash.disk, cloneOf: other, drawing: &disks)
        switch crash.host {
        case .refuses, .silent: break
        case .moves: move(place, to: newHost(of: place))
        case .takesAnother:
            guard let down = (0..<options.replicas).first(where: { $0 != place && !processes[$0].state.isUp }) else {
                break
            }
            let (mine, theirs) = (processes[place].host, processes[down].host)
            move(down, to: mine)
            move(place, to: theirs)
        }
        processes[place].isGoneForGood = crash.isForGood
        if let after = crash.restartAfter, !crash.isForGood {
            agenda.add(WorldEvent(.start, target: place), at: now + after)
        }
    }

    private mutating func newHost(of place: Int) -> Int {
        owners.append(place)
        return owners.count - 1
    }

    private mutating func move(_ place: Int, to host: Int) {
        processes[place].host = host
        owners[host] = place
    }

    private mutating func pause(_ place: Int, _ length: Nanoseconds) {
        guard processes[place].state.isUp else { return }
        trace(place, "is paused for \(length.wholeMilliseconds) ms")
        processes[place].state = .paused
        processes[place].pausedUntil = max(processes[place].pausedUntil, now + length)
        observer.disturbed(place, until: .never)
        agenda.add(WorldEvent(.resume, target: place), at: now + length)
    }

    /// A driver compares its two clocks once a second, and tells its machine when they have parted.
    private mutating func jump(_ place: Int, _ seconds: Int64) {
        trace(place, "its wall clock jumps by \(seconds) s")
        processes[place].clock.unixSeconds = max(1_000_000_000, processes[place].clock.unixSeconds + seconds)
        guard processes[place].state.isUp else { return }
        let clock = processes[place].clock
        let noticed = lives.span(.zero, .seconds(1))
        let shown = clock.unixSecondsAtZero * 1_000 + clock.local(now + noticed).nanoseconds / 1_000_000
        order(place, .wall(milliseconds: UInt64(max(0, shown))), after: noticed)
        if abs(seconds) >= 2 { order(place, .membership(.clockBroke), after: noticed) }
    }

    private mutating func rotate(_ place: Int) {
        guard processes[place].state.isUp else { return }
        keys += 1
        trace(place, "is told to install key \(key(keys, of: 0).id)")
        order(place, .keyring(.install(key(keys, of: 0))), after: .zero)
    }
}
