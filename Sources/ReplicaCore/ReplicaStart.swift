package import Membership
package import WireCoding

/// What a replica's part in the flock begins with.
package struct ReplicaStart: Sendable {
    package var own: MemberRecord
    /// The last incarnation that was made durable, if the identity is not new.
    package var persisted: Incarnation?
    /// The wall clock where the machines' clock is zero.
    package var unixSecondsAtZero: Int64
    package var hasSeeds: Bool
    /// Where members were at the last stop.
    package var knownAddresses: [PeerAddress]
    package var keyring: Keyring
    package var timing: MembershipTiming
    package var bounds: MembershipBounds
    package var gateBounds: GateBounds
    package var seed: UInt64

    package init(
        own: MemberRecord, persisted: Incarnation? = nil, unixSecondsAtZero: Int64, hasSeeds: Bool,
        knownAddresses: [PeerAddress] = [], keyring: Keyring, timing: MembershipTiming = .lan,
        bounds: MembershipBounds = MembershipBounds(), gateBounds: GateBounds = GateBounds(), seed: UInt64
    ) {
        self.own = own
        self.persisted = persisted
        self.unixSecondsAtZero = unixSecondsAtZero
        self.hasSeeds = hasSeeds
        self.knownAddresses = knownAddresses
        self.keyring = keyring
        self.timing = timing
        self.bounds = bounds
        self.gateBounds = gateBounds
        self.seed = seed
    }
}
