/// What the lane's connection side is told at start, as one immutable value shared by all connections.
package import ExchangeFlow

package struct LaneSettings: Sendable {
    package let limits: ConnectionLimits
    /// Names and values together; beyond it a head is answered 431. Below the decoder's own 80 KiB, which cannot
    /// explain itself.
    package let headerBytesMax: Int
    package let trustedHosts: TrustedHosts

    package init(limits: ConnectionLimits, headerBytesMax: Int, trustedHosts: TrustedHosts = .any) {
        self.limits = limits
        self.headerBytesMax = headerBytesMax
        self.trustedHosts = trustedHosts
    }
}
