/// How replicas find each other. Off unless an operator names an address to listen on or another replica: a gateway that
/// stands alone opens no port that nobody asked for.
package struct GossipSettings: Equatable, Sendable {
    package static let bindDefault = SocketName(host: "0.0.0.0", port: 7946)
    package static let seedsMax = 64

    /// How far apart the replicas are: it scales every duration of the protocol, so all must say the same.
    package enum Profile: String, CaseIterable, Sendable { case lan, wan }

    package let isEnabled: Bool
    /// UDP and TCP; port 0 lets the system choose.
    package let bind: SocketName
    /// What others are told; nil: what they see packets come from.
    package let advertise: SocketName?
    package let seeds: [SeedAddress]
    package let profile: Profile
    /// Of UDP sent, headers of IP included.
    package let bytesPerSecond: Int

    init(_ section: SectionReader) {
        var section = section
        let bind = section.text("bind", default: "", rule: .optionalBind)
        let advertise = section.text("advertise", default: "", rule: .optionalEndpoint)
        seeds = section.seeds("seeds", countMax: Self.seedsMax)
        profile = section.choice("profile", default: .lan)
        bytesPerSecond = section.wholeNumber("bytes_per_second", default: 125_000, in: 10_000...125_000_000)
        section.finish()
        self.bind = SocketName(bind) ?? Self.bindDefault
        self.advertise = SocketName(advertise)
        isEnabled = !bind.isEmpty || !seeds.isEmpty
        if let told = self.advertise, told.port == 0 || told.isWildcard {
            section.report.fault(
                at: section.place(of: "advertise"),
                "gossip.advertise is \(SettingsText.quoted(advertise)), which nobody can send to; name the address and port "
                    + "at which other replicas reach this one")
        }
        if !isEnabled, self.advertise != nil {
            section.report.warn(
                at: section.place(of: "advertise"),
                "gossip.advertise means nothing while gossip is off; give gossip.bind or gossip.seeds")
        }
    }
}

/// A host and a port as an operator writes them, the host without brackets.
package struct SocketName: Equatable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Nil unless the text is `host:port`, with brackets around an IPv6 address.
    init?(_ text: String) {
        guard let parts = TextRule.hostAndPort(text) else { return nil }
        let isBracketed = parts.host.hasPrefix("[")
        self.init(
            host: isBracketed ? String(parts.host.dropFirst().dropLast()) : parts.host, port: UInt16(parts.port))
    }

    /// Every address of this machine, and none that another could use.
    package var isWildcard: Bool { host == "0.0.0.0" || host.utf8.allSatisfy { $0 == 58 || $0 == 48 } }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
