package import Determinism

/// What happened at a worker, in order, for whoever asks the control port later. The oldest entries make room.
package struct Journal: Sendable {
    package static let entriesMax = 65_536

    package enum Event: String, Sendable {
        case accept, refuse, head, progress, token, finish, closed, noticed, load, evict, fault, reset
        case loadBegin = "load_begin"
        case loadAbort = "load_abort"
    }

    package struct Entry: Sendable, Equatable {
        package var number: Int
        package var event: Event
        /// The worker's own clock.
        package var at: Instant
        /// The machine's monotonic clock in nanoseconds, which other processes can compare with their own.
        package var monotonic: Int64
        package var exchange: ExchangeID?
        package var phase: Phase?
        package var model: Int?
        package var tokens: Int?
        package var noticed: Bool?
        package var note: String?

        package init(
            number: Int = 0, event: Event, at: Instant, monotonic: Int64, exchange: ExchangeID? = nil,
            phase: Phase? = nil, model: Int? = nil, tokens: Int? = nil, noticed: Bool? = nil, note: String? = nil
        ) {
            self.number = number
            self.event = event
            self.at = at
            self.monotonic = monotonic
            self.exchange = exchange
            self.phase = phase
            self.model = model
            self.tokens = tokens
            self.noticed = noticed
            self.note = note
        }
    }

    private var ring: [Entry] = []
    private var oldest = 0
    package private(set) var lastNumber = 0

    package init() {}

    package mutating func append(_ entry: Entry) {
        lastNumber += 1
        var entry = entry
        entry.number = lastNumber
        if ring.count < Self.entriesMax {
            ring.append(entry)
        } else {
            ring[oldest] = entry
            oldest = (oldest + 1) % Self.entriesMax
        }
    }

    /// Entries with a number above `number`, oldest first.
    package func entries(after number: Int) -> [Entry] {
        let first = lastNumber - ring.count + 1
        let skip = min(max(0, number - first + 1), ring.count)
        return (skip..<ring.count).map { ring[(oldest + $0) % ring.count] }
    }

    package mutating func removeAll() {
        ring.removeAll()
        oldest = 0
    }
}
