import Determinism
import RateLimiting
import Testing
import WireCoding

private func at(_ seconds: Double) -> Instant { .zero + .nanoseconds(Int64(seconds * 1e9)) }
private func replica(_ number: UInt32) -> ReplicaShortID { ReplicaShortID(rawValue: number) }

/// IPv4 10.0.x.y.
private func news(
    _ host: UInt64, stamp: UInt64, by origin: UInt32 = 1, cleared: Bool = false, seconds: UInt32 = 600,
    age: UInt32 = 0
) -> AddressBlockNews {
    AddressBlockNews(
        prefixLength: 128, isCleared: cleared, reason: 3, high: 0, low: 0xffff_0a00_0000 + host, stamp: stamp,
        origin: replica(origin), durationSeconds: seconds, ageSeconds: age)
}

extension BlockedAddresses {
    fileprivate func isBlocked(host: UInt64, at now: Instant) -> Bool {
        isBlocked(high: 0, low: 0xffff_0a00_0000 + host, at: now)
    }
}

@Suite("Temporary blocks of addresses")
struct AddressBlocksTests {
    @Test("M21: for each address the greatest (stamp, origin) holds, in every order and with repetitions")
    func orders() {
        let all = [
            news(1, stamp: 5), news(1, stamp: 5, by: 2, cleared: true), news(1, stamp: 4, by: 9), news(2, stamp: 7),
        ]
        var hashes: Set<UInt64> = []
        for order in permutations(of: all) {
            var blocks = AddressBlocks()
            for piece in order + order { _ = blocks.merge(piece, at: at(0)) }
            hashes.insert(blocks.hash)
            #expect(!blocks.blocked.isBlocked(host: 1, at: at(1)) && blocks.blocked.isBlocked(host: 2, at: at(1)))
        }
        #expect(hashes.count == 1)
    }

    private func permutations<Element>(of list: [Element]) -> [[Element]] {
        guard list.count > 1 else { return [list] }
        return list.indices.flatMap { position in
            var rest = list
            let first = rest.remove(at: position)
            return permutations(of: rest).map { [first] + $0 }
        }
    }

    /// What has to be true, in ten lines: of the words on an address the greatest one counts until it ends.
    private struct Model {
        var words: [UInt64: (stamp: UInt64, origin: UInt32, cleared: Bool, ends: Instant)] = [:]

        mutating func hear(_ piece: AddressBlockNews, at now: Instant) {
            guard piece.ageSeconds < piece.durationSeconds else { return }
            if let held = words[piece.low], held.ends > now,
                (held.stamp, held.origin) >= (piece.stamp, piece.origin.rawValue)
            {
                return
            }
            let ends = now + .seconds(Int(piece.durationSeconds - piece.ageSeconds))
            words[piece.low] = (piece.stamp, piece.origin.rawValue, piece.isCleared, ends)
        }

        func isBlocked(_ host: UInt64, at now: Instant) -> Bool {
            words[0xffff_0a00_0000 + host].map { !$0.cleared && now < $0.ends } ?? false
        }
    }

    @Test("the table agrees with ten lines that keep everything", arguments: 0..<30)
    func model(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var blocks = AddressBlocks()
        var model = Model()
        var now = at(0)
        for _ in 0..<300 {
            now = now + .milliseconds(Int64(random.below(3_000)))
            // Looked at seldom, so that the table forgets late as well as in time.
            if random.chance(0.5) { _ = blocks.expire(at: now) }
            let (stamp, origin) = (1 + random.below(40), random.below(3))
            let piece = news(
                random.below(6), stamp: stamp, by: UInt32(origin), cleared: (stamp + origin) % 3 == 0,
                seconds: 1 + UInt32(stamp * 7 % 20), age: UInt32(random.below(22)))
            _ = blocks.expire(at: now)
            _ = blocks.merge(piece, at: now)
            model.hear(piece, at: now)
            let blocked = blocks.blocked
            for host in 0..<6 as Range<UInt64> {
                for later in [0, 5, 15] {
                    let moment = now + .seconds(later)
                    #expect(blocked.isBlocked(host: host, at: moment) == model.isBlocked(host, at: moment))
                }
            }
        }
    }

    @Test("M21: told on from replica to replica, a block ends everywhere within its duration, half a second a hop")
    func ages() {
        var first = AddressBlocks()
        var clock = HybridClock()
        let wish = news(1, stamp: 0, by: 0, seconds: 60)
        #expect(first.act(wish, by: replica(7), clock: &clock, wallMilliseconds: 9, at: at(0)) != nil)
        var holder = first
        for hop in 1...5 {
            var next = AddressBlocks()
            let moment = at(Double(hop) * 7.3)
            for piece in holder.news(at: moment) { _ = next.merge(piece, at: moment) }
            #expect(next.hash == first.hash)
            #expect(next.blocked.isBlocked(host: 1, at: at(60 - 0.51 * Double(hop))))
            #expect(!next.blocked.isBlocked(host: 1, at: at(60 + 0.51 * Double(hop))))
            holder = next
        }
        #expect(holder.expire(at: at(63)) && holder.entries.isEmpty && holder.hash == 0)
        #expect(first.news(at: at(59.9)).first?.ageSeconds == 60 && holder.nextDeadline == .never)
    }

    @Test("M21: hearing a block again, at whatever age, does not move its end")
    func repetition() {
        var blocks = AddressBlocks()
        _ = blocks.merge(news(1, stamp: 5, seconds: 60), at: at(0))
        for second in 1..<60 {
            let heard = blocks.merge(news(1, stamp: 5, seconds: 60, age: UInt32(second) / 2), at: at(Double(second)))
            #expect(heard == .known)
        }
        #expect(blocks.blocked.isBlocked(host: 1, at: at(59.9)) && !blocks.blocked.isBlocked(host: 1, at: at(60)))
    }

    @Test("M21: an unblock wins over a block from a clock that is years ahead, and over its late copies")
    func unblock() {
        var blocks = AddressBlocks()
        var clock = HybridClock()
        let far = UInt64(4_000_000_000_000) << 16
        #expect(blocks.merge(news(1, stamp: far, by: 9), at: at(0)) == .taken)
        let lifted = blocks.act(
            news(1, stamp: 0, cleared: true), by: replica(1), clock: &clock, wallMilliseconds: 1_000, at: at(1))
        #expect(lifted.map { $0.stamp == far + 1 && $0.durationSeconds == AddressBlocks.durationSecondsMax } == true)
        #expect(blocks.merge(news(1, stamp: far, by: 9, age: 2), at: at(2)) == .known)
        #expect(!blocks.blocked.isBlocked(host: 1, at: at(2)))
        // As long as any older block can last, the lifting is remembered.
        #expect(!blocks.expire(at: at(86_400)) && blocks.entries.count == 1)
    }

    @Test("at the bound everything stays; one more, and the soonest to expire leaves, on every replica the same")
    func bound() {
        var bounds = AddressBlocks.Bounds()
        bounds.entries = 5
        bounds.entriesPerOrigin = 3
        let pieces = (0..<6 as Range<UInt64>).map {
            news($0, stamp: 1, by: UInt32($0 % 3), seconds: 100 + 10 * UInt32($0))
        }
        var tables = [AddressBlocks(bounds: bounds), AddressBlocks(bounds: bounds)]
        for piece in pieces.dropLast() { #expect(tables[0].merge(piece, at: at(0)) == .taken) }
        #expect(tables[0].evictions == 0 && tables[0].entries.count == 5)
        #expect(tables[0].merge(pieces[5], at: at(0)) == .taken)
        #expect(tables[0].evictions == 1 && tables[0].entries.count == 5)
        #expect(!tables[0].blocked.isBlocked(host: 0, at: at(1)))
        for piece in pieces.reversed() { _ = tables[1].merge(piece, at: at(0)) }
        #expect(tables[1].hash == tables[0].hash && tables[1].merge(pieces[0], at: at(1)) == .full)
    }

    @Test("an origin with too many pushes out its own, never those of others")
    func perOrigin() {
        var bounds = AddressBlocks.Bounds()
        bounds.entries = 5
        bounds.entriesPerOrigin = 3
        var blocks = AddressBlocks(bounds: bounds)
        _ = blocks.merge(news(99, stamp: 1, by: 8, seconds: 1), at: at(0))
        for host in 0..<4 as Range<UInt64> {
            _ = blocks.merge(news(host, stamp: 1, by: 7, seconds: 100 - UInt32(host)), at: at(0))
        }
        let blocked = blocks.blocked
        #expect(
            blocks.evictions == 1 && blocked.isBlocked(host: 99, at: at(0)) && !blocked.isBlocked(host: 3, at: at(0)))
    }

    @Test("full as it ships: 4,096 entries, 1,024 of one origin")
    func shipped() {
        var blocks = AddressBlocks()
        for host in 0..<4_106 as Range<UInt64> {
            _ = blocks.merge(news(host, stamp: 1, by: UInt32(host % 5)), at: at(0))
        }
        #expect(blocks.entries.count == 4_096 && blocks.evictions == 10)
        var other = AddressBlocks()
        for host in 0..<1_025 as Range<UInt64> { _ = other.merge(news(host, stamp: 1, by: 77), at: at(0)) }
        #expect(other.entries.count == 1_024 && other.evictions == 1)
    }

    @Test("of IPv6 a /64 is blocked, of IPv4 one address; other ranges are refused")
    func ranges() {
        var blocks = AddressBlocks()
        func v6(_ high: UInt64, _ low: UInt64, _ length: UInt8) -> AddressBlockNews {
            var piece = news(0, stamp: 1)
            (piece.high, piece.low, piece.prefixLength) = (high, low, length)
            return piece
        }
        #expect(blocks.merge(v6(0x2001_0db8_0000_0000, 0, 64), at: at(0)) == .taken)
        let blocked = blocks.blocked
        #expect(blocked.isBlocked(high: 0x2001_0db8_0000_0000, low: 77, at: at(0)))
        #expect(!blocked.isBlocked(high: 0x2001_0db8_0000_0001, low: 77, at: at(0)))
        for bad in [v6(0, 0, 0), v6(1, 1, 64), v6(1, 0, 128), v6(0, 0xffff_0000_0000, 96), v6(1, 0, 255)] {
            #expect(blocks.merge(bad, at: at(0)) == .malformed)
        }
        #expect(blocks.merge(news(1, stamp: .max), at: at(0)) == .malformed)
        #expect(blocks.merge(news(1, stamp: 1, age: 600), at: at(0)) == .expired)
        #expect(blocks.merge(news(1, stamp: 1, seconds: .max, age: 86_399), at: at(0)) == .taken)
        #expect(!blocks.blocked.isBlocked(host: 1, at: at(1)))
    }
}
