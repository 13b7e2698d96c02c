import Determinism
import ExchangeFlow
import Testing

/// One stream as the lane reads it: bytes wait in the kernel while it rests, and are read together when the rest ends.
private struct ReadStream {
    var reads: [(at: Int64, bytesSince: Int64)] = []
    private var rest = BurstRest()
    private var restUntil: Int64?
    private var waitingSince: Int64?

    /// `restNanoseconds`: how long this rest lasts, the whole length or, with others on the same timer, less.
    mutating func arrive(at time: Int64, restNanoseconds: Int64) {
        wake(before: time, restNanoseconds: restNanoseconds)
        if restUntil == nil {
            read(at: time, since: time, restNanoseconds: restNanoseconds)
        } else if waitingSince == nil {
            waitingSince = time
        }
    }

    mutating func wake(before time: Int64, restNanoseconds: Int64) {
        while let until = restUntil, until <= time {
            restUntil = nil
            rest.ended(at: Instant(nanoseconds: until))
            guard let since = waitingSince else { continue }
            waitingSince = nil
            read(at: until, since: since, restNanoseconds: restNanoseconds)
        }
    }

    private mutating func read(at time: Int64, since: Int64, restNanoseconds: Int64) {
        reads.append((at: time, bytesSince: since))
        if rest.bytesCame(at: Instant(nanoseconds: time)) { restUntil = time + restNanoseconds }
    }
}

@Suite("BurstRest")
struct BurstRestTests {
    static let length = BurstRest.length.wholeNanoseconds

    @Test("the first bytes, and those that come no sooner than a rest is long, are followed by none")
    func slowStreams() {
        var rest = BurstRest()
        let answers = (0..<100).map { rest.bytesCame(at: Instant(nanoseconds: 1 + $0 * Self.length)) }
        #expect(answers == Array(repeating: false, count: 100))
    }

    @Test("bytes that come quickly are followed by a rest, and so is what was waiting when it ended")
    func quickStreams() {
        var rest = BurstRest()
        func bytes(at milliseconds: Int64) -> Bool {
            rest.bytesCame(at: Instant(nanoseconds: milliseconds * 1_000_000))
        }
        func ended(at milliseconds: Int64) { rest.ended(at: Instant(nanoseconds: milliseconds * 1_000_000)) }
        var answers = [bytes(at: 100), bytes(at: 101)]
        ended(at: 105)
        answers.append(bytes(at: 105))
        ended(at: 109)
        answers.append(bytes(at: 113))
        #expect(answers == [false, true, true, false])
    }

    @Test("nothing waits longer than a rest, and no three reads fall into the length of one, whatever arrives")
    func anyArrivals() {
        for seed in 0..<500 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var stream = ReadStream()
            let gapMax = Self.length * Int64.random(in: 1...8, using: &random) / 4
            let restNanoseconds = Int64.random(in: Self.length / 2...Self.length, using: &random)
            var time: Int64 = 1_000
            var first: Int64?
            for _ in 0..<200 {
                time += Int64.random(in: 0...gapMax, using: &random)
                first = first ?? time
                stream.arrive(at: time, restNanoseconds: restNanoseconds)
            }
            stream.wake(before: .max, restNanoseconds: restNanoseconds)
            #expect(stream.reads.first?.at == first, "seed \(seed)")
            for read in stream.reads {
                #expect(read.at - read.bytesSince <= restNanoseconds, "seed \(seed)")
            }
            for (earlier, later) in zip(stream.reads, stream.reads.dropFirst(2)) {
                #expect(later.at - earlier.at >= restNanoseconds, "seed \(seed)")
            }
        }
    }

    @Test("a stream of a thousand events a second is read a quarter as often, one of a hundred as often as it speaks")
    func ratio() {
        func reads(everyNanoseconds gap: Int64) -> Int {
            var stream = ReadStream()
            for event in 0..<1_000 as Range<Int64> { stream.arrive(at: 1 + event * gap, restNanoseconds: Self.length) }
            stream.wake(before: .max, restNanoseconds: Self.length)
            return stream.reads.count
        }
        #expect(reads(everyNanoseconds: 1_000_000) <= 252)
        #expect(reads(everyNanoseconds: 10_000_000) == 1_000)
    }
}
