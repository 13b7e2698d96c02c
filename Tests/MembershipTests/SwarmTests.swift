import Determinism
import Testing
import WireCoding

@testable import Membership

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Everything at once, from a seed. The simulator does it with more faults; this one is at hand.
struct SwarmTests {
    /// `MEMBERSHIP_SWARM_SEEDS` for a longer run.
    private static let seeds = getenv("MEMBERSHIP_SWARM_SEEDS").flatMap { Int(String(cString: $0)) } ?? 5

    @Test("M8: whatever happened, once it is over all agree in seconds, and nobody is stuck")
    func swarm() {
        for seed in 0..<Self.seeds {
            if let fault = Self.run(seed: UInt64(seed)) { #expect(Bool(false), "seed \(seed): \(fault)") }
        }
    }

    private static func run(seed: UInt64) -> String? {
        var random = SeededGenerator(seed: 77_000 + seed)
        let count = 2 + Int(random.below(5))
        var flock = TestFlock.settled(count, seed: seed)
        flock.lossPerMille = [0, 0, 100, 300, 500][Int(random.below(5))]
        for _ in 0..<(10 + random.below(30)) {
            flock.run(for: .milliseconds(Int64(random.below(2_500))))
            let (a, b) = (Int(random.below(UInt64(count))), Int(random.below(UInt64(count))))
            switch random.below(14) {
            case 0, 1: flock.cut.insert([a, b])
            case 2: flock.cut.formUnion([[a, b], [b, a]])
            case 3: flock.isUDPCut.formUnion([[a, b], [b, a]])
            case 4: flock.cut = []
            case 5: flock.isUDPCut = []
            case 6, 7: if flock.isUp[a] { flock.stop(a, silently: random.below(2) == 0) }
            case 8, 9: if !flock.isUp[a] { restart(a, of: &flock, &random) }
            case 10:
                // Stopped for a while: what arrives meanwhile is lost.
                guard flock.isUp[a] else { break }
                (flock.isUp[a], flock.isSilent[a]) = (false, true)
                flock.run(for: .milliseconds(Int64(random.below(20_000))))
                (flock.isUp[a], flock.isSilent[a]) = (true, false)
                flock.tell(a, .tick)
            case 11: if flock.isUp[a] { flock.tell(a, .command(.forceLeave(flock.machines[b].own.id, prune: false))) }
            case 12: if flock.isUp[a] { flock.tell(a, .command(.leave)) }
            default: if flock.isUp[a] { flock.tell(a, .clockBroke) }
            }
        }
        (flock.cut, flock.isUDPCut, flock.lossPerMille) = ([], [], 0)
        for index in 0..<count where !flock.isUp[index] { restart(index, of: &flock, &random) }
        let began = flock.now
        // Who is leaving may end meanwhile.
        flock.run(for: .seconds(1))
        for index in 0..<count where !flock.isUp[index] { restart(index, of: &flock, &random) }
        guard flock.run(until: .seconds(11), { $0.agrees }) else {
            return "no agreement \(flock.now.span(since: began).wholeSeconds) s after: " + flock.views
        }
        flock.run(for: .seconds(20))
        guard flock.agrees else { return "no agreement later: " + flock.views }
        return nil
    }

    private static func restart(_ index: Int, of flock: inout TestFlock, _ random: inout SeededGenerator) {
        let own = flock.machines[index].own
        switch random.below(5) {
        case 0: flock.start(as: index)
        case 1: flock.start(id: own.id, persisted: nil, as: index)
        default: flock.start(id: own.id, persisted: own.incarnation, as: index)
        }
    }
}

extension TestFlock {
    /// Who holds whom how.
    var views: String {
        machines.indices.map { observer in
            let others = machines.indices.filter { $0 != observer }.map { member in
                machines[observer].table.slot(of: machines[member].own.id.short).map { slot in
                    let isNow = slot.member.record.session == machines[member].own.session
                    return "\(member) \(isNow ? "" : "old ")\(slot.member.status.word)"
                } ?? "\(member) unknown"
            }
            return "\(observer)\(isUp[observer] ? "" : " (down)") \(machines[observer].phase): "
                + others.joined(separator: ", ")
        }.joined(separator: "; ")
    }
}
