/// AES-256-GCM over datagrams.
///
/// Each session seals with a subkey of its own and its own counter as the nonce. No two processes share a pair of key and
/// nonce, however many they are and however long a traffic key lives; one key with random 96-bit nonces would reach
/// its limit of 2^32 packets in 25 days at 50 replicas.
import Crypto
package import WireCoding

package struct PacketSeal: PacketSealing {
    /// Packets under one subkey: 2^28 of at most 76 blocks stay below 2^34.3 blocks.
    static let epochBits = 28
    static let keysMax = 64

    private struct Key {
        let id: UInt16
        /// HKDF's first half, which does not depend on the session, ready to take the second half's text.
        let expanding: HMAC<SHA256>
    }

    private struct Sealing {
        let session: SessionID
        let subkey: SubkeyCache.Subkey
    }

    private let salt: [UInt8]
    private let fingerprint: [UInt8]
    private let cookies: HMAC<SHA256>
    private let board: KeyBoard?
    private var keys: [Key] = []
    private var sealing: Sealing?
    private var cache = SubkeyCache()
    /// clear bytes ‖ fingerprint, written anew for every packet
    private var authenticated: [UInt8] = []

    /// `board` learns of every change of the keys, for the streams.
    package init(_ secrets: ClusterSecrets, board: KeyBoard? = nil) {
        self.init(secrets, board: board, cookieSecret: SymmetricKey(size: .bits256))
    }

    init(_ secrets: ClusterSecrets, board: KeyBoard? = nil, cookieSecret: SymmetricKey) {
        salt = secrets.salt
        fingerprint = secrets.fingerprint
        cookies = HMAC(key: cookieSecret)
        self.board = board
        authenticated.reserveCapacity(64)
    }

    package mutating func use(_ keys: [TrafficKey]) {
        self.keys = keys.prefix(Self.keysMax).map { key in
            let extracted = HKDF<SHA256>.extract(inputKeyMaterial: SymmetricKey(key.secret), salt: salt)
            return Key(id: key.id, expanding: HMAC(key: SymmetricKey(data: extracted)))
        }
        sealing = nil
        cache.removeAll()
        board?.publish(keys)
    }

    package mutating func seal(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        guard let key = sealingKey(for: packet), let nonce = Self.nonce(packet.counter) else { return false }
        authenticate(clear)
        guard
            let box = try? AES.GCM.seal(
                UnsafeRawBufferPointer(text), using: key, nonce: nonce, authenticating: authenticated)
        else { return false }
        text.copyBytes(from: box.ciphertext)
        tag.copyBytes(from: box.tag)
        return true
    }

    package mutating func open(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        guard let key = openingKey(for: packet), let nonce = Self.nonce(packet.counter) else { return false }
        authenticate(clear)
        guard let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: UnsafeRawBufferPointer(text), tag: tag),
            let opened = try? AES.GCM.open(box, using: key, authenticating: authenticated)
        else { return false }
        text.copyBytes(from: opened)
        return true
    }

    package func cookie(for address: PeerAddress, slot: UInt32) -> UInt64 {
        var hash = cookies
        withUnsafeTemporaryAllocation(byteCount: 22, alignment: 8) { bytes in
            bytes.storeBytes(of: address.high.bigEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: address.port.bigEndian, toByteOffset: 16, as: UInt16.self)
            bytes.storeBytes(of: slot.bigEndian, toByteOffset: 18, as: UInt32.self)
            hash.update(data: UnsafeRawBufferPointer(bytes))
        }
        // 0 means no cookie.
        return max(1, hash.finalize().prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// The own session seals for every destination, proven or not: its subkey is at hand.
    private mutating func sealingKey(for packet: SealedPacket) -> SymmetricKey? {
        let epoch = Self.epoch(packet.counter)
        if let sealing, sealing.session == packet.session, sealing.subkey.keyID == packet.keyID,
            sealing.subkey.epoch == epoch
        {
            return sealing.subkey.key
        }
        guard let key = derive(packet, epoch) else { return nil }
        sealing = Sealing(
            session: packet.session, subkey: SubkeyCache.Subkey(keyID: packet.keyID, epoch: epoch, key: key))
        return key
    }

    /// Only proven sessions may fill the cache: anybody can invent others.
    private mutating func openingKey(for packet: SealedPacket) -> SymmetricKey? {
        let epoch = Self.epoch(packet.counter)
        guard packet.isProven else { return derive(packet, epoch) }
        if let key = cache.find(packet.session, keyID: packet.keyID, epoch: epoch) { return key }
        guard let key = derive(packet, epoch) else { return nil }
        cache.keep(SubkeyCache.Subkey(keyID: packet.keyID, epoch: epoch, key: key), of: packet.session)
        return key
    }

    /// HKDF's second half (RFC 5869 §2.3) for the one block that is needed: HMAC(extracted, info ‖ 1). A stranger's packet
    /// costs this much before it is known to be one, and the library's own takes twice as long.
    private func derive(_ packet: SealedPacket, _ epoch: UInt32) -> SymmetricKey? {
        guard let key = keys.first(where: { $0.id == packet.keyID }) else { return nil }
        var hash = key.expanding
        withUnsafeTemporaryAllocation(byteCount: Self.label.count + 13, alignment: 8) { info in
            info.copyBytes(from: Self.label)
            let rest = UnsafeMutableRawBufferPointer(rebasing: info[Self.label.count...])
            rest.storeBytes(of: packet.session.rawValue.bigEndian, toByteOffset: 0, as: UInt64.self)
            rest.storeBytes(of: epoch.bigEndian, toByteOffset: 8, as: UInt32.self)
            rest[12] = 1
            hash.update(data: UnsafeRawBufferPointer(info))
        }
        return SymmetricKey(data: hash.finalize())
    }

    private static let label = Array("starling/1 udp".utf8)

    private mutating func authenticate(_ clear: UnsafeRawBufferPointer) {
        authenticated.removeAll(keepingCapacity: true)
        authenticated.append(contentsOf: clear)
        authenticated.append(contentsOf: fingerprint)
    }

    private static func epoch(_ counter: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: counter >> epochBits) }

    /// 4 zero bytes ‖ counter
    static func nonce(_ counter: UInt64) -> AES.GCM.Nonce? {
        withUnsafeTemporaryAllocation(byteCount: 12, alignment: 8) { bytes in
            bytes.storeBytes(of: 0, toByteOffset: 0, as: UInt32.self)
            bytes.storeBytes(of: counter.bigEndian, toByteOffset: 4, as: UInt64.self)
            return try? AES.GCM.Nonce(data: UnsafeRawBufferPointer(bytes))
        }
    }
}
