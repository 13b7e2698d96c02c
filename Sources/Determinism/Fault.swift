/// Our own rule was broken. The process goes on where that is safe, and the count is a metric: it must stay zero.
///
/// `Fault.report` names the rule (`L4`, `M2`, …) so that the page of the room tells what was promised.
import Synchronization

package enum Fault {
    /// What a stretch of code reported, for tests that run beside others.
    private final class Collector: Sendable {
        let sentences = Mutex<[String]>([])
    }

    private static let total = Atomic<Int>(0)
    @TaskLocal private static var collector: Collector?

    /// Faults since start.
    package static var count: Int { total.load(ordering: .relaxed) }

    package static func report(_ sentence: String) {
        if let collector { return collector.sentences.withLock { $0.append(sentence) } }
        total.add(1, ordering: .relaxed)
    }

    /// Runs `body` and returns what it reported, which then does not count as the process's faults.
    package static func collected(_ body: () throws -> Void) rethrows -> [String] {
        let collector = Collector()
        try $collector.withValue(collector, operation: body)
        return collector.sentences.withLock { $0 }
    }
}
