import Balancing
import Determinism
import Testing
import WireCoding

private func gauge(_ worker: UInt32 = 1, running: UInt16, queued: UInt16 = 0, prompt: UInt32 = 0, output: UInt32 = 0)
    -> WorkerLoadNews
{
    WorkerLoadNews(worker: mac(worker), running: running, queued: queued, promptTokens: prompt, outputTokens: output)
}

private func loads(workers: UInt32 = 1, bound: Int = FlockLoads.gaugesMax) -> FlockLoads {
    var loads = FlockLoads(bound: bound)
    loads.configure((1...workers).map(mac))
    return loads
}

private let session = SessionID(rawValue: 7)

@Suite("Loads of others")
struct FlockLoadsTests {
    @Test(
        "M20: a gauge weighs fully for a second, falls evenly, and is nothing at five",
        arguments: [(0.0, 1_000), (1, 1_000), (2, 750), (3, 500), (4.5, 125), (5, 0), (60, 0)])
    func age(_ seconds: Double, _ expected: Int) {
        var loads = loads()
        _ = loads.merge(
            gauge(running: 1_000, output: 4_000_000_000), from: replica(2), session: session, counter: 1,
            at: at(seconds: 0))
        let sum = loads.others(on: mac(1), at: at(seconds: seconds))
        #expect(sum == FlockLoad(running: expected, outputTokens: expected * 4_000_000))
        loads.expire(at: at(seconds: seconds))
        #expect(loads.others(on: mac(1), at: at(seconds: seconds)) == sum)
    }

    @Test("M20: a replica that is gone contributes nothing from that moment on")
    func gone() {
        var loads = loads(workers: 2)
        for (origin, running) in [(2, 3), (3, 4)] as [(UInt32, UInt16)] {
            for worker in 1...2 as ClosedRange<UInt32> {
                _ = loads.merge(
                    gauge(worker, running: running, queued: 1), from: replica(origin), session: session, counter: 1,
                    at: at(seconds: 0))
            }
        }
        #expect(loads.others(on: mac(1), at: at(seconds: 0)) == FlockLoad(running: 7, queued: 2))
        let had = [loads.forget(replica(3)), loads.forget(replica(3))]
        #expect(had == [true, false])
        #expect(loads.others(on: mac(1), at: at(seconds: 0)) == FlockLoad(running: 3, queued: 1))
        #expect(loads.others(on: mac(2), at: at(seconds: 0)) == FlockLoad(running: 3, queued: 1))
    }

    @Test("of one session the latest packet counts, in whatever order packets come", arguments: 0..<20)
    func overtaking(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var packets = (1...6).map { (counter: UInt64($0), running: UInt16($0 * $0 % 7)) }
        random.shuffle(&packets)
        var loads = loads()
        for packet in packets + packets {
            _ = loads.merge(
                gauge(running: packet.running), from: replica(2), session: session, counter: packet.counter,
                at: at(seconds: 0))
        }
        #expect(loads.others(on: mac(1), at: at(seconds: 0)).running == 36 % 7)
        // Another process counts from the beginning.
        _ = loads.merge(
            gauge(running: 40), from: replica(2), session: SessionID(rawValue: 8), counter: 1, at: at(seconds: 0))
        #expect(loads.others(on: mac(1), at: at(seconds: 0)).running == 40)
    }

    @Test("sums are those of a model that keeps every gauge in a dictionary", arguments: 0..<20)
    func model(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var loads = loads(workers: 3)
        var heard: [UInt64: (running: Int, at: Instant)] = [:]
        var now = at(seconds: 0)
        for counter in 1...300 as ClosedRange<UInt64> {
            now = now + .milliseconds(Int64(random.below(700)))
            let (origin, worker) = (UInt32(2 + random.below(5)), UInt32(1 + random.below(4)))
            if random.chance(0.1) {
                _ = loads.forget(replica(origin))
                for worker in 1...4 as ClosedRange<UInt64> { heard[UInt64(origin) << 8 | worker] = nil }
            } else {
                let running = UInt16(random.below(3) * random.below(10))
                _ = loads.merge(
                    gauge(worker, running: running), from: replica(origin), session: session, counter: counter, at: now)
                heard[UInt64(origin) << 8 | UInt64(worker)] = (Int(running), now)
            }
            if random.chance(0.3) { loads.expire(at: now) }
            for worker in 1...3 as ClosedRange<UInt64> {
                let sum = heard.filter { $0.key & 0xff == worker }.values.reduce(0.0) { sum, gauge in
                    sum + Double(gauge.running) * min(1, max(0, 5 - now.seconds(since: gauge.at)) / 4)
                }
                let own = loads.others(on: mac(UInt32(worker)), at: now).running
                #expect(abs(Double(own) - sum) <= 0.501)
            }
            #expect(loads.others(on: mac(4), at: now) == .none)
        }
    }

    @Test("the first fall is a second after the oldest gauge that is not zero")
    func fall() {
        var loads = loads(workers: 2)
        #expect(loads.firstFall == .never)
        _ = loads.merge(gauge(running: 0), from: replica(2), session: session, counter: 1, at: at(seconds: 0))
        #expect(loads.firstFall == .never)
        _ = loads.merge(gauge(2, running: 1), from: replica(2), session: session, counter: 2, at: at(seconds: 3))
        _ = loads.merge(gauge(1, running: 1), from: replica(3), session: session, counter: 2, at: at(seconds: 2))
        #expect(loads.firstFall == at(seconds: 3))
        loads.expire(at: at(seconds: 7))
        #expect(loads.firstFall == at(seconds: 4))
    }

    @Test("at the bound a gauge more is refused and counted, one that is known is not")
    func bound() {
        var loads = loads(workers: 2, bound: 2)
        let said = (1...3 as ClosedRange<UInt32>).map {
            loads.merge(gauge(running: 1), from: replica($0), session: session, counter: 1, at: at(seconds: 0))
        }
        #expect(said == [true, true, false] && loads.refusals == 1)
        _ = loads.merge(gauge(running: 9), from: replica(2), session: session, counter: 2, at: at(seconds: 0))
        #expect(loads.others(on: mac(1), at: at(seconds: 0)).running == 10)
        loads.configure([mac(2)])
        #expect(
            loads.merge(gauge(2, running: 1), from: replica(3), session: session, counter: 3, at: at(seconds: 0))
                == true)
    }
}

@Suite("Reports of the own load")
struct LoadReportsTests {
    /// Everything that is told from now on for so long, in steps of ten milliseconds.
    private func told(by reports: inout LoadReports, from start: Double, for seconds: Double)
        -> [(at: Double, news: [WorkerLoadNews])]
    {
        var told: [(at: Double, news: [WorkerLoadNews])] = []
        for step in 0..<Int(seconds * 100) {
            let moment = start + Double(step) / 100
            var report: [WorkerLoadNews] = []
            reports.take(at: at(seconds: moment), into: &report)
            if !report.isEmpty { told.append((moment, report)) }
        }
        return told
    }

    @Test("a change is told at once, then each second while there is something")
    func repeats() {
        var reports = LoadReports()
        reports.update([gauge(running: 2)], at: at(seconds: 0))
        #expect(reports.nextDeadline == at(seconds: 0))
        let told = told(by: &reports, from: 0, for: 3.5)
        #expect(told.map(\.at) == [0, 1, 2, 3] && told.allSatisfy { $0.news == [gauge(running: 2)] })
    }

    @Test("zero is told three times, and then nothing is due any more")
    func zeros() {
        var reports = LoadReports()
        reports.update([gauge(running: 2)], at: at(seconds: 0))
        _ = told(by: &reports, from: 0, for: 0.5)
        reports.update([], at: at(seconds: 0.5))
        let told = told(by: &reports, from: 0.5, for: 5)
        #expect(told.count == 3 && told.allSatisfy { $0.news == [gauge(running: 0)] })
        #expect(told[0].at == 0.5 && told[2].at < 1 && reports.nextDeadline == .never)
    }

    @Test("who changes all the time reports ten times a second, and the last word is always told", arguments: 0..<10)
    func rate(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var reports = LoadReports()
        var current: [UInt32: WorkerLoadNews] = [:]
        var heard: [UInt32: WorkerLoadNews] = [:]
        var moments: [Int64] = []
        func take(at moment: Int64) {
            var report: [WorkerLoadNews] = []
            reports.take(at: .zero + .milliseconds(moment), into: &report)
            if !report.isEmpty { moments.append(moment) }
            for news in report { heard[news.worker.rawValue] = news }
        }
        for moment in 0..<3_000 as Range<Int64> {
            if random.chance(0.2) {
                let worker = UInt32(1 + random.below(5))
                let running = UInt16(random.below(3))
                current[worker] = running == 0 ? nil : gauge(worker, running: running)
                reports.update(current.keys.sorted().map { current[$0]! }, at: .zero + .milliseconds(moment))
            }
            take(at: moment)
        }
        for moment in 3_000..<4_500 as Range<Int64> { take(at: moment) }
        #expect(zip(moments, moments.dropFirst()).allSatisfy { $1 - $0 >= 100 } && moments.count >= 29)
        #expect(heard.filter { $0.value.running > 0 } == current)
    }

    @Test("many workers that are steady go together: two reports a second, whatever moments they began at")
    func company() {
        var reports = LoadReports()
        for worker in 1...30 as ClosedRange<UInt32> {
            reports.update((1...worker).map { gauge($0, running: 1) }, at: at(seconds: Double(worker) * 0.03))
        }
        _ = told(by: &reports, from: 1, for: 2)
        let told = told(by: &reports, from: 3, for: 10)
        #expect(told.count <= 20 && told.reduce(0) { $0 + $1.news.count } <= 30 * 20)
        for worker in 1...30 as ClosedRange<UInt32> {
            let moments = told.filter { $0.news.contains(gauge(worker, running: 1)) }.map(\.at)
            #expect(zip(moments, moments.dropFirst()).allSatisfy { $1 - $0 <= 1.001 })
        }
    }

    @Test("unsorted words are understood, a second word on one worker is not, nor a worker beyond the bound")
    func odd() {
        var reports = LoadReports(bound: 2)
        reports.update(
            [gauge(2, running: 2), gauge(1, running: 1), gauge(2, running: 9), gauge(3, running: 3)], at: at(seconds: 0)
        )
        var report: [WorkerLoadNews] = []
        reports.take(at: at(seconds: 0), into: &report)
        #expect(report == [gauge(1, running: 1), gauge(2, running: 2)])
    }
}
