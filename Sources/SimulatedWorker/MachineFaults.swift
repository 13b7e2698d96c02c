import Determinism

/// What scripted faults do to requests and to the whole worker.
extension WorkerMachine {
    package func holds(_ kind: ScriptedFault.Kind) -> Bool { faults.contains { $0.kind == kind && $0.isAwake } }
    package var threadIsDead: Bool { isThreadDead }
    package var activeFaults: [ScriptedFault] { faults }
    /// Gigabytes that somebody else's programs hold.
    var takenGigabytes: Double {
        faults.reduce(0) { $0 + ($1.kind == .memoryTaken && $1.isAwake ? $1.gigabytes : 0) }
    }

    /// A fault of the whole worker begins at once, unless it waits for a request of its choice.
    mutating func arm(_ fault: inout ScriptedFault) {
        fault.isAwake = fault.kind.strikesRequests || !fault.waits
        if fault.isAwake, let lasts = fault.lasts { fault.endsAt = time + lasts }
    }

    /// What begins with the fault itself and not with a request.
    mutating func begin(_ fault: ScriptedFault) {
        switch fault.kind {
        case .threadDead where !fault.waits: killThread()
        case .restart where fault.isAwake:
            faults.removeAll { $0.id == fault.id }
            restart(after: fault.delay)
        default: break
        }
        speedChanged()
    }

    /// Marks an exchange with what is to happen to it. False when its story is over already.
    mutating func afflict(_ exchange: inout Exchange, _ ask: Ask) -> Bool {
        wake(by: ask)
        guard !isDown else {
            outputs.append(.hangUp(exchange.id, rudely: false))
            return false
        }
        for position in faults.indices where faults[position].kind.strikesRequests {
            guard strikes(position, ask) else { continue }
            let fault = faults[position]
            record(.fault, exchange.id, note: fault.kind.rawValue)
            switch fault.kind {
            case .refuse:
                let body = ErrorText.failure(flavor, fault.status, "refused by script", code: "scripted")
                refuse(exchange.id, status: fault.status, body: body)
                return false
            case .reset:
                outputs.append(.hangUp(exchange.id, rudely: true))
                return false
            case .threadDead:
                killThread()
                refuse(exchange.id, status: 404, body: ErrorText.threadDied)
                return false
            case .dieOn:
                die()
                return false
            case .slowHead: exchange.notBefore = time + fault.delay
            case .stall: trick(&exchange, .stall, fault.afterTokens)
            case .zombie: trick(&exchange, .stall, 0)
            case .cut: trick(&exchange, .cut, fault.afterTokens)
            case .errorEvent: trick(&exchange, .errorEvent, fault.afterTokens)
            case .silentEnd: trick(&exchange, .silentEnd, fault.afterTokens)
            case .wrongModel: wrongModelExchange = exchange.id
            case .closeListener, .slow, .vanish, .lieHealth, .foreignLoad, .memoryTaken, .duplicateIdentity,
                .backlogFull, .restart:
                break
            }
        }
        return true
    }

    /// Faults of the whole worker that waited for this request begin now.
    private mutating func wake(by ask: Ask) {
        var restart: Duration?
        for position in faults.indices where !faults[position].isAwake {
            guard strikes(position, ask) else { continue }
            faults[position].isAwake = true
            if let lasts = faults[position].lasts { faults[position].endsAt = time + lasts }
            record(.fault, nil, note: faults[position].kind.rawValue)
            if faults[position].kind == .restart { restart = faults[position].delay }
        }
        if let restart {
            faults.removeAll { $0.kind == .restart && $0.isAwake }
            self.restart(after: restart)
        }
        speedChanged()
    }

    private func trick(_ exchange: inout Exchange, _ trick: Exchange.Trick, _ tokens: Int) {
        exchange.trick = trick
        exchange.trickAfter = tokens
    }

    private mutating func strikes(_ position: Int, _ ask: Ask) -> Bool {
        if let match = faults[position].match, ChoiceWriter.position(of: match, in: ask.body, from: 0) == nil {
            return false
        }
        if faults[position].afterRequests > 0 {
            faults[position].afterRequests -= 1
            return false
        }
        if faults[position].times == 0 { return false }
        if faults[position].probability < 1, !chance.chance(faults[position].probability) { return false }
        if let times = faults[position].times { faults[position].times = times - 1 }
        return true
    }

    /// Everybody who waits for the thread gets its last words, as far as a status can still be sent.
    mutating func killThread() {
        isThreadDead = true
        for exchange in running + queue where !exchange.isGone {
            if exchange.headSent && exchange.stream {
                outputs.append(.hangUp(exchange.id, rudely: false))
            } else {
                refuse(exchange.id, status: 404, body: ErrorText.threadDied)
            }
        }
        forgetRequests()
        loads.removeAll()
    }

    /// Faults whose time is over go; the speed follows from those that stay.
    mutating func expireFaults() {
        let before = faults.count
        faults.removeAll { $0.endsAt <= time }
        if faults.count != before { speedChanged() }
    }

    /// Heat, other users of the chip, and memory that is really a disk.
    mutating func speedChanged() {
        var speed = faults.reduce(heat) { speed, fault in
            guard fault.isAwake else { return speed }
            return switch fault.kind {
            case .slow: speed * fault.factor
            case .foreignLoad: speed * (1 - fault.factor * 0.99)
            default: speed
            }
        }
        if isSwapping { speed *= Timing.swapShare }
        timing.speed = speed
    }
}
