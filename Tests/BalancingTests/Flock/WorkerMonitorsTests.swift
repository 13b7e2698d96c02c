import Balancing
import Determinism
import Placement
import Testing
import WireCoding

@Suite("Monitors of workers")
struct WorkerMonitorsTests {
    private let keys = (1...40 as ClosedRange<UInt64>).map { $0 &* 0x9e37_79b9_7f4a_7c15 }

    private func ring(_ count: UInt32) -> ReplicaRing {
        ReplicaRing((0..<count).map { .init(id: replica($0 + 1), isSettled: true) })
    }

    private func monitors(_ count: UInt32, where isPresent: (ReplicaShortID) -> Bool = { _ in true }) -> WorkerMonitors
    {
        var monitors = WorkerMonitors()
        monitors.configure(ringKeys: keys)
        monitors.assign(in: ring(count), where: isPresent)
        return monitors
    }

    @Test(
        "two replicas monitor a worker, one if there is only one, each their share of the workers",
        arguments: [0, 1, 2, 5, 50])
    func two(_ count: UInt32) {
        let monitors = monitors(count)
        let all = (0..<count).map { replica($0 + 1) }
        for position in keys.indices {
            let watching = all.filter { monitors.isMonitor($0, at: position) }
            #expect(watching.count == min(2, Int(count)))
            #expect(Set(watching) == Set(monitors.ranked(at: position).prefix(2)))
        }
        if count == 5 {
            #expect(all.allSatisfy { id in keys.indices.contains { monitors.isMonitor(id, at: $0) } })
        }
    }

    @Test("one that is gone is replaced by the next rank at once, without another layout")
    func gone() {
        let before = monitors(5)
        let after = monitors(5) { $0 != replica(3) }
        for position in keys.indices {
            #expect(!after.isMonitor(replica(3), at: position))
            let ranked = before.ranked(at: position).filter { $0 != replica(3) }
            #expect(after.ranked(at: position).starts(with: ranked))
        }
    }

    @Test("M14: a suspicion does not take a monitor's place; rank 3 stands in beside it until it is over")
    func suspect() {
        var monitors = monitors(5)
        let ranked = monitors.ranked(at: 0)
        for suspect in ranked.prefix(2) {
            monitors.look(at: 0, isSuspect: { $0 == suspect }, saysDown: { _ in nil }, now: at(seconds: 0))
            #expect(ranked.allSatisfy { monitors.isMonitor($0, at: 0) })
            #expect(monitors.ranked(at: 0) == ranked)
        }
        monitors.look(at: 0, isSuspect: { $0 == ranked[2] }, saysDown: { _ in nil }, now: at(seconds: 1))
        #expect(!monitors.isMonitor(ranked[2], at: 0))
    }

    @Test("two that disagree for longer than a round get a third, until they agree")
    func disagreement() {
        var monitors = monitors(5)
        let ranked = monitors.ranked(at: 0)
        func look(_ disagree: Bool, at seconds: Double) -> Bool {
            monitors.look(
                at: 0, isSuspect: { _ in false }, saysDown: { $0 == ranked[0] && disagree }, now: at(seconds: seconds))
            return monitors.isMonitor(ranked[2], at: 0)
        }
        let third = [look(true, at: 0), look(true, at: 2)]
        #expect(third == [false, false] && monitors.deadline(at: 0) == at(seconds: 2) + .nanoseconds(1))
        let later = [
            look(true, at: 2.1), look(true, at: 9), look(false, at: 10), look(true, at: 11), look(true, at: 12),
        ]
        #expect(later == [true, true, false, false, false])
    }

    @Test("one that has said nothing disagrees with nobody, and of two replicas there is no third")
    func silent() {
        var monitors = monitors(5)
        let ranked = monitors.ranked(at: 0)
        for second in [0.0, 5] {
            monitors.look(
                at: 0, isSuspect: { _ in false }, saysDown: { $0 == ranked[0] ? true : nil }, now: at(seconds: second))
            #expect(!monitors.isMonitor(ranked[2], at: 0) && monitors.deadline(at: 0) == .never)
        }
        var pair = self.monitors(2)
        pair.look(at: 0, isSuspect: { _ in true }, saysDown: { $0 == replica(1) }, now: at(seconds: 0))
        #expect(pair.deadline(at: 0) == .never)
    }
}
