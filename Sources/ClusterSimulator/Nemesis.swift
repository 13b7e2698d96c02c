import Determinism

/// Draws what will go wrong, before the run begins.
///
/// First it draws which kinds of trouble exist at all, each with probability one half: a run with all of them at once hides
/// the bugs that need quiet (swarm testing; TigerBeetle's VOPR does the same). Ranges: [VOPR] read in its code, [ours].
struct Nemesis: Sendable {
    private var generator: SeededGenerator
    private let replicas: Int
    private let duration: Nanoseconds
    private var lines: [ScriptLine] = []

    /// The weather of the whole run and the script.
    static func draw(
        _ world: WorldGenerator, replicas: Int, duration: Nanoseconds
    ) -> (weather: LinkWeather, script: [ScriptLine]) {
        var weathers = world.stream("weather")
        var nemesis = Nemesis(generator: world.stream("nemesis"), replicas: replicas, duration: duration)
        return (weather(drawing: &weathers), nemesis.script())
    }

    // MARK: Weather

    private static func weather(drawing generator: inout SeededGenerator) -> LinkWeather {
        var weather = LinkWeather.lan
        // A quarter of a million seeds over all have none of it; each is drawn whether or not another is there.
        if generator.isHeads() {
            weather.delayMin = generator.span(.zero, .milliseconds(30))  // [VOPR]
            weather.delayTail = generator.span(.zero, .milliseconds(100))
        }
        if generator.isHeads() { weather.delaySpread = generator.span(.zero, .milliseconds(20)) }
        if generator.isHeads() { weather.loss = UInt32(generator.whole(0...300_000)) }  // [VOPR]
        if generator.isHeads() {
            weather.bursts = LinkWeather.Bursts(  // [ours]
                goodToBad: UInt32(generator.whole(1_000...50_000)),
                badToGood: UInt32(generator.whole(50_000...500_000)),
                lossInBad: UInt32(generator.whole(500_000...1_000_000)))
        }
        if generator.isHeads() { weather.duplication = UInt32(generator.whole(0...500_000)) }  // [VOPR]
        if generator.isHeads() { weather.replay = UInt32(generator.whole(0...20_000)) }  // W3, W4
        if generator.isHeads() { weather.held = UInt32(generator.whole(0...100_000)) }  // [ours]
        if generator.isHeads() { weather.damage = UInt32(generator.whole(0...10_000)) }  // [ours]
        if generator.isHeads() { weather.narrowBytes = generator.whole(1_000...1_400) }  // [ours]
        if generator.isHeads() {
            // 0.1 … 100 Mbit/s, each tenth as likely as the next [ours].
            let decade = generator.whole(0...2)
            let factor = [1, 10, 100][decade]
            weather.bytesPerSecond = Int64(generator.whole(12_500...125_000) * factor)
            weather.queueMax = generator.span(.milliseconds(5), .milliseconds(200))
        }
        return weather
    }

    // MARK: Troubles

    private mutating func script() -> [ScriptLine] {
        guard replicas > 0 else { return [] }
        let seconds = max(1, Int(duration.wholeSeconds))
        // Up to one a replica and minute [ours], never so many that a large flock does nothing else.
        func rate(_ generator: inout SeededGenerator, _ replicas: Int) -> Int {
            let most = max(1, min(replicas, 20) * seconds / 60)
            return generator.whole(1...most)
        }
        if generator.isHeads() { several(rate(&generator, replicas)) { $0.crash() } }
        if generator.isHeads() { several(rate(&generator, replicas)) { $0.pause() } }
        if generator.isHeads() { several(rate(&generator, replicas)) { $0.slow() } }
        if replicas > 1 {
            if generator.isHeads() { several(rate(&generator, 3)) { $0.partition() } }
            if generator.isHeads() { several(rate(&generator, replicas)) { $0.clog() } }
            if generator.isHeads() { several(rate(&generator, replicas)) { $0.block() } }
            if generator.isHeads() { several(rate(&generator, 3)) { $0.forceLeave() } }
        }
        if generator.isHeads() { several(rate(&generator, replicas)) { $0.jump() } }
        if generator.isHeads() { several(rate(&generator, 3)) { $0.rebind() } }
        if generator.isHeads() { several(rate(&generator, 2)) { $0.leave() } }
        if generator.isHeads() { several(1) { $0.add(.crashAll(restartWithin: $0.span(0, 10_000))) } }
        if generator.isHeads() { several(rate(&generator, 2)) { $0.add(.rotate(by: $0.anyone())) } }
        if generator.isHeads() { several(1) { $0.add(.stranger(at: $0.anyone())) } }
        // By time; the order of drawing settles equal times.
        return lines.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    private mutating func several(_ count: Int, _ body: (inout Nemesis) -> Void) {
        for _ in 0..<count { body(&self) }
    }

    private mutating func add(_ trouble: Trouble) {
        // The first seconds belong to starting.
        let first = min(2_000, duration.wholeMilliseconds / 4)
        let at = Int(first) + Int(generator.below(UInt64(max(1, duration.wholeMilliseconds - first))))
        lines.append(ScriptLine(at: .milliseconds(Int64(at)), trouble))
    }

    private mutating func anyone() -> Int { Int(generator.below(UInt64(replicas))) }

    /// Milliseconds, short ones more often: half of them in the lowest eighth.
    private mutating func span(_ from: Int, _ to: Int) -> Nanoseconds {
        let most = generator.isHeads() ? from + (to - from) / 8 : to
        return .milliseconds(Int64(generator.whole(from...most)))
    }

    private mutating func crash() {
        let drawn = generator.below(100)
        let disk: Trouble.DiskFate =
            drawn < 50 ? .kept : drawn < 70 ? .unsyncedLost : drawn < 85 ? .wiped : drawn < 95 ? .olderBackup : .clone
        let host: Trouble.HostFate =
            switch generator.below(10) {
            case 0..<5: .refuses
            case 5..<8: .silent
            case 8: .moves
            default: .takesAnother
            }
        let after = generator.below(4) == 0 ? nil : span(0, 60_000)
        add(.crash(anyone(), disk: disk, host: host, restartAfter: after))
    }

    private mutating func pause() { add(.pause(anyone(), span(100, 60_000))) }

    private mutating func slow() {
        let factor = generator.whole(2...50)
        let length = span(1_000, 60_000)
        guard generator.below(8) == 0 else { return add(.slow(anyone(), factor: factor, length)) }
        for replica in 0..<replicas { add(.slow(replica, factor: factor, length)) }
    }

    private mutating func partition() {
        var groups = [UInt8](repeating: 0, count: replicas)
        switch generator.below(5) {
        case 0:  // halves
            for place in groups.indices { groups[place] = UInt8(place * 2 / replicas) }
        case 1:  // random groups
            let count = UInt64(generator.whole(2...min(replicas, 4)))
            for place in groups.indices { groups[place] = UInt8(generator.below(count)) }
        case 2:  // one alone
            groups[anyone()] = 1
        case 3:  // a bridge between two that do not hear each other
            for place in groups.indices { groups[place] = UInt8(generator.below(2)) }
            groups[anyone()] = Cuts.bridge
        default:  // each hears its neighbours in a ring only
            let length = span(100, 120_000)
            guard replicas <= 8 else { return }
            for from in 0..<replicas {
                for to in 0..<replicas where from != to {
                    guard (from + 1) % replicas != to, (to + 1) % replicas != from else { continue }
                    add(.cut(from: from, to: to, datagrams: true, streams: true, length))
                }
            }
            return
        }
        add(.part(groups, isOneWay: generator.below(4) == 0, span(100, 120_000)))
    }

    private mutating func pair() -> (Int, Int) {
        let from = anyone()
        return (from, (from + 1 + Int(generator.below(UInt64(replicas - 1)))) % replicas)
    }

    /// A link that lets nothing through for some seconds [VOPR].
    private mutating func clog() {
        let (from, to) = pair()
        add(.cut(from: from, to: to, datagrams: true, streams: true, span(10, 15_000)))
    }

    /// UDP is blocked and TCP open, or the reverse (serf #216).
    private mutating func block() {
        let (from, to) = pair()
        let blocksDatagrams = generator.isHeads()
        let length = span(1_000, 300_000)
        add(.cut(from: from, to: to, datagrams: blocksDatagrams, streams: !blocksDatagrams, length))
        guard generator.isHeads(), let at = lines.last?.at else { return }
        lines.append(
            ScriptLine(
                at: at, .cut(from: to, to: from, datagrams: blocksDatagrams, streams: !blocksDatagrams, length)))
    }

    private mutating func jump() {
        let magnitudes: [Int64] = [1, 10, 3_600, 86_400, 30 * 86_400, 3_650 * 86_400]
        let seconds = magnitudes[Int(generator.below(UInt64(magnitudes.count)))]
        add(.jump(anyone(), seconds: generator.isHeads() ? seconds : -seconds))
    }

    private mutating func rebind() { add(.rebind(anyone())) }
    private mutating func leave() { add(.leave(anyone(), restartAfter: span(100, 30_000))) }

    private mutating func forceLeave() {
        let (by, of) = pair()
        add(.forceLeave(by: by, of: of))
    }
}

extension SeededGenerator {
    mutating func isHeads() -> Bool { next() >> 63 == 1 }
}
