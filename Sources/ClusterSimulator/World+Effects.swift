import Determinism
import Membership
import ReplicaCore
import WireCoding

/// What machines ask for: packets, writes, names, streams. Datagrams go first, as from a driver that flushes its socket
/// before it looks at the rest.
extension World {
    mutating func sendOutbox(_ place: Int, upTo limit: Int) {
        for index in 0..<min(limit, outbox.entries.count) {
            let entry = outbox.entries[index]
            let datagram = outbox.bytes.withUnsafeBytes {
                UnsafeRawBufferPointer(rebasing: $0[entry.start..<(entry.start + entry.count)])
            }
            hash.update(datagram)
            let host = Hosts.host(entry.to) ?? -1
            let to = owners.indices.contains(host) ? owners[host] : -1
            observer.sent(place, datagram, depth: Int(depth), hellos: to == cause ? Int(hellos) : 0)
            if to >= 0 { send(datagram, from: place, to: to) }
        }
    }

    /// `datagram` is only good until something else is sent by a machine.
    private mutating func send(_ datagram: UnsafeRawBufferPointer, from place: Int, to: Int) {
        let passage = network.carry(datagram.count, from: place, to: to, at: processes[place].busyUntil)
        guard passage.arrives != nil || passage.replayedAt != nil, datagram.count <= PacketArena.slotBytes else {
            return
        }
        var provenance = PacketArena.Provenance()
        provenance.origin = UInt32(place)
        provenance.originLife = processes[place].life
        provenance.intended = UInt32(to)
        provenance.sealedAt = now
        provenance.depth = depth
        provenance.hellos = to == cause ? hellos : 0
        provenance.from = Hosts.address(processes[place].host, port: processes[place].sourcePort)
        let packet = arena.keep(datagram, provenance)
        if let arrives = passage.arrives {
            var arriving = packet
            if passage.isDamaged {
                // The copies that come besides are whole.
                arriving = arena.keep(arena.packet(packet), provenance)
                arena.damage(arriving, drawing: &network.generator)
            } else {
                arena.retain(packet)
            }
            agenda.add(WorldEvent(.packet, target: to, payload: arriving), at: arrives)
        }
        if let again = passage.copyArrives {
            arena.retain(packet)
            agenda.add(WorldEvent(.packet, target: to, payload: packet), at: again)
        }
        if let late = passage.replayedAt, late.nanoseconds < options.duration.rawValue * 2 {
            arena.retain(packet)
            // To whom it was meant for, or to anybody.
            let victim = network.draw { $0.isHeads() ? to : Int($0.below(UInt64(processes.count))) }
            agenda.add(WorldEvent(.packet, target: victim, payload: packet), at: late)
        }
        arena.release(packet)
    }

    mutating func obeyEffects(_ place: Int, upTo limit: Int, local: Instant, lag: Nanoseconds) {
        let replicas = processes[place].replica!.machine.pointee.membership.table.presentCount + 1
        for index in effects.indices {
            guard case .membership(let effect) = effects[index] else {
                obey(place, effects[index], isDone: index < limit)
                continue
            }
            // What a machine has thought is seen even when the process ends before it acts on it.
            switch effect {
            case .changed(let member, let before): changed(place, member, from: before)
            case .forgot(let id):
                let count = processes[place].replica!.machine.pointee.membership.table.count
                observer.forgot(
                    place, id, isFull: count >= bounds.members - 1, dropsAll: lag > timing.lagForgets)
            case .observed(let fact):
                observed(place, fact)
                observer.observed(place, fact, replicas: replicas, local: local, lag: lag)
            default: if index < limit { obey(place, effect, local: local) }
            }
        }
    }

    /// Effects of the parts besides membership.
    private mutating func obey(_ place: Int, _ effect: ReplicaEffect, isDone: Bool) {
        switch effect {
        case .published(let view): observer.published(place, view.ring)
        case .keyring(let keyring):
            trace(place, "keys: \(keyring.entries.map { "\($0.id) \($0.state.word)" })")
            if isDone { processes[place].disk.write(keyring) }
        case .keyringRefused(_, let refusal): trace(place, "refuses the order: \(refusal)")
        case .membership, .dropped, .probe, .observed: break
        }
    }

    private mutating func changed(_ place: Int, _ member: Member, from before: MemberStatus?) {
        observer.changed(place, member)
        hash.update(UInt64(member.short.rawValue) << 32 | UInt64(member.record.incarnation.rawValue))
        hash.update(UInt64(member.status.rawValue))
        guard tell != nil, member.status != before else { return }
        trace(
            place,
            "\(member.status.word)(\(name(member.short))) at \(member.record.incarnation)"
                + (before.map { ", was \($0.word)" } ?? ", new"))
    }

    private mutating func observed(_ place: Int, _ fact: MembershipFact) {
        guard tell != nil else { return }
        switch fact {
        case .acknowledged, .reached: break
        case .matured(let subject, let accusers, let waited, let isRefused):
            let tenths = waited.wholeNanoseconds / 100_000_000
            trace(
                place,
                "dead(\(name(subject))) accusers=\(accusers) waited \(tenths / 10).\(tenths % 10) s"
                    + (isRefused ? " refused" : ""))
        case .suspected(let subject, let cause): trace(place, "suspect(\(name(subject))) by \(cause)")
        case .probeFailed(let subject): trace(place, "probe of \(name(subject)) failed")
        case .synced(let peer, let reason): trace(place, "synced with \(name(peer)) for \(reason)")
        default: trace(place, "\(fact)")
        }
    }

    private mutating func obey(_ place: Int, _ effect: MembershipEffect, local: Instant) {
        let life = processes[place].life
        switch effect {
        case .persist(let identity):
            processes[place].disk.write(identity)
            // An fsync of a good disk [ours]; writes keep their order.
            let took = disks.span(.microseconds(100), .milliseconds(5))
            let after = max(processes[place].busyUntil + took, processes[place].syncedAfter)
            processes[place].syncedAfter = after
            agenda.add(WorldEvent(.persisted, target: place, life: life), at: after)
        case .resolveSeeds:
            let took = lives.span(.microseconds(200), .milliseconds(20))
            agenda.add(WorldEvent(.resolved, target: place, life: life), at: processes[place].busyUntil + took)
        case .openStream(let id, let address, let purpose, let within):
            if purpose == .peer { observer.dialled(place, address, local: local) }
            dial(place, id, address, purpose, within: .nanoseconds(within.wholeNanoseconds))
        case .sendFrame(let id, let frame): send(frame, on: id, of: place)
        case .closeStream(let id): close(id, of: place)
        case .sendOtherRecords, .becomes, .changed, .forgot, .observed: break
        case .left: hasLeft(place)
        }
    }

    private mutating func hasLeft(_ place: Int) {
        trace(place, "has left")
        let restart = processes[place].leave?.restartAfter
        let isForGood = processes[place].leave != nil && restart == nil
        end(place, answersDials: true)
        processes[place].isGoneForGood = isForGood
        // Systems close files in order when a process ends.
        while processes[place].disk.sync() != nil {}
        guard let restart else { return }
        // Told to leave before the faults ended, gone after that: it is back at once.
        if phase != .faults { beginHealing() }
        agenda.add(WorldEvent(.start, target: place), at: now + (phase == .faults ? restart : .milliseconds(100)))
    }
}
