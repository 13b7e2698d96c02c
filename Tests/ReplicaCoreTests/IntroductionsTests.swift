import Balancing
import Determinism
import Testing

@testable import ReplicaCore

@Suite("What workers told of themselves")
struct IntroductionsTests {
    private let board = WorkerBoard()
    private let worker = WorkerIndex(rawValue: 0)
    private let one = WorkerIntroduction(version: "1", capabilities: ["tools"])

    @Test("so many answers of one life are looked at, none after it has told, and those of another life never")
    func tries() {
        for _ in 0..<WorkerBoard.introductionTriesMax { #expect(board.takeIntroductionTry(worker, life: 0)) }
        #expect(!board.takeIntroductionTry(worker, life: 0) && board.introduction(worker) == nil)
        revive()
        #expect(!board.takeIntroductionTry(worker, life: 0), "an answer that came late")
        #expect(board.takeIntroductionTry(worker, life: 1))
        board.introduce(worker, as: one, life: 1)
        #expect(board.introduction(worker) == one && !board.takeIntroductionTry(worker, life: 1))
    }

    @Test("while it is down its last word is kept; back again it has said nothing yet")
    func lives() {
        #expect(board.takeIntroductionTry(worker, life: 0))
        board.introduce(worker, as: one, life: 0)
        board.tellHealth(worker, .connectRefused, at: .zero)
        #expect(board.introduction(worker) == one)
        board.tellHealth(worker, .probeAlive, at: .zero + .seconds(60))
        #expect(board.incarnation(worker) == 1 && board.introduction(worker) == nil)
        board.introduce(worker, as: one, life: 0)
        #expect(board.introduction(worker) == nil)
    }

    private func revive() {
        board.tellHealth(worker, .connectRefused, at: .zero)
        board.tellHealth(worker, .probeAlive, at: .zero + .seconds(60))
    }
}
