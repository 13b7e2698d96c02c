/// What an operator says of this replica's part in the flock.
package import Crypto
package import Membership
package import WireCoding

package struct GossipConfiguration: Sendable {
    /// Where another replica may be found.
    package enum Seed: Hashable, Sendable {
        case address(PeerAddress)
        /// Looked up at every attempt; all of its addresses are tried.
        case name(String, port: UInt16)
    }

    package var clusterName: String
    /// One, or two while the secret is being replaced. The first is offered.
    package var secrets: [SymmetricKey]
    /// Who this replica is, and the keys of the flock.
    package var dataDirectory: String
    /// An address of this machine, `0.0.0.0` or `::`.
    package var host = "0.0.0.0"
    /// UDP and TCP; 0 lets the system choose.
    package var port: UInt16 = 7_946
    /// What others are told, an address or a name; nil: the address from which this machine reaches its seeds.
    package var advertisedHost: String?
    package var advertisedPort: UInt16?
    package var seeds: [Seed] = []
    package var name = ""
    package var httpPort: UInt16 = 0
    package var agreement: UInt32 = 0
    package var versionMajor: UInt8 = 0
    package var versionMinor: UInt8 = 0
    package var timing = MembershipTiming.lan
    package var bounds = MembershipBounds()
    package var gateBounds = GateBounds()

    package init(clusterName: String, secrets: [SymmetricKey], dataDirectory: String) {
        self.clusterName = clusterName
        self.secrets = secrets
        self.dataDirectory = dataDirectory
    }
}
