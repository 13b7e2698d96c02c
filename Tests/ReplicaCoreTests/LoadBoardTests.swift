import Balancing
import Determinism
import Testing

@testable import ReplicaCore

@Suite("The board of what workers do for others")
struct LoadBoardTests {
    private let board = LoadBoard()
    private let worker = WorkerIndex(rawValue: 3)
    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    @Test("a reading holds until its moment, and then nothing is known")
    func expiry() {
        #expect(board.foreign(worker, at: at(1)) == nil)
        board.begin(worker, sequences: 2, tokens: 100)
        board.note(worker, said: 5, since: board.mark(worker, at: at(1)), besides: 1, until: at(8))
        #expect(board.foreign(worker, at: at(7.999)) == 2 && board.foreign(worker, at: at(8)) == nil)
        #expect(board.foreign(WorkerIndex(rawValue: 4), at: at(2)) == nil)
    }

    @Test("what is known of a Mac holds until its moment")
    func vitals() {
        #expect(board.vitals(worker, at: at(1)) == nil)
        var vitals = MacVitals()
        board.note(worker, vitals, until: at(8))
        #expect(board.vitals(worker, at: at(1)) == nil, "nothing is known")
        vitals.memory = 0.5
        board.note(worker, vitals, until: at(8))
        #expect(board.vitals(worker, at: at(7.999)) == vitals && board.vitals(worker, at: at(8)) == nil)
    }

    @Test("heat takes off a prior only, others' use of the GPU off both; a tenth is left in any case")
    func speeds() throws {
        let board = WorkerBoard()
        let worker = try #require(board.index(for: WorkerID(rawValue: "w")))
        let model = ModelIndex(rawValue: 0)
        let placement = RoutingView.Placement(
            position: 0, upstreamName: "m", contextTokens: nil, vocabulary: nil, prefillRate: 1_000, decodeRate: 50,
            stepSlope: 0.15)
        var vitals = MacVitals()
        vitals.heat = .serious
        func decode() -> Double { board.speeds(worker, model: model, placement, vitals, at: at(1)).decode }
        #expect(abs(decode() - 30) < 1e-9)
        vitals.foreignGPU = 0.5
        #expect(abs(decode() - 15) < 1e-9 && board.speeds(worker, model: model, placement, nil, at: at(1)).decode == 50)
        for (use, left) in [(1.0, 0.1), (7, 0.1), (-3, 1), (0.25, 0.75)] {
            vitals.foreignGPU = use
            #expect(abs(vitals.shareForUs - left) < 1e-9)
        }
        // A million tokens: what the chip promises has no say any more, and nor has its heat.
        board.noteRates(worker, model: model) {
            $0.noteDecode(tokens: 1_000_000, seconds: 40_000, batch: 1, slope: 0.15, share: 0.5, at: at(1))
        }
        vitals.foreignGPU = nil
        #expect(abs(decode() / 50 - 1) < 0.01, "measured beside others, it is fast alone")
        vitals.foreignGPU = 0.5
        #expect(abs(decode() / 25 - 1) < 0.01)
    }

    @Test("a worker that counts fewer than we have there runs nothing for others")
    func fewer() {
        board.begin(worker, sequences: 4, tokens: 100)
        board.note(worker, said: 1, since: board.mark(worker, at: at(1)), besides: 0, until: at(8))
        #expect(board.foreign(worker, at: at(2)) == 0 && board.own(worker) == 4)
        board.end(worker, sequences: 4, tokens: 100, whole: true, at: at(3))
        #expect(board.own(worker) == 0)
    }
}
