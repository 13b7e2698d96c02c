import Determinism
import Testing
import WireCoding

@testable import Membership

struct QueueTests {
    /// What a queue of rumours is, in a few lines: the order of wishes, and everything sorted by it each time.
    private struct Model {
        struct Entry {
            let key: RumourKey
            let lane: UInt8
            let serial: UInt64
            let bytes: Int
            let sendsMax: Int
            let keptUntil: Instant
            var sends = 0
        }
        var entries: [Entry] = []
        var byteCount: Int { entries.reduce(0) { $0 + $1.bytes } }

        static func isWantedMore(_ a: Entry, _ b: Entry) -> Bool {
            (a.lane, a.sends, UInt64.max - a.serial) < (b.lane, b.sends, UInt64.max - b.serial)
        }

        mutating func insert(_ entry: Entry, countMax: Int, bytesMax: Int) -> Bool {
            entries.removeAll { $0.key == entry.key }
            while entries.count >= countMax || byteCount + entry.bytes > bytesMax {
                entries.sort(by: Self.isWantedMore)
                guard let last = entries.last, last.lane >= entry.lane else { return false }
                entries.removeLast()
            }
            entries.append(entry)
            return true
        }

        /// Serials in the order of the packet.
        mutating func fill(room: Int, lanes: ClosedRange<UInt8>, except packed: Set<UInt64>) -> [UInt64] {
            var room = room
            var serials: [UInt64] = []
            entries.sort(by: Self.isWantedMore)
            for index in entries.indices
            where entries[index].sends < entries[index].sendsMax && lanes.contains(entries[index].lane)
                && entries[index].bytes <= room && !packed.contains(entries[index].serial)
            {
                room -= entries[index].bytes
                entries[index].sends += 1
                serials.append(entries[index].serial)
            }
            return serials
        }
    }

    /// A message of a size that says its number.
    private static func message(_ serial: UInt64, words: Int) -> Message {
        .receipt([serial] + [UInt64](repeating: 0, count: words - 1))
    }

    private static func serials(in packet: [UInt8]) -> [UInt64] {
        var messages: [Message] = []
        _ = packet.withUnsafeBytes { Message.decodeAll($0, into: &messages) }
        return messages.map { if case .receipt(let words) = $0 { words[0] } else { 0 } }
    }

    @Test("a queue of rumours is its ten-line model", arguments: 0..<10)
    func queue(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let (countMax, bytesMax) = seed % 2 == 0 ? (8, 100_000) : (100, 700)
        var queue = RumourQueue(countMax: countMax, bytesMax: bytesMax)
        var model = Model()
        var serial: UInt64 = 0
        var now = Instant.zero
        for step in 0..<400 {
            now = now + Nanoseconds.milliseconds(10)
            switch random.below(12) {
            case 0..<5:
                let key = RumourKey(kind: UInt8(random.below(3)), subject: random.below(8))
                let (lane, words) = (UInt8(1 + random.below(6)), 1 + Int(random.below(16)))
                let (sends, kept) = (Int(random.below(4)), now + .milliseconds(Int64(random.below(100))))
                let message = Self.message(serial + 1, words: words)
                var dropped: UInt8?
                let insertion = queue.insert(
                    message, key: key, lane: lane, sendsMax: sends, keptUntil: kept, dropped: &dropped)
                let isTaken = model.insert(
                    .init(
                        key: key, lane: lane, serial: serial + 1, bytes: message.encodedCount, sendsMax: sends,
                        keptUntil: kept), countMax: countMax, bytesMax: bytesMax)
                serial += isTaken ? 1 : 0
                #expect(insertion == (isTaken ? .queued(serial: serial) : .full), "step \(step)")
            case 5..<8:
                var packet: [UInt8] = []
                queue.beginPacket()
                var owed: Set<UInt64> = []
                if !model.entries.isEmpty, random.below(2) == 0 {
                    let first = model.entries[Int(random.below(UInt64(model.entries.count)))].serial
                    _ = queue.pack(first, into: &packet, upTo: 1_000)
                    owed = [first]
                }
                let (limit, low) = (packet.count + Int(random.below(600)), UInt8(1 + random.below(4)))
                let told = owed + model.fill(room: limit - packet.count, lanes: low...6, except: owed)
                queue.fill(&packet, upTo: limit, lanes: low...6)
                #expect(Self.serials(in: packet) == told, "step \(step)")
            case 8:
                queue.prune(at: now)
                model.entries.removeAll { $0.sends >= $0.sendsMax && $0.keptUntil <= now }
            case 9, 10:
                let key = RumourKey(kind: UInt8(random.below(3)), subject: random.below(8))
                queue.countHeard(key)
                for index in model.entries.indices
                where model.entries[index].key == key && model.entries[index].sends < model.entries[index].sendsMax {
                    model.entries[index].sends += 1
                }
            default:
                let subject = random.below(8)
                queue.remove { $0.subject == subject }
                model.entries.removeAll { $0.key.subject == subject }
            }
            #expect(queue.count == model.entries.count && queue.byteCount == model.byteCount, "step \(step)")
            #expect(queue.count <= countMax && queue.byteCount <= bytesMax, "M12")
            #expect(queue.hasSendsLeft == model.entries.contains { $0.sends < $0.sendsMax })
        }
    }

    @Test("what is not received is sent after 50, 150 and 400 ms, then given up")
    func receipts() {
        var post = PeerPost(peer: ReplicaShortID(rawValue: 1))
        var now = Instant.zero
        post.expectReceipt(of: [7], counter: 1, tries: 0, at: now, bound: 64)
        var times: [Int64] = []
        while post.deadline != .never {
            now = post.deadline
            #expect(isTrue(post.takeOverdue(at: now + .nanoseconds(-1)) == nil))
            guard let overdue = post.takeOverdue(at: now) else { break }
            times.append(now.nanoseconds / 1_000_000)
            post.expectReceipt(
                of: overdue.serials, counter: UInt64(times.count + 1), tries: overdue.tries + 1, at: now, bound: 64)
        }
        #expect(times == [50, 200, 600])
        #expect(post.isEmpty)
        post.expectReceipt(of: [7], counter: 9, tries: 0, at: now, bound: 64)
        post.received(8)
        #expect(post.isWaitedFor)
        post.received(9)
        #expect(!post.isWaitedFor && post.isEmpty)
    }

    @Test("a peer is owed so much and no more")
    func postBounds() {
        var post = PeerPost(peer: ReplicaShortID(rawValue: 1))
        for serial in 0..<1_000 {
            post.add(UInt64(serial), lane: UInt8(1 + serial % 6), leavingAt: .zero)
            post.owe(UInt64(serial), at: .zero)
            post.owe(UInt64(serial), at: .zero)
            post.expectReceipt(of: [1], counter: UInt64(serial), tries: 0, at: .zero, bound: 5)
        }
        #expect(post.waiting.count == PeerPost.waitingMax && post.awaited.count == 5)
        #expect(post.waiting.allSatisfy { $0.lane <= 2 }, "the most urgent stay")
        #expect(zip(post.waiting, post.waiting.dropFirst()).allSatisfy { $0 < $1 })
        #expect(post.oweUntil == .zero + .milliseconds(10))
        #expect(isTrue(post.takeOwed() == (984..<1_000).map(UInt64.init)))
        #expect(post.oweUntil == .never)
        #expect(post.nextWaiting(upToLane: 0) == nil)
        while post.nextWaiting(upToLane: 6) != nil { post.dropNextWaiting() }
        #expect(post.leavesAt == .never && post.waiting.isEmpty)
    }

    @Test("one observer reaches everyone within 2N − 1 rounds", arguments: [1, 2, 3, 10, 40])
    func roundRobin(count: Int) {
        var random = SeededGenerator(seed: UInt64(count))
        var table = MemberTable(bound: 100)
        for index in 0..<count { table.insert(Member(record: .numbered(index), since: .zero)) }
        var round = ProbeRound()
        var last: [ReplicaShortID: Int] = [:]
        var longest = 0
        for step in 1...(count * 50) {
            guard let next = round.next(of: table, drawing: &random) else { break }
            longest = max(longest, step - (last[next] ?? 0))
            last[next] = step
        }
        #expect(last.count == count && longest <= 2 * count - 1)
    }

    @Test("a joiner is asked in the round that it came in, and the gone are not", arguments: 0..<20)
    func joiners(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = MemberTable(bound: 100)
        for index in 0..<10 { table.insert(Member(record: .numbered(index), since: .zero)) }
        var round = ProbeRound()
        for _ in 0..<Int(random.below(10)) { _ = round.next(of: table, drawing: &random) }
        let joiner = MemberRecord.numbered(50)
        table.insert(Member(record: joiner, since: .zero))
        round.insert(joiner.id.short, upTo: 100, drawing: &random)
        round.insert(joiner.id.short, upTo: 100, drawing: &random)
        table.change(3) { $0.member.record.status = .dead }
        let gone = table[3].member.short
        var asked: [ReplicaShortID] = []
        for _ in 0..<11 { asked += round.next(of: table, drawing: &random).map { [$0] } ?? [] }
        #expect(asked.contains(joiner.id.short) && !asked.contains(gone))
    }

    @Test("M12: however many come and go in a round, it stays short")
    func flappers() {
        var random = SeededGenerator(seed: 1)
        var table = MemberTable(bound: 8)
        for index in 0..<4 { table.insert(Member(record: .numbered(index), since: .zero)) }
        var round = ProbeRound()
        for index in 0..<1_000 {
            round.insert(ReplicaShortID(rawValue: UInt32(1_000 + index)), upTo: table.bound, drawing: &random)
        }
        #expect(round.count <= 16)
        #expect(isTrue(round.next(of: table, drawing: &random) != nil))
    }

    @Test("every choice of some out of few is made sometimes, of different ones", arguments: 0...5)
    func choices(size: Int) {
        for count in 0...size {
            var seen: Set<[Int]> = []
            for seed in 0..<(count * size * 40 + 1) {
                var random = SeededGenerator(seed: UInt64(seed))
                var elements = Array(0..<size)
                Shuffle.first(count, of: &elements, drawing: &random)
                #expect(elements.sorted() == Array(0..<size))
                seen.insert(elements.prefix(count).sorted())
            }
            let choices = (0..<count).reduce(1) { $0 * (size - $1) / ($1 + 1) }
            #expect(seen.count == choices, "\(count) of \(size)")
        }
    }
}
