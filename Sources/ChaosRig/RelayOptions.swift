/// Which replicas stand behind a relay, and how much it may hold.
package struct RelayOptions: Sendable {
    package struct Front: Equatable, Sendable {
        package var name: String
        /// Where others reach the replica through the relay; port 0 lets the system choose.
        package var front: Endpoint
        /// Where the replica itself listens and sends from; nil until a control order tells it.
        package var bind: Endpoint?

        package init(name: String, front: Endpoint, bind: Endpoint?) {
            self.name = name
            self.front = front
            self.bind = bind
        }
    }

    package struct Endpoint: Equatable, Sendable {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        /// `127.0.0.11:7946` or `[::1]:7946`.
        package init?(_ text: String) {
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
                return nil
            }
            var host = text[..<colon]
            if host.hasPrefix("["), host.hasSuffix("]") {
                host = host.dropFirst().dropLast()
            } else if host.contains(":") {
                return nil
            }
            guard !host.isEmpty else { return nil }
            self.init(host: String(host), port: Int(port))
        }

        package var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    package static let frontsMax = 64

    package var fronts: [Front]
    package var seed: UInt64
    package var controlPort = 0
    /// Packets on their way: delayed, held or queued.
    package var heldPacketsMax = 65_536
    package var heldBytesMax = 64 << 20
    package var streamsMax = 1_024
    /// Of one direction of one stream, before its writer has to wait.
    package var streamBytesMax = 256 << 10
    package var recordedPacketsMax = 65_536
    package var recordedBytesMax = 64 << 20

    package init(fronts: [Front], seed: UInt64) {
        self.fronts = fronts
        self.seed = seed
    }
}

package struct RelayFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}
