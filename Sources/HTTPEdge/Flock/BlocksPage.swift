/// Addresses that are blocked for a while, as `/admin/blocks` lists them.
package import ExchangeFlow
import Telemetry

/// What is blocked when a client is: its address, of IPv6 the /64 around it, since its owner has all of them.
package struct BlockedAddress: Equatable, Sendable {
    package let address: IPAddress

    /// Nil for what is no address.
    package init?(_ text: String) {
        guard let address = IPAddress(text) else { return nil }
        self.address = address.limitKey
    }
}

package struct BlocksPage: Equatable, Sendable {
    package struct Row: Equatable, Sendable {
        /// `10.0.0.7`, or `2001:db8::/64`.
        package var address: String
        package var secondsLeft: Int
        /// Name of the replica on which it was ordered.
        package var by: String

        package init(address: String, secondsLeft: Int, by: String) {
            self.address = address
            self.secondsLeft = secondsLeft
            self.by = by
        }
    }

    /// A day: what is to last longer belongs in the configuration of whatever stands before the gateways.
    package static let secondsMax = 86_400

    package var rows: [Row]

    package init(rows: [Row]) { self.rows = rows }

    package var bytes: [UInt8] {
        var json = JSONText()
        json.openObject()
        json.field("object", "list")
        json.key("data")
        json.openArray()
        for row in rows {
            json.openObject()
            json.field("address", row.address)
            json.field("seconds_left", row.secondsLeft)
            json.field("by", row.by)
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
        return json.bytes
    }
}
