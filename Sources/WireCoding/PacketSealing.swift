/// The cipher behind packets. The real one is in the driver; the simulator's costs the same bytes and fails on the same
/// mistakes.
package protocol PacketSealing: Sendable {
    /// The keys that are not gone. The first seals.
    mutating func use(_ keys: [TrafficKey])

    /// Enciphers `text` in place and fills `tag` (16 bytes). `clear` is authenticated besides. False: no such key.
    mutating func seal(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool

    /// Deciphers `text` in place. False when the packet is not authentic; `text` is then of no use.
    mutating func open(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool

    /// A number that only this process can make of an address and a time slot, and that changes at every start.
    func cookie(for address: PeerAddress, slot: UInt32) -> UInt64
}

/// What a packet's key and nonce are made of.
package struct SealedPacket: Hashable, Sendable {
    package var keyID: UInt16
    package var session: SessionID
    package var counter: UInt64
    /// Of a session that may keep its subkeys.
    package var isProven: Bool

    package init(keyID: UInt16, session: SessionID, counter: UInt64, isProven: Bool) {
        self.keyID = keyID
        self.session = session
        self.counter = counter
        self.isProven = isProven
    }
}

/// A key of the flock's traffic.
package struct TrafficKey: Sendable {
    package let id: UInt16
    package let secret: TrafficSecret

    package init(id: UInt16, secret: TrafficSecret) {
        self.id = id
        self.secret = secret
    }
}

/// 32 secret bytes. Whoever prints them sees ‹redacted›.
package struct TrafficSecret: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Nil unless there are 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        self.words = words
    }

    package func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(of: words, body)
    }

    package static func == (left: TrafficSecret, right: TrafficSecret) -> Bool {
        (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1) | (left.words.2 ^ right.words.2)
            | (left.words.3 ^ right.words.3) == 0
    }

    package func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }

    package var description: String { "‹redacted›" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
