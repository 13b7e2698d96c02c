import Balancing
import Determinism
import Testing

@testable import ReplicaCore

struct WorkerBoardTests {
    private let board = WorkerBoard()
    private let model = ModelIndex(rawValue: 0)

    private func worker(_ name: String = "w") throws -> WorkerIndex {
        try #require(board.index(for: WorkerID(rawValue: name)))
    }

    @Test("a worker keeps its cell; the board takes as many workers as it says, and one more finds no room")
    func cells() throws {
        for number in 0..<WorkerBoard.workersMax {
            #expect(board.index(for: WorkerID(rawValue: "w\(number)"))?.rawValue == number)
        }
        #expect(board.index(for: WorkerID(rawValue: "one more")) == nil)
        #expect(board.index(for: WorkerID(rawValue: "w7"))?.rawValue == 7)
    }

    @Test("slots are taken up to the cap, by many threads at once, and none beyond it")
    func slots() async throws {
        let worker = try worker()
        let board = board
        let taken = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask { (0..<500).count { _ in board.tryTakeSlot(worker, cap: 100) } }
            }
            return await group.reduce(0, +)
        }
        #expect(taken == 100)
        #expect(board.running(worker) == 100)
        #expect(!board.tryTakeSlot(worker, cap: 100))
        board.releaseSlot(worker)
        #expect(board.tryTakeSlot(worker, cap: 100))
    }

    @Test("dials are counted apart from slots")
    func dials() throws {
        let worker = try worker()
        #expect(board.tryBeginConnect(worker, cap: 1))
        #expect(!board.tryBeginConnect(worker, cap: 1))
        #expect(board.running(worker) == 0)
        board.endConnect(worker)
        #expect(board.tryBeginConnect(worker, cap: 1))
    }

    @Test("tokens ahead go up and come down")
    func tokens() throws {
        let worker = try worker()
        board.addTokens(worker, prompt: 100, output: 20)
        board.removeTokens(worker, prompt: 100, output: 0)
        #expect(board.promptTokens(worker) == 0)
        #expect(board.outputTokens(worker) == 20)
    }

    @Test("what a worker's machine believes is what readers see, and its wish for a canary is told once")
    func health() throws {
        let worker = try worker()
        #expect(board.condition(worker) == .loading)
        board.tellHealth(worker, .probeAlive, at: .zero)
        #expect(board.takeCanaryWish(worker))
        #expect(!board.takeCanaryWish(worker))
        board.tellHealth(worker, .canaryClean, at: .zero)
        #expect(board.condition(worker) == .healthy)
        board.tellHealth(worker, .connectRefused, at: .zero)
        #expect(board.condition(worker) == .down(.refused))
    }

    @Test(
        "a worker is flaky while a breaker of one of its models is open, and no longer than until a trial may go there")
    func flaky() throws {
        let worker = try worker()
        let now = Instant(nanoseconds: 1_000_000_000)
        board.tellHealth(worker, .tokensSeen, at: now)
        for _ in 0..<2 { board.recordBreaker(worker, model: model, .failure, wasProbe: false, at: now) }
        #expect(board.condition(worker) == .healthy)
        board.recordBreaker(worker, model: model, .failure, wasProbe: false, at: now)
        #expect(board.condition(worker) == .degraded(.flaky))
        // The breaker is open for four seconds at least, six at most.
        board.tellBreakers(worker, at: now + .seconds(3))
        board.tellHealth(worker, .canaryClean, at: now + .seconds(3))
        #expect(board.condition(worker) == .degraded(.flaky))
        board.tellBreakers(worker, at: now + .seconds(7))
        board.tellHealth(worker, .canaryClean, at: now + .seconds(7))
        #expect(board.condition(worker) == .healthy)
        #expect(board.breakerAllows(worker, model: model, at: now + .seconds(7)) == .probe)
    }

    @Test("a breaker opens for one model of one worker, lets one probe through, and closes with its success")
    func breaker() throws {
        let worker = try worker()
        let other = ModelIndex(rawValue: 1)
        var now = Instant.zero
        #expect(board.breakerAllows(worker, model: model, at: now) == .closed)
        for _ in 0..<3 { board.recordBreaker(worker, model: model, .failure, wasProbe: false, at: now) }
        #expect(board.breakerAllows(worker, model: model, at: now) == .refused)
        #expect(board.breakerAllows(worker, model: other, at: now) == .closed)
        #expect(board.breakerLevel(worker, model: model) == 2)
        now = now + .seconds(10)
        #expect(board.breakerAllows(worker, model: model, at: now) == .probe)
        #expect(board.breakerAllows(worker, model: model, at: now) == .refused)
        board.recordBreaker(worker, model: model, .success, wasProbe: true, at: now)
        #expect(board.breakerAllows(worker, model: model, at: now) == .closed)
        #expect(board.breakerLevel(worker, model: model) == 0)
    }

    @Test("a model in use is not given up under an exchange, and a worker that came back has none in memory")
    func models() throws {
        let board = WorkerBoard()
        let worker = try #require(board.index(for: WorkerID(rawValue: "w")))
        let model = ModelIndex(rawValue: 3)
        #expect(board.modelState(worker, model, at: .zero) == .resident)
        #expect(board.beginUse(worker, model, at: .zero) == .free)
        board.endUse(worker, model, .free, at: .zero)
        board.withModels(worker) { $0.told([model], askedAt: .zero) }
        #expect(board.beginUse(worker, model, at: .zero) == .counted)
        board.withModels(worker) { $0.giveUp([model]) }
        #expect(board.modelState(worker, model, at: .zero) == .evicting)
        #expect(board.beginUse(worker, model, at: .zero) == .refused)
        #expect(board.withModels(worker) { $0.running(model) } == 1)
        board.endUse(worker, model, .counted, at: .zero)
        board.withModels(worker) { $0.keep([model]) }
        board.tellHealth(worker, .connectRefused, at: .zero)
        #expect(board.modelState(worker, model, at: .zero) == .resident, "nothing is known yet of what comes back")
        board.tellHealth(worker, .probeAlive, at: .zero + .seconds(1))
        #expect(board.modelState(worker, model, at: .zero) == .available)
    }
}
