/// How many retries a loop may make: a share of the exchanges of the last ten seconds, three at least.
///
/// When all workers fail, retries multiply the load on what is left; a budget keeps a bad minute from becoming an
/// outage. Three are free, so that a quiet gateway can retry at all; none are at zero percent, since whoever wrote that
/// wants none.
package import Determinism

package struct RetryBudget: Sendable {
    static let seconds = 10
    static let free = 3

    private let share: Double
    /// One per second of the window, by the second's number; those of seconds that have left it are stale.
    private var exchanges = [Int](repeating: 0, count: seconds)
    private var retries = [Int](repeating: 0, count: seconds)
    private var exchangesTotal = 0
    private var retriesTotal = 0
    /// The newest second seen.
    private var second = Int64.min

    package init(percent: Double = 20) { share = percent / 100 }

    package mutating func noteExchange(at now: Instant) {
        exchanges[advance(to: now)] += 1
        exchangesTotal += 1
    }

    /// Spends one if there is one.
    package mutating func mayRetry(at now: Instant) -> Bool {
        let place = advance(to: now)
        let earned = Int(share * Double(exchangesTotal))
        guard share > 0, retriesTotal < max(Self.free, earned) else { return false }
        retries[place] += 1
        retriesTotal += 1
        return true
    }

    /// Forgets what left the window; the place of the current second.
    private mutating func advance(to now: Instant) -> Int {
        let count = Int64(Self.seconds)
        let current = now.nanoseconds.flooring(by: 1_000_000_000)
        if second == .min { second = current }
        // A clock that stands or steps back counts into the newest second.
        let steps = min(max(0, current - second), count)
        for step in 0..<steps {
            let place = Int((current - step).modulo(count))
            exchangesTotal -= exchanges[place]
            retriesTotal -= retries[place]
            exchanges[place] = 0
            retries[place] = 0
        }
        second = max(second, current)
        return Int(second.modulo(count))
    }
}

extension Int64 {
    fileprivate func flooring(by divisor: Int64) -> Int64 { (self - modulo(divisor)) / divisor }

    fileprivate func modulo(_ divisor: Int64) -> Int64 {
        let rest = self % divisor
        return rest < 0 ? rest + divisor : rest
    }
}
