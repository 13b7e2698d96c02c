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
        board.begin(worker, sequences: 2)
        board.note(worker, said: 5, since: board.mark(worker, at: at(1)), besides: 1, until: at(8))
        #expect(board.foreign(worker, at: at(7.999)) == 2 && board.foreign(worker, at: at(8)) == nil)
        #expect(board.foreign(WorkerIndex(rawValue: 4), at: at(2)) == nil)
    }

    @Test("a worker that counts fewer than we have there runs nothing for others")
    func fewer() {
        board.begin(worker, sequences: 4)
        board.note(worker, said: 1, since: board.mark(worker, at: at(1)), besides: 0, until: at(8))
        #expect(board.foreign(worker, at: at(2)) == 0 && board.own(worker) == 4)
        board.end(worker, sequences: 4, whole: true, at: at(3))
        #expect(board.own(worker) == 0)
    }
}
