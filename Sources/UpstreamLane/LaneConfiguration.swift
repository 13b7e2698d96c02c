/// What a reload may change about the lane, as one immutable value that loops copy at the start of an exchange.
package import ExchangeFlow

package struct LaneConfiguration: Sendable {
    package var policy = ExchangePolicy()
    package var replicaName: String
    /// Whether answers carry `x-starling-*`.
    package var showsAnswerFields = true
    /// Whether answers name the model as the client did, and not as its worker does.
    package var renamesModels = false
    package var writesAccessLog = true
    package var trustedProxies: TrustedProxies
    /// Origins whose pages may read our answers; `*` for any.
    package var allowedOrigins: [String] = []
    /// Connections kept idle per worker and loop.
    package var idleConnectionsMax = 1_024

    package init(replicaName: String, trustedProxies: TrustedProxies) {
        self.replicaName = replicaName
        self.trustedProxies = trustedProxies
    }
}
