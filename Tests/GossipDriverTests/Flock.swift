import Crypto
import WireCoding

@testable import GossipDriver

/// Secrets of a flock for tests: cluster `flock`, secret 0, 1, … 31, as in the golden bytes.
enum Flock {
    static let secret = SymmetricKey(data: Array(UInt8(0)...31))
    static let secrets = secrets()

    static func secrets(_ name: String = "flock", _ secrets: [SymmetricKey] = [secret]) -> ClusterSecrets {
        guard let secrets = ClusterSecrets(clusterName: name, secrets: secrets) else { preconditionFailure(name) }
        return secrets
    }

    static func key(_ byte: UInt8) -> SymmetricKey { SymmetricKey(data: Array(repeating: byte, count: 32)) }
}

func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = Array(hexadecimal.utf8).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

extension Array where Element == UInt8 {
    /// With one bit turned.
    func flipped(_ bit: Int) -> [UInt8] {
        var bytes = self
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        return bytes
    }
}
