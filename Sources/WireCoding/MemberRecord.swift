/// What a replica says of itself, and others pass on.
package struct MemberRecord: Hashable, Sendable {
    package var id: ReplicaID
    package var session: SessionID
    package var incarnation: Incarnation
    package var status: MemberStatus
    package var flags: MemberFlags
    package var protocolMin: UInt8
    package var protocolMax: UInt8
    /// Of the settings that all replicas must agree on; another one is shown, not refused.
    package var agreement: UInt32
    /// Traffic keys that it can open, the one that it seals with first.
    package var keyIDs: KeyIDs
    package var httpPort: UInt16
    /// Of its gossip.
    package var address: PeerAddress
    package var versionMajor: UInt8
    package var versionMinor: UInt8
    package var name: ShortText

    package init(
        id: ReplicaID, session: SessionID, incarnation: Incarnation, status: MemberStatus = .alive,
        flags: MemberFlags = [], protocolMin: UInt8 = 1, protocolMax: UInt8 = 1, agreement: UInt32 = 0,
        keyIDs: KeyIDs = KeyIDs(), httpPort: UInt16 = 0, address: PeerAddress, versionMajor: UInt8 = 0,
        versionMinor: UInt8 = 0, name: ShortText = ShortText()
    ) {
        self.id = id
        self.session = session
        self.incarnation = incarnation
        self.status = status
        self.flags = flags
        self.protocolMin = protocolMin
        self.protocolMax = protocolMax
        self.agreement = agreement
        self.keyIDs = keyIDs
        self.httpPort = httpPort
        self.address = address
        self.versionMajor = versionMajor
        self.versionMinor = versionMinor
        self.name = name
    }
}

package struct MemberFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Serves traffic and monitors workers.
    package static let ready = MemberFlags(rawValue: 1)
    /// Ready for some seconds, or founded alone: may be an authority.
    package static let settled = MemberFlags(rawValue: 2)
    package static let draining = MemberFlags(rawValue: 4)
    package static let diskFull = MemberFlags(rawValue: 8)
    package static let stale = MemberFlags(rawValue: 16)
    /// It measures heavy loss.
    package static let lossy = MemberFlags(rawValue: 32)
}

/// Up to four traffic keys that a replica holds. 0 is no key.
package struct KeyIDs: Hashable, Sendable {
    package var primary: UInt16
    package var second: UInt16
    package var third: UInt16
    package var fourth: UInt16

    package init(_ primary: UInt16 = 0, _ second: UInt16 = 0, _ third: UInt16 = 0, _ fourth: UInt16 = 0) {
        self.primary = primary
        self.second = second
        self.third = third
        self.fourth = fourth
    }

    package func contains(_ id: UInt16) -> Bool {
        id != 0 && (id == primary || id == second || id == third || id == fourth)
    }
}
