/// One number for "we compute owners from the same members in the same way": replicas compare it before they trust each
/// other's placement.
import Determinism

package struct RingVersion: Hashable, Sendable {
    /// Raised whenever `Rendezvous` or `BoundedLoad` would give another answer for the same members.
    package static let algorithm: UInt64 = 1

    package struct Member: Hashable, Sendable {
        package let key: UInt64
        package let weight: Double

        package init(key: UInt64, weight: Double) {
            self.key = key
            self.weight = weight
        }
    }

    package let rawValue: UInt64

    /// The order in which members are given does not matter.
    package init(members: some Sequence<Member>) {
        var hash = StableHash64(seed: Self.algorithm)
        for member in members.sorted(by: { ($0.key, $0.weight) < ($1.key, $1.weight) }) {
            hash.update(member.key)
            hash.update(member.weight.bitPattern)
        }
        rawValue = hash.digest()
    }
}
