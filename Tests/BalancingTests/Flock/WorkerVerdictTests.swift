import Balancing
import Determinism
import Testing
import WireCoding

@Suite("Whose word counts")
struct WorkerVerdictTests {
    private typealias State = WorkerHealthNews.State

    private func verdict(
        _ table: WorkerObservations, monitors: Set<UInt32> = [2, 3, 4], vouchersWanted: Int = 2, at seconds: Double
    ) -> WorkerVerdict {
        WorkerVerdict.weigh(
            table.rows[0], me: replica(1), isMonitor: { monitors.contains($0.rawValue) },
            vouchersWanted: vouchersWanted, at: at(seconds: seconds)
        ).verdict
    }

    private func condemned(at seconds: Double) -> WorkerObservations {
        var table = observations()
        _ = table.observe(mac(1), .down, reason: 0, at: at(seconds: seconds))
        return table
    }

    @Test("M19: one foreign observer never excludes a worker, whatever it says and whatever was seen here before")
    func one() {
        for own in State.allCases where own != .down {
            for foreign in State.allCases {
                var table = observations()
                _ = table.observe(mac(1), own, reason: 0, at: at(seconds: 0))
                _ = table.merge(word(of: 2, foreign), at: at(seconds: 1))
                let verdict = verdict(table, at: 2)
                #expect(verdict == (foreign == .down || foreign == .degraded ? .doubted : .trusted))
                #expect(verdict.quarters(isPanic: false) > 0)
            }
        }
    }

    @Test("two different foreign observers exclude, one that repeats itself does not")
    func two() {
        var table = observations()
        _ = table.merge(word(of: 2, .down), at: at(seconds: 0))
        _ = table.merge(word(of: 2, .down, epoch: 2), at: at(seconds: 1))
        #expect(verdict(table, at: 2) == .doubted)
        _ = table.merge(word(of: 3, .down), at: at(seconds: 2))
        #expect(verdict(table, at: 2) == .outvoted)
        #expect(WorkerVerdict.outvoted.quarters(isPanic: false) == 0)
    }

    @Test("own evidence excludes at once and alone, and panic does not change that")
    func own() {
        let table = condemned(at: 0)
        #expect(verdict(table, at: 0) == .condemned)
        #expect(WorkerVerdict.condemned.quarters(isPanic: true) == 0)
    }

    @Test("an own success outdates what others said before it, not what they say after it")
    func success() {
        var table = observations()
        _ = table.merge(word(of: 2, .down), at: at(seconds: 0))
        _ = table.merge(word(of: 3, .down), at: at(seconds: 0))
        _ = table.observe(mac(1), .healthy, reason: 0, at: at(seconds: 1))
        #expect(verdict(table, at: 1) == .trusted)
        _ = table.merge(word(of: 3, .down, epoch: 2), at: at(seconds: 2))
        #expect(verdict(table, at: 2) == .doubted)
        // Its condition is the same as before, but it was seen again.
        _ = table.observe(mac(1), .healthy, reason: 0, at: at(seconds: 3))
        #expect(verdict(table, at: 3) == .trusted)
    }

    @Test("two others' newer epochs outdate the own evidence, until it fails here again")
    func vouched() {
        var table = observations()
        _ = table.merge(word(of: 2, .healthy), at: at(seconds: 0))
        _ = table.merge(word(of: 3, .healthy), at: at(seconds: 0))
        _ = table.observe(mac(1), .down, reason: 0, at: at(seconds: 1))
        #expect(verdict(table, at: 1) == .condemned)
        _ = table.merge(word(of: 2, .healthy, epoch: 3), at: at(seconds: 2))
        #expect(verdict(table, at: 2) == .condemned && verdict(table, vouchersWanted: 1, at: 2) == .vouched)
        _ = table.merge(word(of: 3, .degraded, epoch: 3), at: at(seconds: 3))
        #expect(verdict(table, at: 3) == .vouched)
        _ = table.observe(mac(1), .down, reason: 0, at: at(seconds: 4))
        #expect(verdict(table, at: 4) == .condemned)
    }

    @Test("a word from an exchange counts for ten seconds, a monitor's until it is gone")
    func exchanges() {
        var table = observations()
        _ = table.merge(word(of: 2, .down), at: at(seconds: 0))
        _ = table.merge(word(of: 9, .down), at: at(seconds: 1))
        #expect(verdict(table, at: 10.9) == .outvoted)
        #expect(verdict(table, at: 11) == .doubted && verdict(table, at: 1e6) == .doubted)
        #expect(verdict(table, monitors: [], at: 11) == .trusted)
        let until = WorkerVerdict.weigh(
            table.rows[0], me: replica(1), isMonitor: { $0 == replica(2) }, vouchersWanted: 2, at: at(seconds: 2)
        ).until
        #expect(until == at(seconds: 11))
    }

    @Test("whatever three others say, the verdict is that of the rule in a few lines")
    func enumeration() {
        let sayings: [(State, Double)] = State.allCases.flatMap { [($0, 1), ($0, 3)] }
        let owns: [(State, Double)?] = [nil, (.loading, 2), (.healthy, 2), (.down, 2), (.degraded, 2)]
        var seen: Set<WorkerVerdict> = []
        for own in owns {
            for first in sayings {
                for second in sayings {
                    for third in sayings {
                        // 2 and 3 are monitors; 9 had an exchange.
                        let words = [(UInt32(2), first), (3, second), (9, third)].sorted { $0.1.1 < $1.1.1 }
                        var table = observations()
                        for (observer, (state, time)) in words where time < 2 {
                            _ = table.merge(word(of: observer, state), at: at(seconds: time))
                        }
                        if let own { _ = table.observe(mac(1), own.0, reason: 0, at: at(seconds: own.1)) }
                        for (observer, (state, time)) in words where time > 2 {
                            _ = table.merge(word(of: observer, state), at: at(seconds: time))
                        }
                        for now in [4.0, 12.0, 14.0] {
                            let counted = words.filter { $0.0 != 9 || now < $0.1.1 + 10 }.map(\.1)
                            let down = counted.count { $0.0 == .down && (own?.0 != .healthy || $0.1 > 2) }
                            let well = counted.count { ($0.0 == .healthy || $0.0 == .degraded) && $0.1 > 2 }
                            let isDegraded = counted.contains { $0.0 == .degraded }
                            let expected: WorkerVerdict =
                                own?.0 == .down
                                ? (well >= 2 ? .vouched : .condemned)
                                : (down >= 2 ? .outvoted : down == 1 || isDegraded ? .doubted : .trusted)
                            let actual = verdict(table, monitors: [2, 3], at: now)
                            seen.insert(actual)
                            if actual != expected { Issue.record("\(words) \(String(describing: own)) at \(now)") }
                        }
                    }
                }
            }
        }
        #expect(seen.count == WorkerVerdict.allCases.count)
    }

    @Test("M19: gossip takes away half of a model's workers at most", arguments: 1...9)
    func panic(_ workers: Int) {
        for outvoted in 0...workers {
            let isPanic = WorkerVerdict.isPanic(outvoted: outvoted, of: workers)
            let excluded = WorkerVerdict.outvoted.quarters(isPanic: isPanic) == 0 ? outvoted : 0
            #expect(2 * excluded <= workers && isPanic == (outvoted > workers - outvoted))
        }
        #expect(
            WorkerVerdict.doubted.quarters(isPanic: false) == 1 && WorkerVerdict.doubted.quarters(isPanic: true) == 4)
    }

    @Test("what is said on the wire is the condition, and is understood again")
    func said() {
        let conditions: [WorkerCondition] =
            [.loading, .healthy, .draining] + WorkerCondition.Why.allCases.flatMap { [.degraded($0), .down($0)] }
        for condition in conditions where condition != .down(.drained) {
            let (state, reason) = condition.said
            #expect(WorkerCondition(said: word(of: 2, state, reason: reason)) == condition)
        }
        #expect(WorkerCondition.down(.drained).said.state == .draining)
        #expect(WorkerCondition(said: word(of: 2, .down, reason: 250)) == nil)
    }
}
