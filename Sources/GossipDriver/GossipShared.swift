/// What the gossip's loop shows to everybody else: views, counts, round trips and events.
import Determinism
import Membership
import NIOCore
import ReplicaCore
import Synchronization
package import WireCoding

/// A traffic key as it is shown: never its bytes.
package struct KeyLine: Hashable, Sendable {
    package let id: UInt16
    package let state: Keyring.State
}

final class GossipShared: Sendable {
    /// Events that a reader may be behind before it misses some [ours].
    static let eventsBehindMax = 1_024
    /// Peers whose round trips are kept [ours].
    static let roundTripsMax = 1_024

    let members: Published<MembersView>
    let flock = Published(FlockView.empty)
    let counters = GossipCounters()
    let trips = Mutex<[ReplicaShortID: RoundTrip]>([:])
    private let readers = Mutex<[UInt64: AsyncStream<GossipEvent>.Continuation]>([:])
    private let numbers = Atomic<UInt64>(0)

    let keyring: Published<[KeyLine]>

    init(_ first: MembersView, _ ring: Keyring) {
        members = Published(first)
        keyring = Published(Self.lines(of: ring))
    }

    static func lines(of ring: Keyring) -> [KeyLine] {
        ring.slots.map { KeyLine(id: $0.entry.id, state: $0.standing) }
    }

    func events() -> AsyncStream<GossipEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: GossipEvent.self, bufferingPolicy: .bufferingOldest(Self.eventsBehindMax))
        let number = numbers.add(1, ordering: .relaxed).newValue
        readers.withLock { $0[number] = continuation }
        continuation.onTermination = { [weak self] _ in
            self?.readers.withLock { _ = $0.removeValue(forKey: number) }
        }
        return stream
    }

    func tell(_ event: GossipEvent) {
        let readers = readers.withLock { $0.isEmpty ? [] : Array($0.values) }
        for reader in readers {
            if case .dropped = reader.yield(event) { counters.add { $0.eventsMissed += 1 } }
        }
    }

    func end() {
        let readers = readers.withLock { readers in
            defer { readers = [:] }
            return Array(readers.values)
        }
        for reader in readers { reader.finish() }
    }

    func learn(_ peer: ReplicaShortID, _ sample: Nanoseconds) {
        trips.withLock { trips in
            if trips[peer] == nil, trips.count >= Self.roundTripsMax { trips.removeAll(keepingCapacity: true) }
            trips[peer, default: RoundTrip()].learn(sample)
        }
    }
}
