/// The traffic keys in use, as the machine last named them: packets and streams go by one ring.
import Synchronization
import WireCoding

package final class KeyBoard: Sendable {
    private let board = Mutex<[TrafficKey]>([])

    package init() {}

    func publish(_ keys: [TrafficKey]) { board.withLock { $0 = keys } }

    /// The first seals.
    var keys: [TrafficKey] { board.withLock { $0 } }
}
