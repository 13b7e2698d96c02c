import Determinism

/// What servers do about silence: a comment now and then to those who wait, and a look whether they still do.
extension WorkerMachine {
    /// When the next stream has been silent for too long, or the next client that left is found out.
    var nextWatch: Instant? {
        var next: Instant?
        func consider(_ instant: Instant) { next = next.map { min($0, instant) } ?? instant }
        let silence = isSilent ? nil : flavor.silence
        for exchange in running {
            if exchange.isGone {
                if let instant = exchange.noticedAt { consider(instant) }
            } else if let silence, exchange.stream, exchange.headSent {
                consider(exchange.saidAt + silence)
            }
        }
        guard silence != nil else { return next }
        for exchange in queue {
            if exchange.isGone {
                if let instant = exchange.noticedAt { consider(instant) }
            } else if let silence, exchange.stream, exchange.headSent {
                consider(exchange.saidAt + silence)
            }
        }
        return next
    }

    mutating func watch() {
        removeNoticed()
        guard !isSilent, let silence = flavor.silence else { return }
        for position in running.indices where isSilent(running[position], silence) {
            running[position].saidAt = time
            outputs.append(.comment(running[position].id))
        }
        for position in queue.indices where isSilent(queue[position], silence) {
            queue[position].saidAt = time
            outputs.append(.comment(queue[position].id))
        }
    }

    private func isSilent(_ exchange: Exchange, _ silence: Duration) -> Bool {
        exchange.stream && exchange.headSent && !exchange.isGone && exchange.saidAt + silence <= time
    }

    /// Whoever waits for a quiet moment to look for lost clients begins to wait anew.
    mutating func resultCame() {
        guard case .afterQuiet(let quiet) = flavor.noticing(stream: false) else { return }
        for position in running.indices where running[position].noticedAt != nil && !running[position].stream {
            running[position].noticedAt = time + quiet
        }
        for position in queue.indices where queue[position].noticedAt != nil && !queue[position].stream {
            queue[position].noticedAt = time + quiet
        }
    }

    private mutating func removeNoticed() {
        while let position = running.firstIndex(where: { ($0.noticedAt ?? .never) <= time }) {
            record(.noticed, running[position].id)
            release(position)
        }
        while let position = queue.firstIndex(where: { ($0.noticedAt ?? .never) <= time }) {
            record(.noticed, queue.remove(at: position).id)
        }
    }
}
