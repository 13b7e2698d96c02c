/// The first admin key, derived and never stored: whoever holds the cluster's secret file can name it, on any replica.
///
/// key id and secret are HMAC-SHA256 of a fixed text under the cluster secret, so the key is the same after a restart
/// and on every replica of the flock, and a new secret file retires it.
import Crypto
package import KeyReplication

package struct BootstrapKey: Sendable {
    /// `sk-starling-<12 hex>-<48 hex>`: shown to people once, by `starling keys bootstrap`.
    package let text: String
    let keyID: KeyID
    let digest: SecretDigest

    package init(_ secret: ClusterSecret) {
        let name = Self.derive("starling bootstrap admin key: id, version 1", secret)
        let body = Self.derive("starling bootstrap admin key: secret, version 1", secret)
        let id = String(ClusterSecret.hexadecimal(name).prefix(12))
        let words = String(ClusterSecret.hexadecimal(body).prefix(48))
        text = "sk-starling-\(id)-\(words)"
        keyID = KeyID(rawValue: id)
        digest = Self.digest(of: words)
    }

    /// SHA-256: keys are long and random, so a slow hash would protect nothing.
    package static func digest(of words: some StringProtocol) -> SecretDigest {
        var hash = SHA256()
        var words = String(words)
        words.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return SecretDigest(Array(hash.finalize()))
    }

    private static func derive(_ text: String, _ secret: ClusterSecret) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: secret.key))
    }
}
