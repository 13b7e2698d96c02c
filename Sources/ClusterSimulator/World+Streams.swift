import Determinism
import Membership
import ReplicaCore
import WireCoding

/// Streams, as kernels and a driver make them: dial, handshake, frames in order, ends and resets.
extension World {
    mutating func dial(
        _ place: Int, _ id: StreamID, _ address: PeerAddress, _ purpose: StreamPurpose, within: Nanoseconds
    ) {
        observer.measures.streams += 1
        let name = pipes.make()
        guard let pipe = pipes.place(name) else { return }
        let leaves = processes[place].busyUntil
        pipes[pipe].purpose = purpose
        pipes[pipe].progressAt = now
        pipes[pipe].ends.0.process = place
        pipes[pipe].ends.0.life = processes[place].life
        pipes[pipe].ends.0.id = id
        pipes[pipe].ends.0.isHeld = true
        processes[place].streams.append((id, name))
        agenda.add(
            WorldEvent(.dialTimeout, target: place, payload: name, life: processes[place].life), at: leaves + within)
        guard let host = Hosts.host(address), host < owners.count else { return }
        let to = owners[host]
        pipes[pipe].ends.1.process = to
        guard !network.cuts.isCut(place, to, .stream), !network.cuts.isCut(to, place, .stream) else { return }
        // SYN and its answer; a lost SYN is sent again after a second, when patience is over.
        guard !network.losesSegment(from: place, to: to), !network.losesSegment(from: to, to: place) else { return }
        let back = leaves + network.delay(place, to) + network.delay(to, place)
        guard processes[to].state.isUp else {
            guard processes[to].refusesWhenDown else { return }
            pipes[pipe].failure = .refused
            agenda.add(
                WorldEvent(.reset, target: place, payload: name, life: processes[place].life), at: back)
            return
        }
        pipes[pipe].ends.1.life = processes[to].life
        let delay = segment(from: place, to: to)
        agenda.add(WorldEvent(.opening, target: to, payload: name, life: processes[to].life), at: back + delay)
    }

    /// How long a segment takes when the lost ones are sent again.
    private mutating func segment(from: Int, to: Int) -> Nanoseconds {
        var delay = network.delay(from, to)
        var again = Pipe.retransmission
        while network.losesSegment(from: from, to: to), again < .seconds(30) {
            delay += again
            again = again * 2
        }
        return delay
    }

    /// The listener's driver reads the dialler's opening, and answers if it holds the secret that was meant.
    mutating func opened(_ place: Int, _ event: WorldEvent) {
        guard let pipe = pipes.place(event.payload) else { return }
        let dialler = pipes[pipe].ends.0.process
        guard processes[dialler].state.isUp, processes[dialler].life == pipes[pipe].ends.0.life else { return }
        let back = WorldEvent(
            shareSecret(dialler, place, pipes[pipe].purpose) ? .dialled : .reset, target: dialler,
            payload: event.payload, life: processes[dialler].life)
        if back.kind == .reset { pipes[pipe].failure = .handshake }
        processes[place].busyUntil = now + SimulatedProcess.usualCost
        agenda.add(back, at: now + segment(from: place, to: dialler))
    }

    private func shareSecret(_ dialler: Int, _ listener: Int, _ purpose: StreamPurpose) -> Bool {
        guard processes[dialler].cluster == processes[listener].cluster else { return false }
        guard purpose == .peer else { return true }
        guard let primary = processes[dialler].replica?.machine.pointee.keyring.primary else { return false }
        return processes[listener].replica?.machine.pointee.keyring.trafficKeys.contains { $0.id == primary.id }
            ?? false
    }

    mutating func dialled(_ place: Int, _ event: WorldEvent) {
        guard let pipe = pipes.place(event.payload), pipes[pipe].state == .dialling, pipes[pipe].ends.0.isHeld else {
            return
        }
        pipes[pipe].state = .open
        pipes[pipe].progressAt = now
        agenda.add(
            WorldEvent(.dialTimeout, target: place, payload: event.payload, life: event.life), at: now + Pipe.patience)
        tell(place, .streamOpened(pipes[pipe].ends.0.id), as: event)
    }

    /// Dialling took too long, or nothing has moved on an open stream for long.
    mutating func patienceEnds(_ event: WorldEvent) {
        guard let pipe = pipes.place(event.payload) else { return }
        switch pipes[pipe].state {
        case .free: break
        case .dialling:
            guard pipes[pipe].ends.0.isHeld else { return pipes.end(event.payload) }
            pipes[pipe].failure = .timeout
            arrive(WorldEvent(.reset, target: Int(event.target), payload: event.payload, life: event.life))
        case .open:
            let due = pipes[pipe].progressAt + Pipe.patience
            if due <= now { return breakOff(event.payload, .timeout) }
            agenda.add(event, at: due)
        }
    }

    // MARK: Frames

    mutating func send(_ frame: StreamFrame, on id: StreamID, of place: Int) {
        guard let name = processes[place].streams.first(where: { $0.id == id })?.pipe, let pipe = pipes.place(name),
            pipes[pipe].state == .open
        else { return }
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)
        put(bytes, name, pipe, side: id.isAccepted ? 1 : 0, of: place)
    }

    private mutating func put(_ item: Pipe.Item, _ name: UInt32, _ pipe: Int, side: Int, of place: Int) {
        let isFirst = pipes[pipe].withEnd(side) { end in
            end.queue.append(item)
            return end.queue.count == 1
        }
        if isFirst { transmit(name, side) }
    }

    mutating func transmit(_ event: WorldEvent) { transmit(event.payload, Int(event.target)) }

    /// The first in the queue tries to leave.
    private mutating func transmit(_ name: UInt32, _ side: Int) {
        while let pipe = pipes.place(name), let item = pipes[pipe].end(side).queue.first {
            let from = pipes[pipe].end(side).process
            let to = pipes[pipe].end(1 - side).process
            if network.cuts.isCut(from, to, .stream) || network.losesSegment(from: from, to: to) {
                let tries = pipes[pipe].withEnd(side) { end in
                    end.tries += 1
                    return end.tries
                }
                if tries > Pipe.triesMax { return breakOff(name, .reset) }
                let again = min(Pipe.retransmission * (1 << min(tries - 1, 6)), .seconds(8))
                // `target` is the side here: no process is woken by its kernel's retransmissions.
                return agenda.add(WorldEvent(.transmit, target: side, payload: name), at: now + again)
            }
            let delay = network.delay(from, to)
            let arrives = pipes[pipe].withEnd(side) { end in
                end.tries = 0
                end.queue.removeFirst()
                end.onTheWay.append(item)
                end.orderedAfter = max(end.orderedAfter, now + delay)
                return end.orderedAfter
            }
            let life = pipes[pipe].end(1 - side).life
            agenda.add(WorldEvent(.frame, target: to, payload: name, life: life), at: arrives)
        }
    }

    /// The driver of `place` reads the next from a stream.
    mutating func takeFrame(_ place: Int, _ event: WorldEvent) {
        let name = event.payload
        guard let pipe = pipes.place(name) else { return }
        // A stream to itself has two ends at one process: whichever has something on its way.
        let isFromDialler =
            pipes[pipe].ends.1.process == place
            && (pipes[pipe].ends.0.process != place || !pipes[pipe].ends.0.onTheWay.isEmpty)
        let sender = isFromDialler ? 0 : 1
        guard !pipes[pipe].end(sender).onTheWay.isEmpty else { return }
        let item = pipes[pipe].withEnd(sender) { $0.onTheWay.removeFirst() }
        pipes[pipe].progressAt = now
        if isFromDialler, !item.isEmpty, pipes[pipe].ends.1.id.rawValue == 0 { accept(place, name, pipe, event) }
        guard pipes.place(name) != nil, pipes[pipe].end(1 - sender).isHeld else {
            if item.isEmpty { pipes.end(name) }
            return
        }
        let id = pipes[pipe].end(1 - sender).id
        if item.isEmpty {
            processes[place].streams.removeAll { $0.id == id }
            pipes.end(name)
            return tell(place, .streamClosed(id), as: event)
        }
        item.withUnsafeBytes { hash.update($0) }
        guard case .success(let frame) = item.withUnsafeBytes({ StreamFrame.decode($0) }) else {
            return observer.report(.w4, place, "cannot read a frame that was sent")
        }
        tell(place, .streamFrame(id, frame), as: event)
    }

    /// The dialler is believed with its first frame.
    private mutating func accept(_ place: Int, _ name: UInt32, _ pipe: Int, _ event: WorldEvent) {
        processes[place].acceptedCount = (processes[place].acceptedCount + 1) & ~StreamID.acceptedBit
        let id = StreamID(rawValue: processes[place].acceptedCount | StreamID.acceptedBit)
        pipes[pipe].ends.1.id = id
        pipes[pipe].ends.1.isHeld = true
        processes[place].streams.append((id, name))
        let from = processes[pipes[pipe].ends.0.process].address
        tell(
            place,
            .streamAccepted(id, pipes[pipe].purpose, from: PeerAddress(high: from.high, low: from.low, port: 40_000)),
            as: event)
    }

    // MARK: Ends

    mutating func close(_ id: StreamID, of place: Int) {
        guard let entry = processes[place].streams.firstIndex(where: { $0.id == id }) else { return }
        let name = processes[place].streams.remove(at: entry).pipe
        guard let pipe = pipes.place(name) else { return }
        let side = id.isAccepted ? 1 : 0
        pipes[pipe].withEnd(side) { $0.isHeld = false }
        guard pipes[pipe].state == .open else { return pipes.end(name) }
        // Both have closed: what is still on its way interests nobody.
        if !pipes[pipe].end(1 - side).isHeld, pipes[pipe].ends.1.id.rawValue != 0 { return pipes.end(name) }
        put([], name, pipe, side: side, of: place)
    }

    /// Both ends hear that it is over, each as soon as it can.
    private mutating func breakOff(_ name: UInt32, _ failure: StreamFailure) {
        guard let pipe = pipes.place(name) else { return }
        guard pipes[pipe].end(0).isHeld || pipes[pipe].end(1).isHeld else { return pipes.end(name) }
        pipes[pipe].failure = failure
        for side in 0...1 {
            let end = pipes[pipe].end(side)
            guard end.isHeld, processes[end.process].state.isUp, processes[end.process].life == end.life else {
                continue
            }
            agenda.add(WorldEvent(.reset, target: end.process, payload: name, life: end.life), at: now)
        }
    }

    /// A process hears that its stream is broken.
    mutating func reset(_ place: Int, _ event: WorldEvent) {
        guard let pipe = pipes.place(event.payload) else { return }
        for side in 0...1 where pipes[pipe].end(side).isHeld && pipes[pipe].end(side).process == place {
            let id = pipes[pipe].end(side).id
            let failure = pipes[pipe].failure
            pipes[pipe].withEnd(side) { $0.isHeld = false }
            processes[place].streams.removeAll { $0.id == id }
            if !pipes[pipe].end(1 - side).isHeld { pipes.end(event.payload) }
            return tell(place, .streamFailed(id, failure), as: event)
        }
        pipes.end(event.payload)
    }

    /// Its kernel resets them, or nobody is there to do it and the others wait.
    mutating func endStreams(of place: Int, answersDials: Bool) {
        let streams = processes[place].streams
        processes[place].streams.removeAll()
        for (id, name) in streams {
            guard let pipe = pipes.place(name) else { continue }
            let side = id.isAccepted ? 1 : 0
            pipes[pipe].withEnd(side) { $0.isHeld = false }
            let other = pipes[pipe].end(1 - side)
            guard other.isHeld else {
                pipes.end(name)
                continue
            }
            pipes[pipe].failure = answersDials ? .reset : .timeout
            let delay = answersDials ? network.delay(place, other.process) : Pipe.patience
            agenda.add(WorldEvent(.reset, target: other.process, payload: name, life: other.life), at: now + delay)
        }
    }
}
