import Determinism
import Testing

@testable import Balancing

@Suite struct RetryBudgetTests {
    private func retries(_ budget: inout RetryBudget, at seconds: Double, asked: Int = 1_000) -> Int {
        (0..<asked).count { _ in budget.mayRetry(at: .at(seconds)) }
    }

    @Test("three are free, the fourth is not")
    func free() {
        var budget = RetryBudget(percent: 20)
        #expect(retries(&budget, at: 0) == 3)
    }

    @Test("a fifth of the exchanges", arguments: [(15, 3), (19, 3), (20, 4), (1_000, 200)])
    func share(_ exchanges: Int, _ allowed: Int) {
        var budget = RetryBudget()
        for _ in 0..<exchanges { budget.noteExchange(at: .at(1)) }
        #expect(retries(&budget, at: 2) == allowed)
    }

    @Test("what is ten seconds old counts no more: neither exchanges nor retries")
    func window() {
        var budget = RetryBudget(percent: 20)
        for _ in 0..<100 { budget.noteExchange(at: .at(0.5)) }
        #expect(retries(&budget, at: 0.6) == 20)
        #expect(retries(&budget, at: 9.9) == 0)
        #expect(retries(&budget, at: 10) == 3)
    }

    @Test("a long silence forgets everything, whatever second it ends in")
    func silence() {
        var budget = RetryBudget(percent: 50)
        for _ in 0..<100 { budget.noteExchange(at: .at(3)) }
        #expect(retries(&budget, at: 3) == 50)
        #expect(retries(&budget, at: 86_403) == 3)
    }

    @Test("a clock that steps back neither crashes nor gives more")
    func backward() {
        var budget = RetryBudget(percent: 20)
        for _ in 0..<50 { budget.noteExchange(at: .at(100)) }
        #expect(retries(&budget, at: 40) == 10)
        #expect(retries(&budget, at: 100) == 0)
        #expect(retries(&budget, at: -5) == 0)
    }

    @Test("zero percent means none")
    func none() {
        var budget = RetryBudget(percent: 0)
        for _ in 0..<50 { budget.noteExchange(at: .zero) }
        #expect(retries(&budget, at: 0) == 0)
    }
}
