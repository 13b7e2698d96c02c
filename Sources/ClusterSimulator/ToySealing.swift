import Determinism
package import WireCoding

/// A cipher for simulations: the bytes of the real one and its refusals, at the price of a hash. It hides nothing.
///
/// The tag is keyed hashes of the clear bytes, the text and the fingerprint of the cluster, so a wrong key, another
/// cluster, a changed counter and a flipped bit are all found. The text is left readable: traces want to read it.
package struct ToySealing: PacketSealing {
    private let fingerprint: UInt64
    private let cookieSecret: UInt64
    /// Id and what the secret comes to.
    private var keys: [(id: UInt16, secret: UInt64)] = []

    /// `cookieSecret` is drawn anew at every start, as the real one is.
    package init(cluster: String, cookieSecret: UInt64) {
        fingerprint = StableHash64.hash(cluster)
        self.cookieSecret = cookieSecret
    }

    package mutating func use(_ keys: [TrafficKey]) {
        self.keys = keys.map { key in (key.id, key.secret.withBytes { StableHash64.hash($0, seed: fingerprint) }) }
    }

    package mutating func seal(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        guard let halves = halves(clear: clear, text: UnsafeRawBufferPointer(text), for: packet) else { return false }
        tag.storeBytes(of: halves.first, as: UInt64.self)
        tag.storeBytes(of: halves.second, toByteOffset: 8, as: UInt64.self)
        return true
    }

    package mutating func open(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        guard let halves = halves(clear: clear, text: UnsafeRawBufferPointer(text), for: packet) else { return false }
        return tag.loadUnaligned(as: UInt64.self) == halves.first
            && tag.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == halves.second
    }

    package func cookie(for address: PeerAddress, slot: UInt32) -> UInt64 {
        var hash = StableHash64(seed: cookieSecret)
        hash.update(address.high)
        hash.update(address.low)
        hash.update(UInt64(address.port) << 32 | UInt64(slot))
        return hash.digest()
    }

    private func halves(
        clear: UnsafeRawBufferPointer, text: UnsafeRawBufferPointer, for packet: SealedPacket
    ) -> (first: UInt64, second: UInt64)? {
        guard let key = keys.first(where: { $0.id == packet.keyID }) else { return nil }
        // Session and counter are in the clear bytes as well; here they stand for subkey and nonce.
        let nonce = key.secret ^ Self.mixed(packet.session.rawValue, packet.counter)
        let first = Self.mixed(text, Self.mixed(clear, nonce))
        return (first, Self.mixed(fingerprint, first ^ key.secret))
    }

    /// Each step can be undone, so two inputs that differ in one word never end alike.
    private static func mixed(_ state: UInt64, _ word: UInt64) -> UInt64 {
        let product = (state ^ word) &* 0x9e37_79b9_7f4a_7c15
        return product ^ product >> 32
    }

    private static func mixed(_ bytes: UnsafeRawBufferPointer, _ start: UInt64) -> UInt64 {
        var state = mixed(start, UInt64(bytes.count))
        var offset = 0
        while bytes.count - offset >= 8 {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            state = mixed(state, UInt64(littleEndian: word))
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.count {
            rest = rest << 8 | UInt64(bytes[offset])
            offset += 1
        }
        return mixed(state, rest)
    }
}
