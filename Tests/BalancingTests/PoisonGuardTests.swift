import Determinism
import Testing

@testable import Balancing

@Suite("The poison guard")
struct PoisonGuardTests {
    private static func at(_ seconds: Double) -> Instant { .zero + .nanoseconds(Int64(seconds * 1e9)) }
    private static let one = WorkerIndex(rawValue: 1)
    private static let two = WorkerIndex(rawValue: 2)

    @Test(
        "the first death makes a suspect, the second, alone with another worker, a convict; both are forgotten in time")
    func conviction() {
        var guardian = PoisonGuard()
        #expect(guardian.judge(7, at: Self.at(0)) == .unknown && guardian.isEmpty)
        let first = guardian.casualty(7, on: Self.one, incarnation: 0, wasAlone: false, at: Self.at(0))
        #expect(first.judgement == .suspect && first.isNew)
        #expect(guardian.judge(7, at: Self.at(599)) == .suspect && guardian.judge(8, at: Self.at(0)) == .unknown)
        let second = guardian.casualty(7, on: Self.two, incarnation: 0, wasAlone: true, at: Self.at(100))
        #expect(second.judgement == .convicted && second.isNew)
        #expect(guardian.records(at: Self.at(100)).map(\.casualties) == [2])
        #expect(guardian.judge(7, at: Self.at(3_699)) == .convicted)
        #expect(guardian.judge(7, at: Self.at(3_700)) == .unknown && guardian.isEmpty)
        _ = guardian.casualty(7, on: Self.one, incarnation: 0, wasAlone: false, at: Self.at(4_000))
        #expect(guardian.judge(7, at: Self.at(4_600)) == .unknown)
    }

    @Test(
        "one worker's two lives are two deaths, and so is hanging up twice; one death is one, however often it is told")
    func sameWorker() {
        for (incarnation, later, convicted) in [(1, 0.1, true), (0, 0.1, false), (0, 1, true)] {
            var guardian = PoisonGuard()
            _ = guardian.casualty(7, on: Self.one, incarnation: 0, wasAlone: false, at: Self.at(0))
            let again = guardian.casualty(
                7, on: Self.one, incarnation: incarnation, wasAlone: true, at: Self.at(later))
            #expect((again.judgement == .convicted) == convicted, "\(incarnation) \(later)")
            #expect(again.isNew == (incarnation == 1))
        }
    }

    @Test("two deaths in company convict nobody: the second trial has to be alone")
    func company() {
        var guardian = PoisonGuard()
        for (worker, time) in [(Self.one, 0.0), (Self.two, 10), (Self.one, 20)] {
            let told = guardian.casualty(7, on: worker, incarnation: 0, wasAlone: false, at: Self.at(time))
            #expect(told.judgement == .suspect)
        }
    }

    @Test("an answer clears a suspect and never a convict")
    func cleared() {
        var guardian = PoisonGuard()
        _ = guardian.casualty(7, on: Self.one, incarnation: 0, wasAlone: false, at: .zero)
        guardian.answered(7)
        #expect(guardian.isEmpty)
        for worker in [Self.one, Self.two] {
            _ = guardian.casualty(7, on: worker, incarnation: 0, wasAlone: true, at: .zero)
        }
        guardian.answered(7)
        #expect(guardian.judge(7, at: .zero) == .convicted)
        #expect(!guardian.forget(8) && guardian.forget(7) && guardian.isEmpty)
    }

    @Test("who had tokens is suspect only where nobody without one was, whoever tells first")
    func bystanders() {
        for order in [["with", "without"], ["without", "with"], ["with"]] {
            var guardian = PoisonGuard()
            for who in order {
                if who == "with" {
                    _ = guardian.witness(7, on: Self.one, incarnation: 3, at: Self.at(1))
                } else {
                    _ = guardian.casualty(8, on: Self.one, incarnation: 3, wasAlone: false, at: Self.at(1.5))
                }
            }
            #expect((guardian.judge(7, at: Self.at(2)) == .suspect) == (order.count == 1), "\(order)")
        }
    }

    @Test("it stands at its bound: one more forgets the one that would be forgotten first")
    func bound() {
        var guardian = PoisonGuard()
        for number in 0...UInt64(PoisonGuard.recordsMax) {
            _ = guardian.casualty(
                number, on: Self.one, incarnation: Int(number), wasAlone: false, at: Self.at(Double(number) / 100))
        }
        #expect(guardian.records(at: Self.at(41)).count == PoisonGuard.recordsMax)
        #expect(guardian.judge(0, at: Self.at(41)) == .unknown && guardian.judge(1, at: Self.at(41)) == .suspect)
        for bystander in 0...UInt64(PoisonGuard.bystandersMax) {
            _ = guardian.witness(100_000 + bystander, on: Self.two, incarnation: 0, at: Self.at(41))
        }
        #expect(guardian.judge(100_000, at: Self.at(41)) == .suspect)
        #expect(guardian.judge(100_000 + UInt64(PoisonGuard.bystandersMax), at: Self.at(41)) == .unknown)
        #expect(guardian.forget(nil) && guardian.isEmpty)
    }

    /// A fleet in small: requests come, run for a while, and some of them end the worker that computes them. Placement
    /// obeys the guard as the lane does: who is suspect goes alone, and to a worker that it did not end.
    @Test(
        "in a thousand seeds no killer ends more than two workers, no innocent is convicted, and every one is answered")
    func seeds() {
        for seed in 0..<1_000 as Range<UInt64> {
            var world = World(seed: seed)
            world.run()
            #expect(world.casualties.values.allSatisfy { $0 <= 2 }, "seed \(seed): \(world.casualties)")
            #expect(world.innocentsConvicted == 0, "seed \(seed)")
            #expect(world.innocentsUnanswered == 0, "seed \(seed)")
            if world.failed { return }
        }
    }

    private struct World {
        private struct Running {
            let request: UInt64
            var firstTokenAt: Int
            var endsAt: Int
            let isAlone: Bool
        }

        private struct Worker {
            var running: [Running] = []
            var downUntil = 0
            var incarnation = 0
            var reservedFor: UInt64?
        }

        private var random: SeededGenerator
        private var guardian = PoisonGuard()
        private var workers: [Worker]
        private var waiting: [(request: UInt64, killed: Set<Int>)] = []
        private var attempts: [UInt64: Int] = [:]
        private let killers: Set<UInt64>
        private var answered: Set<UInt64> = []
        private(set) var casualties: [UInt64: Int] = [:]
        private(set) var innocentsConvicted = 0
        private static let requests: UInt64 = 24

        init(seed: UInt64) {
            random = SeededGenerator(seed: seed)
            workers = Array(repeating: Worker(), count: 3 + Int(random.below(4)))
            var killers: Set<UInt64> = []
            for _ in 0..<(1 + random.below(3)) { killers.insert(random.below(Self.requests)) }
            self.killers = killers
        }

        var innocentsUnanswered: Int { Int(Self.requests) - killers.count - answered.count }
        var failed: Bool {
            innocentsConvicted > 0 || innocentsUnanswered > 0 || casualties.values.contains { $0 > 2 }
        }

        mutating func run() {
            var next: UInt64 = 0
            for tick in 0..<3_000 {
                if next < Self.requests, random.chance(0.5) {
                    waiting.append((next, []))
                    next += 1
                }
                for worker in workers.indices { advance(worker, tick) }
                let turn = waiting
                waiting = []
                for (request, killed) in turn where !place(request, killed, tick) { waiting.append((request, killed)) }
                if next == Self.requests, waiting.isEmpty, workers.allSatisfy(\.running.isEmpty) { return }
            }
        }

        private mutating func advance(_ worker: Int, _ tick: Int) {
            // A killer ends its worker instead of bringing its first token.
            if let killer = workers[worker].running.first(where: {
                killers.contains($0.request) && $0.firstTokenAt <= tick
            }) {
                casualties[killer.request, default: 0] += 1
                die(worker, tick)
            }
            for done in workers[worker].running where done.endsAt <= tick {
                answered.insert(done.request)
                guardian.answered(done.request)
            }
            workers[worker].running.removeAll { $0.endsAt <= tick }
            if let lone = workers[worker].reservedFor,
                workers[worker].running.contains(where: { $0.request == lone && $0.firstTokenAt <= tick })
            {
                workers[worker].reservedFor = nil
            }
        }

        private mutating func die(_ worker: Int, _ tick: Int) {
            var lost = workers[worker].running
            let now = Instant.zero + .milliseconds(10 * tick)
            // They hear of it in any order.
            for place in lost.indices.dropLast() {
                lost.swapAt(place, place + Int(random.below(UInt64(lost.count - place))))
            }
            workers[worker].running = []
            workers[worker].reservedFor = nil
            for running in lost {
                let (incarnation, index) = (workers[worker].incarnation, WorkerIndex(rawValue: worker))
                let judgement =
                    running.firstTokenAt > tick || killers.contains(running.request)
                    ? guardian.casualty(
                        running.request, on: index, incarnation: incarnation, wasAlone: running.isAlone, at: now
                    ).judgement
                    : guardian.witness(running.request, on: index, incarnation: incarnation, at: now).judgement
                if judgement != .convicted {
                    waiting.append((running.request, [worker]))
                } else if !killers.contains(running.request) {
                    innocentsConvicted += 1
                }
            }
            workers[worker].incarnation += 1
            workers[worker].downUntil = tick + 20 + Int(random.below(100))
        }

        private mutating func place(_ request: UInt64, _ killed: Set<Int>, _ tick: Int) -> Bool {
            let now = Instant.zero + .milliseconds(10 * tick)
            let up = workers.indices.filter { workers[$0].downUntil <= tick }
            let isSuspect: Bool
            switch guardian.judge(request, at: now) {
            case .convicted: return true
            case .suspect: isSuspect = true
            case .unknown: isSuspect = false
            }
            let place: Int
            if isSuspect {
                if let mine = workers.indices.first(where: { workers[$0].reservedFor == request }) {
                    guard workers[mine].downUntil <= tick else {
                        workers[mine].reservedFor = nil
                        return false
                    }
                    guard !workers[mine].running.contains(where: { $0.firstTokenAt > tick }) else { return false }
                    place = mine
                } else {
                    let reserved = workers.count { $0.reservedFor != nil }
                    let free = up.filter { workers[$0].reservedFor == nil && !killed.contains($0) }
                    guard reserved < max(1, workers.count / 3), !free.isEmpty else { return false }
                    workers[free[Int(random.below(UInt64(free.count)))]].reservedFor = request
                    return false
                }
            } else {
                let free = up.filter { workers[$0].reservedFor == nil && workers[$0].running.count < 4 }
                guard !free.isEmpty else { return false }
                place = free[Int(random.below(UInt64(free.count)))]
            }
            let first = tick + 1 + Int(random.below(20))
            workers[place].running.append(
                Running(
                    request: request, firstTokenAt: first, endsAt: first + 1 + Int(random.below(40)), isAlone: isSuspect
                ))
            return true
        }
    }
}
