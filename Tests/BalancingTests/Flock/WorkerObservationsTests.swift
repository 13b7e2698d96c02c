import Balancing
import Determinism
import Placement
import Testing
import WireCoding

@Suite("Words on workers")
struct WorkerObservationsTests {
    @Test("the table is that of ten lines that see everything at once, in whatever order it came", arguments: 0..<40)
    func model(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let words = (0..<200).map { _ in
            word(
                of: 2 + UInt32(random.below(20)), on: 1 + UInt32(random.below(3)),
                random.pick(WorkerHealthNews.State.allCases), epoch: 1 + UInt32(random.below(6)),
                reason: UInt8(random.below(2)))
        }
        var one = observations(workers: 3)
        for word in words { _ = one.merge(word, at: at(seconds: 0)) }
        var newest: [WorkerHealthNews] = []
        for word in words.sorted(by: {
            ($0.epoch, $0.state.rawValue, $0.reason) > ($1.epoch, $1.state.rawValue, $1.reason)
        })
        where !newest.contains(where: { ($0.worker, $0.observer) == (word.worker, word.observer) }) {
            newest.append(word)
        }
        let expected = one.rows.flatMap { row in
            newest.filter { $0.worker == row.worker }.sorted {
                ReplicaRing.draw(of: $0.observer, key: row.ringKey)
                    < ReplicaRing.draw(of: $1.observer, key: row.ringKey)
            }.prefix(WorkerObservations.observersMax)
        }
        #expect(one.news == expected && one.rows.contains { $0.words.count == WorkerObservations.observersMax })
        var other = observations(workers: 3)
        var shuffled = words + words.prefix(50)
        random.shuffle(&shuffled)
        for word in shuffled { _ = other.merge(word, at: at(seconds: 1)) }
        #expect(other.news == one.news && other.hash == one.hash)
        // What has been told is nothing new.
        let again = one.news.map { other.merge($0, at: at(seconds: 2)) }
        #expect(!again.contains(true))
    }

    @Test("the epoch rises with each change of what is seen, and only then")
    func epochs() {
        var table = observations()
        let first = table.observe(mac(1), .loading, reason: 0, at: at(seconds: 0))
        #expect(first == word(of: 1, .loading, epoch: 1_000))
        #expect(table.observe(mac(1), .loading, reason: 0, at: at(seconds: 1)) == nil)
        #expect(table.observe(mac(1), .healthy, reason: 0, at: at(seconds: 2))?.epoch == 1_001)
        #expect(table.observe(mac(1), .degraded, reason: 17, at: at(seconds: 3))?.epoch == 1_002)
        #expect(table.observe(mac(1), .degraded, reason: 18, at: at(seconds: 4))?.epoch == 1_003)
        #expect(table.observe(mac(9), .down, reason: 0, at: at(seconds: 5)) == nil)
        #expect(table.news.map(\.epoch) == [1_003])
    }

    @Test("an observer that is gone takes its words with it, and the hash is that of a table that never had them")
    func forgotten() {
        var table = observations(workers: 2)
        _ = table.merge(word(of: 2, .down), at: at(seconds: 0))
        let before = table.hash
        _ = table.merge(word(of: 3, .down), at: at(seconds: 0))
        _ = table.merge(word(of: 3, on: 2, .down), at: at(seconds: 0))
        let had = [replica(3), replica(3), replica(1)].map { table.forget($0) }
        #expect(had == [true, false, false] && table.hash == before)
    }

    @Test("a word of an earlier life is answered with one above it, once")
    func answers() {
        var table = observations()
        _ = table.observe(mac(1), .healthy, reason: 0, at: at(seconds: 0))
        #expect(table.answer(word(of: 1, .down, epoch: 999), at: at(seconds: 1)) == nil)
        #expect(table.answer(word(of: 1, .healthy, epoch: 1_000), at: at(seconds: 1)) == nil)
        let answer = table.answer(word(of: 1, .down, epoch: 2_000), at: at(seconds: 1))
        #expect(answer == word(of: 1, .healthy, epoch: 2_001))
        #expect(table.answer(word(of: 1, .down, epoch: 2_000), at: at(seconds: 2)) == nil)
        #expect(table.answer(word(of: 1, .down, epoch: .max), at: at(seconds: 2)) == nil)
        #expect(table.observe(mac(1), .down, reason: 0, at: at(seconds: 3))?.epoch == 2_002)
    }

    @Test("of a worker that was not seen yet in this life the old word is taken back")
    func unseen() {
        var table = observations()
        #expect(table.answer(word(of: 1, .down, epoch: 7), at: at(seconds: 0)) == word(of: 1, .loading, epoch: 8))
        #expect(table.merge(word(of: 1, .down, epoch: 9), at: at(seconds: 0)) == false)
    }

    @Test("under a new identity everything seen is said again")
    func renewed() {
        var table = observations(workers: 2)
        _ = table.observe(mac(1), .healthy, reason: 0, at: at(seconds: 0))
        _ = table.observe(mac(2), .down, reason: 36, at: at(seconds: 0))
        let news = table.becomes(replica(50), at: at(seconds: 1))
        #expect(news.map(\.observer) == [replica(50), replica(50)] && table.news == news)
        var other = observations(me: 50, workers: 2)
        for piece in news { #expect(other.answer(piece, at: at(seconds: 1)) != nil) }
    }

    @Test("a worker that leaves the configuration is forgotten, those that stay are kept")
    func configuration() {
        var one = observations(workers: 3)
        for worker in 1...3 as ClosedRange<UInt32> { _ = one.merge(word(of: 2, on: worker, .down), at: at(seconds: 0)) }
        one.configure([(mac(3), 3 &* 0x9e37_79b9), (mac(3), 3 &* 0x9e37_79b9), (mac(8), 8)])
        #expect(one.rows.map(\.worker) == [mac(3), mac(8)] && one.news == [word(of: 2, on: 3, .down)])
        one.configure([(mac(3), 77)])
        #expect(one.news.isEmpty && one.hash == 0)
    }
}
