/// What of a worker's own count is ours, so that the rest is somebody else's.
///
/// A worker is read while our exchanges come and go, so the two counts are never of one moment. Whatever could have been
/// ours at the moment it counted is taken for ours: what ran when it was asked, what began until it answered, and what
/// ended so shortly before that it may not have noticed. A stranger may be overlooked for a reading; ours never look
/// foreign.
package import Determinism

package struct OwnTraffic: Sendable {
    /// A server frees the place of an answer with the answer's end, give or take a step.
    static let wholeLingersSeconds = 0.5
    /// A client that left is noticed with the next event, by vllm-mlx after 3.7 seconds at the latest (seen).
    static let abandonedLingersSeconds = 5.0
    /// Ends are counted by quarters of a second, and forgotten after a turn.
    static let bucketsPerSecond = 4.0
    static let bucketsMax = 24

    private struct Bucket: Sendable {
        var number: Int64 = -1
        var whole = 0
        var abandoned = 0
    }

    /// Sequences that run: more than one for an exchange of several choices or prompts, each of which may take a place.
    package private(set) var running = 0
    private var begun = 0
    private var ends = [Bucket](repeating: Bucket(), count: bucketsMax)

    package init() {}

    package mutating func begin(_ sequences: Int) {
        running += sequences
        begun += sequences
    }

    /// `whole`: to its last token. Any other end may take the worker a while to notice.
    package mutating func end(_ sequences: Int, whole: Bool, at now: Instant) {
        running -= sequences
        let number = Self.number(of: now)
        let place = Int(number % Int64(Self.bucketsMax))
        if ends[place].number != number { ends[place] = Bucket(number: number) }
        if whole { ends[place].whole += sequences } else { ends[place].abandoned += sequences }
    }

    // MARK: A reading

    /// The moment at which a worker is asked.
    package struct Mark: Sendable {
        fileprivate let count: Int
        fileprivate let begun: Int
    }

    package func mark(at now: Instant) -> Mark {
        var lingering = 0
        // A bucket is as old as its youngest end; one without a number has none.
        for bucket in ends where bucket.number >= 0 && bucket.number <= Self.number(of: now) {
            let age = Double(Self.number(of: now) - bucket.number) / Self.bucketsPerSecond
            if age <= Self.wholeLingersSeconds { lingering += bucket.whole }
            if age <= Self.abandonedLingersSeconds { lingering += bucket.abandoned }
        }
        return Mark(count: running + lingering, begun: begun)
    }

    /// The most that can have been ours at any moment since `mark`.
    package func most(since mark: Mark) -> Int { mark.count + begun - mark.begun }

    private static func number(of now: Instant) -> Int64 { now.nanoseconds / Int64(1e9 / bucketsPerSecond) }
}
