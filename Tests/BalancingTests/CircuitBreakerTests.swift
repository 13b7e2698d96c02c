import Determinism
import Testing

@testable import Balancing

@Suite struct CircuitBreakerTests {
    /// Jitter of a half is none: 5 s are 5 s.
    private func record(_ breaker: inout CircuitBreaker, _ outcome: Outcome, probe: Bool = false, at seconds: Double) {
        breaker.record(outcome, wasProbe: probe, at: .at(seconds), jitter: 0.5)
    }

    private func opened(at seconds: Double = 0) -> CircuitBreaker {
        var breaker = CircuitBreaker()
        for _ in 0..<3 { record(&breaker, .failure, at: seconds) }
        return breaker
    }

    @Test("two failures in a row are too few, the third opens")
    func inRow() {
        var breaker = CircuitBreaker()
        record(&breaker, .failure, at: 0)
        record(&breaker, .failure, at: 1)
        #expect(breaker.level == 0)
        record(&breaker, .failure, at: 2)
        #expect(breaker.level == 2)
        #expect(breaker.state == .open(until: .at(7)))
    }

    @Test("a success between breaks the row, what proves nothing does not")
    func between() {
        var breaker = CircuitBreaker()
        for outcome in [.failure, .failure, .success, .failure, .failure] as [Outcome] {
            record(&breaker, outcome, at: 0)
        }
        #expect(breaker.state == .closed)
        record(&breaker, .neutral, at: 0)
        record(&breaker, .failure, at: 0)
        #expect(breaker.level == 2)
    }

    @Test("a row is one within a minute, and none a moment later", arguments: [(60.0, 2), (60.001, 0)])
    func minute(_ third: Double, _ level: Int) {
        var breaker = CircuitBreaker()
        record(&breaker, .failure, at: 0)
        record(&breaker, .failure, at: 30)
        record(&breaker, .failure, at: third)
        #expect(breaker.level == level)
    }

    @Test("ten failures among the last twenty open, nine do not, and what is older is forgotten")
    func half() {
        var breaker = CircuitBreaker()
        for turn in 0..<9 {
            record(&breaker, .failure, at: Double(turn))
            record(&breaker, .success, at: Double(turn))
        }
        #expect(breaker.level == 0)
        record(&breaker, .failure, at: 20)
        #expect(breaker.level == 2)

        var slower = CircuitBreaker()
        for turn in 0..<200 {
            record(&slower, .failure, at: Double(turn))
            for _ in 0..<2 { record(&slower, .success, at: Double(turn)) }
        }
        #expect(slower.level == 0)
    }

    @Test("refuses until its time, then lets exactly one through")
    func halfOpen() {
        var breaker = opened()
        let early = breaker.admit(at: .at(4.999))
        let first = breaker.admit(at: .at(5))
        let others = (0..<100).map { _ in breaker.admit(at: .at(6)) }
        #expect(early == .refused)
        #expect(first == .probe)
        #expect(others.allSatisfy { $0 == .refused })
        #expect(breaker.level == 1)
    }

    @Test("the trial's success closes it like new")
    func success() {
        var breaker = opened()
        _ = breaker.admit(at: .at(5))
        record(&breaker, .success, probe: true, at: 6)
        #expect(breaker.isPristine)
        let next = breaker.admit(at: .at(6))
        #expect(next == .closed)
        for _ in 0..<3 { record(&breaker, .failure, at: 7) }
        #expect(breaker.state == .open(until: .at(12)))
    }

    @Test("failing trials double the time up to a minute")
    func doubling() {
        var breaker = opened()
        var now = 5.0
        for wait in [10.0, 20, 40, 60, 60] {
            let trial = breaker.admit(at: .at(now))
            #expect(trial == .probe)
            record(&breaker, .failure, probe: true, at: now)
            #expect(breaker.state == .open(until: .at(now + wait)))
            now += wait
        }
    }

    @Test("a trial that proved nothing gives its permit back")
    func neutral() {
        var breaker = opened()
        _ = breaker.admit(at: .at(5))
        record(&breaker, .neutral, probe: true, at: 6)
        let again = [breaker.admit(at: .at(6)), breaker.admit(at: .at(6))]
        #expect(again == [.probe, .refused])
    }

    @Test("exchanges that began before it opened decide nothing")
    func stragglers() {
        var breaker = opened()
        record(&breaker, .success, at: 1)
        #expect(breaker.level == 2)
        _ = breaker.admit(at: .at(5))
        record(&breaker, .success, at: 6)
        record(&breaker, .failure, at: 6)
        #expect(breaker.level == 1)
    }

    @Test("a permit whose holder is lost goes to another, after ten minutes and not before")
    func lost() {
        var breaker = opened()
        _ = breaker.admit(at: .at(5))
        let before = breaker.admit(at: .at(604.999))
        let after = breaker.admit(at: .at(605))
        #expect(before == .refused)
        #expect(after == .probe)
    }

    @Test("jitter is a fifth to either side", arguments: [(0.0, 4.0), (1.0, 6.0), (-3.0, 4.0), (7.0, 6.0)])
    func jitter(_ jitter: Double, _ seconds: Double) {
        var breaker = CircuitBreaker()
        for _ in 0..<3 { breaker.record(.failure, wasProbe: false, at: .zero, jitter: jitter) }
        #expect(breaker.state == .open(until: .at(seconds)))
    }

    @Test("pristine again once no failure is among the last twenty")
    func pristine() {
        var breaker = CircuitBreaker()
        record(&breaker, .failure, at: 0)
        for _ in 0..<19 { record(&breaker, .success, at: 1) }
        #expect(!breaker.isPristine)
        record(&breaker, .success, at: 1)
        #expect(breaker.isPristine)
    }
}
