/// What an operator may ask of this replica's part in the flock. Assembly plugs whoever gossips; without gossip there is no
/// desk, and the routes say how to get one.
///
/// Answers are pages: plain values with the names that stand in the JSON, so this room knows nothing of machines.
package import Settings

package protocol FlockDesk: Sendable {
    /// All members that are known, this replica first.
    func members() async -> [MemberRow]

    func status() async -> FlockStatus

    /// Knocks at these places as well. Returns at once; whether somebody opened is seen in the members.
    func join(_ seeds: [SeedAddress]) async throws(FlockRefusal)

    /// This replica says goodbye, ends what runs, and stops.
    func leave() async throws(FlockRefusal)

    /// Removes the process of a member that will not come back. `member`: an id, the first digits of one, or a name.
    /// Returns who it was.
    func forceLeave(_ member: String, prune: Bool) async throws(FlockRefusal) -> MemberRow

    /// Whom each member cannot reach now. `isLocal`: this replica alone is asked; else every member is, with `authorization`, the
    /// field of whoever asks.
    func reachability(isLocal: Bool, authorization: String?) async -> ReachabilityPage

    func keyring() async -> KeyringPage

    /// The keyring after that.
    func tell(_ order: KeyringOrder) async throws(FlockRefusal) -> KeyringPage

    /// Addresses that are blocked for a while, on all replicas.
    func blocks() async -> BlocksPage

    /// Nobody serves this address for so long; zero lifts it. Returns what is blocked after that.
    func block(_ address: BlockedAddress, seconds: Int) async throws(FlockRefusal) -> BlocksPage

    /// What happens from now on. A slow reader misses the oldest and sees it by the numbers.
    func events() async -> AsyncStream<FlockEvent>
}

package enum KeyringOrder: Equatable, Sendable {
    /// Makes a key and hands it out; nobody seals with it yet.
    case install
    /// Everybody seals with this one.
    case use(UInt16)
    /// Nobody opens packets of this one any more; `now`: members that are away have to join again.
    case remove(UInt16, now: Bool)
}

/// Why the flock did not do as it was told.
package struct FlockRefusal: Error, Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// There is no member, or no key, of that name.
        case unknown
        /// More than one is meant, or not one of the words that are known.
        case unclear
        /// Not in this state of things.
        case conflict
    }

    package let kind: Kind
    /// Stable: `member_not_found`, `key_in_use`.
    package let code: String
    package let sentence: String

    package init(_ kind: Kind, code: String, _ sentence: String) {
        self.kind = kind
        self.code = code
        self.sentence = sentence
    }
}
