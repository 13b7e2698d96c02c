import Determinism
import Testing

@testable import Balancing

@Suite("Our exchanges and others'")
struct OwnTrafficTests {
    @Test("what runs is ours; what began after the mark may be, what ended may be for a while")
    func mark() {
        var traffic = OwnTraffic()
        traffic.begin(3)
        let mark = traffic.mark(at: .at(10))
        #expect(traffic.most(since: mark) == 3)
        traffic.begin(1)
        traffic.end(3, whole: true, at: .at(10))
        #expect(traffic.most(since: mark) == 4 && traffic.running == 1)
    }

    @Test("an answer's end is noticed within half a second, a client that left within five", arguments: [true, false])
    func lingering(whole: Bool) {
        var traffic = OwnTraffic()
        traffic.begin(2)
        traffic.end(2, whole: whole, at: .at(100))
        let seconds = whole ? 0.5 : 5.0
        #expect(traffic.most(since: traffic.mark(at: .at(100 + seconds))) == 2)
        #expect(traffic.most(since: traffic.mark(at: .at(100 + seconds + 0.25))) == 0)
    }

    @Test("ends of an earlier turn of the buckets are forgotten, however long ago")
    func turns() {
        var traffic = OwnTraffic()
        for turn in 0..<3 {
            let now = Double(turn * OwnTraffic.bucketsMax) / OwnTraffic.bucketsPerSecond
            traffic.begin(1)
            traffic.end(1, whole: false, at: .at(now))
            #expect(traffic.most(since: traffic.mark(at: .at(now))) == 1)
        }
    }

    /// A worker that hears of each of our beginnings late and of each end later, as its kind does, and that is asked again
    /// and again. Whatever it says, none of ours is somebody else's; and strangers are seen as soon as we are quiet.
    @Test("ours never look foreign, whenever the worker counts", arguments: 0..<200)
    func seeds(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var traffic = OwnTraffic()
        /// When the worker began and ended to count each of ours.
        var counted: [(from: Double, to: Double)] = []
        var running: [Int] = []
        let strangers = Int(random.below(4))
        var now = 0.0
        for _ in 0..<300 {
            now += random.fraction() * 0.4
            if running.count < 6, random.chance(0.5) {
                traffic.begin(1)
                running.append(counted.count)
                counted.append((now + random.fraction() * 0.01, .infinity))
            } else if !running.isEmpty {
                let one = running.remove(at: Int(random.below(UInt64(running.count))))
                let whole = random.chance(0.7)
                traffic.end(1, whole: whole, at: .at(now))
                counted[one].to = now + random.fraction() * (whole ? 0.4 : 3.9)
            }
            guard random.chance(0.3) else { continue }
            // The worker counts somewhere between question and answer, and some of ours may begin meanwhile.
            let mark = traffic.mark(at: .at(now))
            let moment = now + random.fraction() * 0.2
            if random.chance(0.3) {
                traffic.begin(1)
                running.append(counted.count)
                counted.append((now, .infinity))
            }
            now = moment + random.fraction() * 0.2
            let said = strangers + counted.count { $0.from <= moment && moment < $0.to }
            #expect(max(0, said - traffic.most(since: mark)) <= strangers)
        }
        for _ in running { traffic.end(1, whole: false, at: .at(now)) }
        let quiet = traffic.mark(at: .at(now + 10))
        #expect(strangers - traffic.most(since: quiet) == strangers)
    }
}
