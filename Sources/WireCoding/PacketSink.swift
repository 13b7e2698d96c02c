package import Determinism

/// Where a machine's packets go: whoever conforms seals, counts and sends them.
package protocol PacketSink {
    /// Sends one packet with these messages. Returns its counter, or nil when it could not be sent.
    ///
    /// `messages` are at most `Datagram.messageBytesMax` bytes.
    mutating func send(
        _ messages: borrowing [UInt8], header: PacketHeader, to destination: PacketDestination, receiptWanted: Bool,
        at now: Instant
    ) -> UInt64?
}

package struct PacketDestination: Hashable, Sendable {
    package var short: ReplicaShortID
    /// As far as the sender knows it.
    package var session: SessionID
    package var address: PeerAddress

    package init(short: ReplicaShortID, session: SessionID, address: PeerAddress) {
        self.short = short
        self.session = session
        self.address = address
    }
}

/// What every sealed packet says before its messages: 28 bytes.
package struct PacketHeader: Hashable, Sendable {
    package var destination: ReplicaShortID
    package var source: ReplicaShortID
    package var incarnation: Incarnation
    /// Of the sender's view of the members.
    package var membershipDigest: UInt64
    package var keyLogDigest: UInt64

    package init(
        destination: ReplicaShortID, source: ReplicaShortID, incarnation: Incarnation, membershipDigest: UInt64,
        keyLogDigest: UInt64 = 0
    ) {
        self.destination = destination
        self.source = source
        self.incarnation = incarnation
        self.membershipDigest = membershipDigest
        self.keyLogDigest = keyLogDigest
    }
}

/// A packet that was opened, proven and decoded whole.
package struct ReceivedPacket: Hashable, Sendable {
    package var from: PeerAddress
    package var session: SessionID
    package var counter: UInt64
    package var wantsReceipt: Bool
    package var header: PacketHeader
    package var messages: [Message]

    package init(
        from: PeerAddress, session: SessionID, counter: UInt64, wantsReceipt: Bool, header: PacketHeader,
        messages: [Message]
    ) {
        self.from = from
        self.session = session
        self.counter = counter
        self.wantsReceipt = wantsReceipt
        self.header = header
        self.messages = messages
    }
}

/// Sizes of one datagram.
package enum Datagram {
    /// Bytes of UDP payload. IPv6's guaranteed 1,280 less IPv6 and UDP headers (RFC 8200, RFC 768) is 1,232; less slack
    /// for tunnels.
    package static let bytesMax = 1_200
    /// version and type, flags, key id, session, counter
    package static let clearHeaderBytes = 20
    package static let helloBytes = 16
    package static let tagBytes = 16
    package static let innerHeaderBytes = 28
    /// A packet that says nothing.
    package static let bytesMin = clearHeaderBytes + innerHeaderBytes + tagBytes
    /// What is left for messages, also in a hello.
    package static let messageBytesMax =
        bytesMax - clearHeaderBytes - helloBytes - tagBytes - innerHeaderBytes
}
