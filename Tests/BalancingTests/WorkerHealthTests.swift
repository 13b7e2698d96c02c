import Determinism
import Testing

@testable import Balancing

@Suite struct WorkerHealthTests {
    private func health(_ inputs: WorkerHealth.Input..., at seconds: Double = 0) -> WorkerHealth {
        var health = WorkerHealth()
        for input in inputs { _ = health.handle(input, at: .at(seconds)) }
        return health
    }

    private func tell(_ health: inout WorkerHealth, _ input: WorkerHealth.Input, at seconds: Double) -> WorkerCondition
    {
        _ = health.handle(input, at: .at(seconds))
        return health.condition
    }

    @Test(
        "one input from each state",
        arguments: [
            ([], .tokensSeen, .healthy), ([], .canaryClean, .healthy), ([], .probeAlive, .loading),
            ([], .probeLoading, .loading),
            ([], .connectRefused, .down(.refused)), ([], .deadVerdict, .down(.dead)), ([], .canaryFailed, .loading),
            ([], .drain, .draining), ([], .impaired(.slow), .loading), ([], .ambiguousFailure, .loading),
            ([.tokensSeen], .probeAlive, .healthy), ([.tokensSeen], .probeLoading, .loading),
            ([.tokensSeen], .probeFailed, .healthy), ([.tokensSeen], .connectRefused, .down(.refused)),
            ([.tokensSeen], .deadVerdict, .down(.dead)), ([.tokensSeen], .ambiguousFailure, .healthy),
            ([.tokensSeen], .impaired(.stalled), .degraded(.stalled)),
            ([.tokensSeen], .canaryFailed, .degraded(.stalled)),
            ([.tokensSeen], .drain, .draining), ([.tokensSeen], .idle, .healthy), ([.tokensSeen], .resume, .healthy),
            ([.tokensSeen, .impaired(.slow)], .tokensSeen, .degraded(.slow)),
            ([.tokensSeen, .impaired(.slow)], .impaired(.pressure), .degraded(.pressure)),
            ([.tokensSeen, .impaired(.slow)], .canaryFailed, .down(.canary)),
            ([.tokensSeen, .impaired(.slow)], .connectRefused, .down(.refused)),
            ([.drain], .connectRefused, .draining), ([.drain], .deadVerdict, .draining),
            ([.drain], .tokensSeen, .draining),
            ([.drain], .idle, .down(.drained)), ([.drain], .resume, .loading),
            ([.drain, .idle], .probeAlive, .down(.drained)), ([.drain, .idle], .tokensSeen, .down(.drained)),
            ([.drain, .idle], .resume, .loading),
            ([.connectRefused], .probeAlive, .loading), ([.connectRefused], .tokensSeen, .loading),
            ([.connectRefused], .probeLoading, .loading), ([.connectRefused], .probeFailed, .down(.refused)),
            ([.connectRefused], .canaryClean, .healthy), ([.connectRefused], .drain, .draining),
            ([.deadVerdict], .probeAlive, .down(.dead)), ([.deadVerdict], .connectRefused, .down(.refused)),
        ] as [([WorkerHealth.Input], WorkerHealth.Input, WorkerCondition)])
    func table(_ before: [WorkerHealth.Input], _ input: WorkerHealth.Input, _ after: WorkerCondition) {
        var health = WorkerHealth()
        for input in before { _ = health.handle(input, at: .zero) }
        let was = health.condition
        let effects = health.handle(input, at: .at(1))
        #expect(health.condition == after)
        #expect(effects.contains(.changed(from: was, to: after)) == (was != after))
    }

    @Test("probes that fail: one says nothing, two make it flaky, four take it down")
    func probes() {
        var health = health(.tokensSeen)
        let seen = (1...4).map { tell(&health, .probeFailed, at: Double($0) * 2) }
        #expect(seen == [.healthy, .degraded(.flaky), .degraded(.flaky), .down(.unreachable)])
    }

    @Test(
        "an answered probe or tokens between failing ones begin the count anew",
        arguments: [.probeAlive, .tokensSeen] as [WorkerHealth.Input])
    func life(_ sign: WorkerHealth.Input) {
        var health = health(.tokensSeen, .probeFailed, .probeFailed, .probeFailed)
        _ = tell(&health, sign, at: 1)
        let seen = (0..<3).map { _ in tell(&health, .probeFailed, at: 2) }
        #expect(!seen.contains(.down(.unreachable)))
        #expect(tell(&health, .probeFailed, at: 3) == .down(.unreachable))
    }

    @Test(
        "a degraded worker is well after three clean exchanges, once the cause is not told any more",
        arguments: [(WorkerCondition.Why.flaky, 10.0), (.stalled, 10), (.pressure, 10), (.slow, 60)])
    func recovering(why: WorkerCondition.Why, holds: Double) {
        var health = health(.tokensSeen, .impaired(why))
        #expect(
            (1...5).map { tell(&health, .tokensSeen, at: Double($0)) } == Array(repeating: .degraded(why), count: 5))
        #expect(tell(&health, .impaired(why), at: 6) == .degraded(why))
        #expect(tell(&health, .tokensSeen, at: 6 + holds - 0.001) == .degraded(why))
        #expect(tell(&health, .tokensSeen, at: 6 + holds) == .degraded(why))
        #expect(tell(&health, .tokensSeen, at: 6 + holds) == .healthy)
    }

    @Test("a clean canary heals at once when the cause is gone, and not a moment earlier")
    func canaryHeals() {
        var health = health(.tokensSeen, .impaired(.stalled))
        #expect(tell(&health, .canaryClean, at: 9.999) == .degraded(.stalled))
        #expect(tell(&health, .canaryClean, at: 10) == .healthy)
    }

    @Test("whoever sees that the cause is gone need not wait, but a token must come; another cause stays")
    func relieved() {
        var health = health(.tokensSeen, .impaired(.pressure))
        #expect(tell(&health, .relieved(.slow), at: 1) == .degraded(.pressure))
        #expect(tell(&health, .canaryClean, at: 1) == .degraded(.pressure))
        #expect(tell(&health, .relieved(.pressure), at: 2) == .degraded(.pressure))
        #expect(tell(&health, .canaryClean, at: 2) == .healthy)
        #expect(tell(&health, .relieved(.pressure), at: 3) == .healthy)
    }

    @Test("that its exchanges fail says less than what else is known, and keeps it from being well")
    func flakyBesides() {
        var health = health(.tokensSeen, .impaired(.stalled))
        #expect(tell(&health, .impaired(.flaky), at: 6) == .degraded(.stalled))
        #expect(tell(&health, .canaryClean, at: 15.999) == .degraded(.stalled))
        #expect(tell(&health, .canaryClean, at: 16) == .healthy)
    }

    @Test("a canary is asked for while loading, at most every five seconds")
    func canaries() {
        var health = WorkerHealth()
        let asked = [0.0, 2, 4.999, 5, 9.999, 10].map { health.handle(.probeAlive, at: .at($0)).contains(.wantsCanary) }
        #expect(asked == [true, false, false, true, false, true])
        let loading = health.handle(.probeLoading, at: .at(20))
        #expect(!loading.contains(.wantsCanary))
    }

    @Test("a healthy worker is asked for a token only when something is ambiguous")
    func noCanary() {
        var health = health(.tokensSeen)
        let probe = health.handle(.probeAlive, at: .at(100))
        let doubt = health.handle(.ambiguousFailure, at: .at(101))
        #expect(probe.isEmpty)
        #expect(doubt == [.wantsCanary])
    }

    @Test("two canaries that fail while loading take it down; the pause doubles up to a minute")
    func pauses() {
        var health = WorkerHealth()
        var now = 0.0
        for pause in [5.0, 10, 20, 40, 60, 60] {
            #expect(tell(&health, .canaryFailed, at: now) == .loading)
            #expect(tell(&health, .canaryFailed, at: now) == .down(.canary))
            #expect(tell(&health, .probeAlive, at: now + pause - 0.001) == .down(.canary))
            #expect(tell(&health, .probeAlive, at: now + pause) == .loading)
            now += pause
        }
    }

    @Test("well for five minutes forgets old deaths, a second less does not", arguments: [(300.0, 5.0), (299.0, 10.0)])
    func forgotten(_ well: Double, _ pause: Double) {
        var health = health(.deadVerdict)
        #expect(tell(&health, .probeAlive, at: 5) == .loading)
        #expect(tell(&health, .canaryClean, at: 10) == .healthy)
        #expect(tell(&health, .deadVerdict, at: 10 + well) == .down(.dead))
        #expect(tell(&health, .probeAlive, at: 10 + well + pause - 0.001) == .down(.dead))
        #expect(tell(&health, .probeAlive, at: 10 + well + pause) == .loading)
    }

    @Test("a canary that fails after tokens came says nothing: the worker lives")
    func tokensAfterCanary() {
        var health = WorkerHealth()
        let asked = health.handle(.probeAlive, at: .at(0))
        #expect(asked == [.wantsCanary])
        #expect(tell(&health, .tokensSeen, at: 30) == .healthy)
        #expect(tell(&health, .canaryFailed, at: 60) == .healthy)
    }

    @Test("loading is waited for, fifteen minutes and no longer; a break begins anew")
    func loading() {
        var health = WorkerHealth()
        #expect(tell(&health, .probeLoading, at: 0) == .loading)
        #expect(tell(&health, .probeLoading, at: 899.999) == .loading)
        var broken = health
        #expect(tell(&health, .probeLoading, at: 900) == .down(.load))
        #expect(tell(&health, .probeLoading, at: 902) == .down(.load))
        #expect(tell(&health, .probeAlive, at: 904) == .loading)
        #expect(tell(&broken, .probeAlive, at: 899.999) == .loading)
        #expect(tell(&broken, .probeLoading, at: 900) == .loading)
    }
}

@Suite struct WorkerConditionTests {
    private let all: [WorkerCondition] =
        [.loading, .healthy, .draining] + WorkerCondition.Why.allCases.flatMap { [.degraded($0), .down($0)] }

    @Test("every condition survives as a number, and no two share one")
    func codes() {
        #expect(all.allSatisfy { WorkerCondition(code: $0.code) == $0 })
        #expect(Set(all.map(\.code)).count == all.count)
    }

    @Test("numbers that no condition has are none", arguments: [-1, 3, 15, 26, 31, 42, 1_000])
    func strangers(_ code: Int) {
        #expect(WorkerCondition(code: code) == nil)
    }

    @Test("words are the ones that the metrics list")
    func words() {
        #expect(Set(all.map(\.word)) == Set(WorkerCondition.words))
        #expect(WorkerCondition.down(.refused).why == "refused")
        #expect(WorkerCondition.healthy.why == nil)
    }
}
