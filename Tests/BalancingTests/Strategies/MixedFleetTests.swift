/// A small world of Macs that share their decoding among streams, to see what a strategy is worth.
import Determinism
import Testing

@testable import Balancing

@Suite struct MixedFleetTests {
    private struct Stream {
        var promptLeft: Double
        var outputLeft: Double
        let since: Double
    }

    /// Mean seconds of 600 exchanges on one M2 Ultra, one M5 Pro and two old base chips, under fair load.
    private func meanSeconds(_ strategy: StrategyName, seed: UInt64) -> Double {
        var random = SeededGenerator(seed: seed)
        var chooser = PlacementChooser(strategy: strategy, seed: seed)
        var fleet = [
            candidate(0, slots: 8, prefill: 1_060, decode: 80), candidate(1, slots: 8, prefill: 1_410, decode: 56),
            candidate(2, slots: 8, prefill: 103, decode: 12), candidate(3, slots: 8, prefill: 103, decode: 12),
        ]
        var running = fleet.map { _ in [Stream]() }
        var waiting: [(prompt: Int, output: Int, since: Double)] = []
        var now = 0.0
        var arrived = 0
        var seconds: [Double] = []
        let step = 0.05
        while seconds.count < 600 {
            now += step
            if arrived < 600, random.chance(0.6 * step) {
                // Every tenth is a document.
                let isDocument = arrived % 10 == 0
                let output = 50 + Int(random.below(200))
                waiting.append((isDocument ? 8_000 : 200 + Int(random.below(400)), output, now))
                arrived += 1
            }
            while let next = waiting.first {
                let free = fleet.filter { $0.running < $0.slots }
                guard let chosen = chooser.choose(among: free, for: query(prompt: next.prompt, output: next.output))
                else { break }
                waiting.removeFirst()
                let mac = free[chosen].worker.rawValue
                running[mac].append(
                    Stream(
                        promptLeft: Double(next.prompt), outputLeft: Double(next.output),
                        since: next.since))
                fleet[mac].running += 1
            }
            for mac in fleet.indices {
                advance(&running[mac], fleet[mac], by: step)
                seconds += running[mac].filter { $0.outputLeft <= 0 }.map { now - $0.since }
                running[mac].removeAll { $0.outputLeft <= 0 }
                fleet[mac].running = running[mac].count
                fleet[mac].promptTokensAhead = Int(running[mac].reduce(0) { $0 + $1.promptLeft })
                fleet[mac].outputTokensAhead = Int(running[mac].reduce(0) { $0 + $1.outputLeft })
            }
        }
        return seconds.reduce(0, +) / Double(seconds.count)
    }

    /// One prompt at a time, before any decoding; then all streams step together.
    private func advance(_ streams: inout [Stream], _ mac: Candidate, by step: Double) {
        if let first = streams.firstIndex(where: { $0.promptLeft > 0 }) {
            streams[first].promptLeft -= mac.prefillRate * step
            return
        }
        let slowed = 1 + mac.stepSlope * Double(max(0, streams.count - 1))
        for position in streams.indices { streams[position].outputLeft -= mac.decodeRate / slowed * step }
    }

    @Test(
        "on unlike Macs resource_aware is done sooner than least_connections and round_robin",
        arguments: [1, 2, 3] as [UInt64])
    func mixed(_ seed: UInt64) {
        let aware = meanSeconds(.resourceAware, seed: seed)
        #expect(aware < 0.8 * meanSeconds(.leastConnections, seed: seed))
        #expect(aware < 0.8 * meanSeconds(.roundRobin, seed: seed))
    }
}
