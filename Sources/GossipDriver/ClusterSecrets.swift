/// What is made of the cluster's name and its secret: two clusters with one secret and different names share no key.
///
/// The join key is apart from the traffic keys: after these have been replaced, a newcomer knows nothing but the secret,
/// and must still be able to knock.
package import Crypto
package import WireCoding

package struct ClusterSecrets: Sendable {
    /// While a secret is being replaced there are two: the first is offered, both are accepted.
    package static let secretsMax = 2
    package static let nameBytesMax = 255

    /// 32 bytes.
    let salt: [UInt8]
    /// 8 bytes, authenticated with every packet.
    let fingerprint: [UInt8]
    /// The first is offered, all are accepted.
    let joinKeys: [StreamKey]
    /// The keys with which replicas that have never met understand each other. The first seals.
    package let firstTrafficKeys: [TrafficKey]

    /// Nil unless there are one or two secrets, and a name of at most 255 bytes.
    package init?(clusterName: String, secrets: [SymmetricKey]) {
        let name = Array(clusterName.utf8)
        guard name.count <= Self.nameBytesMax, (1...Self.secretsMax).contains(secrets.count) else { return nil }
        let salt = Array(SHA256.hash(data: Array("starling/1 cluster".utf8) + [UInt8(name.count)] + name))
        self.salt = salt
        fingerprint = Array(salt.prefix(8))
        joinKeys = secrets.map { secret in
            let key = Self.derive(secret, salt: salt, "starling/1 join")
            return StreamKey(id: Self.id(of: key), key: key)
        }
        firstTrafficKeys = secrets.compactMap { secret in
            let key = Self.derive(secret, salt: salt, "starling/1 traffic 0")
            return key.withUnsafeBytes(TrafficSecret.init).map { TrafficKey(id: Self.id(of: key), secret: $0) }
        }
    }

    /// A new traffic key, to be drawn again when its id is taken.
    package static func drawTrafficKey() -> TrafficKey {
        let key = SymmetricKey(size: .bits256)
        guard let secret = key.withUnsafeBytes(TrafficSecret.init) else { preconditionFailure("256 bits are 32 bytes") }
        return TrafficKey(id: id(of: key), secret: secret)
    }

    /// The key that opens streams between those who share this traffic key.
    func streamKey(of traffic: TrafficKey) -> StreamKey {
        StreamKey(id: traffic.id, key: Self.derive(SymmetricKey(traffic.secret), salt: salt, "starling/1 tcp"))
    }

    /// The keys that may open a stream of this purpose.
    func streamKeys(_ purpose: StreamPurpose, id: UInt16, among traffic: [TrafficKey]) -> [StreamKey] {
        switch purpose {
        case .join: joinKeys
        case .peer: traffic.filter { $0.id == id }.map(streamKey)
        }
    }

    /// The first two bytes of its SHA-256. 0 names no key, so a key of that id is called 1.
    static func id(of key: SymmetricKey) -> UInt16 {
        let hash = key.withUnsafeBytes { SHA256.hash(data: $0) }
        return max(1, hash.prefix(2).reduce(0) { $0 << 8 | UInt16($1) })
    }

    private static func derive(_ secret: SymmetricKey, salt: [UInt8], _ label: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret, salt: salt, info: Array(label.utf8),
            outputByteCount: SymmetricKeySize.bits256.bitCount / 8)
    }
}

/// A secret that both ends of a stream hold before it is opened.
struct StreamKey: Sendable {
    let id: UInt16
    let key: SymmetricKey
}

extension SymmetricKey {
    init(_ secret: TrafficSecret) { self = secret.withBytes { SymmetricKey(data: $0) } }
}
