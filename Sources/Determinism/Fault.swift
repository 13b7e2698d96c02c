/// Our own rule was broken. The process goes on where that is safe, and the count is a metric: it must stay zero.
///
/// `Fault.report` names the rule (`L4`, `M2`, …) so that the page of the room tells what was promised.
import Synchronization

package enum Fault {
    private static let total = Atomic<Int>(0)
    private static let latest = Mutex<String>("")

    /// Faults since start. A test that ends with another number than it began with has found a bug.
    package static var count: Int { total.load(ordering: .relaxed) }
    /// The sentence of the latest fault, for logs and `/metrics`.
    package static var lastSentence: String { latest.withLock { $0 } }

    package static func report(_ sentence: String) {
        total.add(1, ordering: .relaxed)
        latest.withLock { $0 = sentence }
    }
}
