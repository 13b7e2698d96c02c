/// A loop's counts behind their lock: the loop writes once per exchange, `/metrics` copies.
import Synchronization

package final class LockedTally: Sendable {
    private let counts = Mutex(LoopTally())

    func withLock<Result>(_ body: (inout LoopTally) -> Result) -> Result { counts.withLock { body(&$0) } }

    package var snapshot: LoopTally { counts.withLock { $0 } }
}
