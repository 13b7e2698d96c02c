import Determinism

/// What becomes of packets between processes. It knows numbers of processes and lengths, nothing of protocols.
struct Network: Sendable {
    private struct Link: Sendable {
        var isBad = false
        /// When the last packet has left it.
        var freeAt = Int64.min
    }

    /// Up to so many processes each directed link has a state of its own; above, each sender has one for all its links.
    static let linksOfTheirOwnMax = 64

    /// Copies of one packet that arrive, and when.
    struct Passage: Sendable, Equatable {
        var arrives: Instant?
        var copyArrives: Instant?
        var isDamaged = false
        /// It will be seen again.
        var replayedAt: Instant?
    }

    private let processes: Int
    private let hasLinks: Bool
    private var links: [Link]
    private let salt: UInt64
    var weather: LinkWeather
    var cuts = Cuts()
    var generator: SeededGenerator

    init(processes: Int, weather: LinkWeather, world: WorldGenerator) {
        self.processes = processes
        hasLinks = processes <= Self.linksOfTheirOwnMax
        links = Array(repeating: Link(), count: hasLinks ? processes * processes : processes)
        self.weather = weather
        generator = world.stream("network")
        salt = world.seed("links", 0)
    }

    mutating func carry(_ bytes: Int, from: Int, to: Int, at now: Instant) -> Passage {
        guard !cuts.isCut(from, to, .datagram) else { return Passage() }
        if let narrow = weather.narrowBytes, bytes > narrow, character(from, to) & 3 == 0 { return Passage() }
        var departs = now
        let place = hasLinks ? from * processes + to : from
        if let rate = weather.bytesPerSecond {
            let free = max(links[place].freeAt, now.nanoseconds)
            guard free - now.nanoseconds <= weather.queueMax.rawValue else { return Passage() }
            links[place].freeAt = free + Int64(bytes + Self.headerBytes) * 1_000_000_000 / rate
            departs = Instant(nanoseconds: links[place].freeAt)
        }
        if isLost(on: place) { return Passage() }
        var passage = Passage(arrives: departs + delay(from, to))
        if generator.happens(perMillion: weather.held) {
            passage.arrives = passage.arrives! + generator.span(.milliseconds(1), .milliseconds(500))
        }
        if generator.happens(perMillion: weather.duplication) { passage.copyArrives = departs + delay(from, to) }
        if generator.happens(perMillion: weather.damage) { passage.isDamaged = true }
        if generator.happens(perMillion: weather.replay) {
            passage.replayedAt = now + generator.span(.milliseconds(1), .seconds(600))
        }
        return passage
    }

    /// IPv6 and UDP.
    static let headerBytes = 48

    /// One way, now.
    mutating func delay(_ from: Int, _ to: Int) -> Nanoseconds {
        var delay = weather.delayMin + generator.exponential(mean: weather.delayTail)
        if weather.delaySpread.rawValue > 0 {
            delay += .nanoseconds(Int64(character(from, to) >> 8 % UInt64(weather.delaySpread.rawValue)))
        }
        return delay
    }

    /// A segment of a stream: lost ones are sent again by the sender's kernel, so only whether this try fails matters.
    mutating func losesSegment(from: Int, to: Int) -> Bool {
        isLost(on: hasLinks ? from * processes + to : from)
    }

    mutating func draw<R>(_ body: (inout SeededGenerator) -> R) -> R { body(&generator) }

    private mutating func isLost(on place: Int) -> Bool {
        if let bursts = weather.bursts {
            let changes = links[place].isBad ? bursts.badToGood : bursts.goodToBad
            if generator.happens(perMillion: changes) { links[place].isBad.toggle() }
            if links[place].isBad, generator.happens(perMillion: bursts.lossInBad) { return true }
        }
        return generator.happens(perMillion: weather.loss)
    }

    /// A number that a link keeps for the whole run.
    private func character(_ from: Int, _ to: Int) -> UInt64 {
        var mixed = salt ^ (UInt64(from) << 32 | UInt64(to)) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 29) &* 0xbf58_476d_1ce4_e5b9
        return mixed ^ mixed >> 32
    }
}
