/// Workers and requests for tests, with only what a test cares about written out.
import Determinism

@testable import Balancing

func candidate(
    _ index: Int, slots: Int = 4, running: Int = 0, queued: Int = 0, weight: Double = 1, prompt: Int = 0,
    output: Int = 0, prefill: Double = 500, decode: Double = 40, slope: Double = 0.15, load: Double = 0,
    pressure: Double = 0
) -> Candidate {
    Candidate(
        worker: WorkerIndex(rawValue: index), ringKey: StableHash64.hash("mac-\(index)"), slots: slots,
        running: running, queued: queued, weight: weight, promptTokensAhead: prompt, outputTokensAhead: output,
        prefillRate: prefill, decodeRate: decode, stepSlope: slope, loadSeconds: load, pressure: pressure)
}

func query(model: Int = 0, prompt: Int = 300, output: Int = 200, prefix: UInt64 = 0, key: UInt64 = 0) -> PlacementQuery
{
    PlacementQuery(
        model: ModelIndex(rawValue: model), promptTokens: prompt, outputTokens: output, prefixFingerprint: prefix,
        affinityKey: key)
}

extension Instant {
    static func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }
}

extension PlacementChooser {
    /// Worker indexes of so many choices in a row, with the fleet as it is.
    mutating func workers(_ count: Int, among fleet: [Candidate], for query: PlacementQuery) -> [Int] {
        (0..<count).compactMap { _ in choose(among: fleet, for: query).map { fleet[$0].worker.rawValue } }
    }
}
