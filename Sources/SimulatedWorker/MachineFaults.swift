import Determinism

/// What scripted faults do to requests and to the whole worker.
extension WorkerMachine {
    package func holds(_ kind: ScriptedFault.Kind) -> Bool { faults.contains { $0.kind == kind } }
    package var threadIsDead: Bool { isThreadDead }
    package var isLoading: Bool { loading != nil }
    package var activeFaults: [ScriptedFault] { faults }

    /// Marks an exchange with what is to happen to it. False when its story is over already.
    mutating func afflict(_ exchange: inout Exchange, _ ask: Ask) -> Bool {
        for position in faults.indices where faults[position].kind.strikesRequests {
            guard strikes(position, ask) else { continue }
            let fault = faults[position]
            record(.fault, exchange.id, note: fault.kind.rawValue)
            switch fault.kind {
            case .refuse:
                let body =
                    flavor == .mlxLM
                    ? ErrorText.flat("refused by script")
                    : ErrorText.openAI("refused by script", type: "server_error", code: "scripted")
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
                outputs.append(.processDies)
                return false
            case .slowHead: exchange.notBefore = time + fault.delay
            case .stall: trick(&exchange, .stall, fault.afterTokens)
            case .zombie: trick(&exchange, .stall, 0)
            case .cut: trick(&exchange, .cut, fault.afterTokens)
            case .errorEvent: trick(&exchange, .errorEvent, fault.afterTokens)
            case .silentEnd: trick(&exchange, .silentEnd, fault.afterTokens)
            case .wrongModel, .closeListener, .slow, .vanish, .lieHealth, .foreignLoad: break
            }
        }
        return true
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
        running.removeAll()
        queue.removeAll()
        prefilling = nil
        decodeEnds = nil
        loading = nil
    }

    /// Faults whose time is over go; the speed follows from those that stay.
    mutating func expireFaults() {
        let before = faults.count
        faults.removeAll { $0.endsAt <= time }
        if faults.count != before { heatChanged() }
    }

    mutating func heatChanged() {
        timing.speed = faults.reduce(heat) { speed, fault in
            switch fault.kind {
            case .slow: speed * fault.factor
            case .foreignLoad: speed * (1 - fault.factor * 0.99)
            default: speed
            }
        }
    }
}
