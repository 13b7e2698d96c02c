/// Which addresses are blocked, as the lane asks it: an immutable value and one look into a table, however many there are.
package import Determinism

package struct BlockedAddresses: Sendable {
    package static let none = BlockedAddresses([:])

    /// When each block ends.
    private let endings: [AddressPrefix: Instant]

    init(_ endings: [AddressPrefix: Instant]) { self.endings = endings }

    package var isEmpty: Bool { endings.isEmpty }
    package var count: Int { endings.count }

    /// The halves of an IPv6 address, or of an IPv4 one mapped into it. A block ends by itself, without a new value.
    package func isBlocked(high: UInt64, low: UInt64, at now: Instant) -> Bool {
        guard !endings.isEmpty, let ends = endings[AddressPrefix(around: high, low)] else { return false }
        return now < ends
    }
}
