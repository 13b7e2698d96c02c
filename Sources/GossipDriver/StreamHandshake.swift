/// How two replicas meet on TCP: ephemeral X25519 under a key that both hold, 56 bytes one way and 48 back.
///
/// What was recorded stays closed when that key leaks later. A stranger's opening costs one hash and is answered by
/// silence; a replayed one is answered, and gets no further, since whoever replays it cannot seal a frame.
import Crypto
import WireCoding

enum StreamHandshake {
    static let openingBytes = 56
    static let answerBytes = 48
    static let version: UInt8 = 1

    private static let magic = Array("STRL".utf8)
    /// magic ‖ version ‖ purpose ‖ key id ‖ ephemeral public key
    private static let openingSignedBytes = 40
    private static let publicKeyBytes = 32
    private static let macBytes = 16

    /// Who dials: says its opening, then makes keys of the answer.
    struct Dialler: Sendable {
        let opening: [UInt8]
        private let key: StreamKey
        private let ephemeral: Curve25519.KeyAgreement.PrivateKey
        private let salt: [UInt8]

        init(
            _ purpose: StreamPurpose, key: StreamKey, salt: [UInt8],
            ephemeral: Curve25519.KeyAgreement.PrivateKey = .init()
        ) {
            var opening = magic + [version, purpose.rawValue, UInt8(key.id >> 8), UInt8(truncatingIfNeeded: key.id)]
            opening += ephemeral.publicKey.rawRepresentation
            opening += mac([opening, salt], key)
            self.opening = opening
            self.key = key
            self.ephemeral = ephemeral
            self.salt = salt
        }

        /// Nil when the answer was not made with our key for our opening.
        func ciphers(answer: [UInt8]) -> StreamCiphers? {
            guard answer.count == answerBytes else { return nil }
            let theirs = Array(answer.prefix(publicKeyBytes))
            guard isMAC(answer.suffix(macBytes), of: [opening, theirs, salt], key) else { return nil }
            let secret = sharedSecret(ephemeral, theirs)
            return secret.map { StreamCiphers(secret: $0, key: key, opening: opening, answer: answer, isDialler: true) }
        }
    }

    struct Answer: Sendable {
        let bytes: [UInt8]
        let purpose: StreamPurpose
        let ciphers: StreamCiphers
    }

    /// Who listens. Nil is answered by silence; nothing was computed on the curve then.
    ///
    /// `keys` names those that may open a stream of this purpose.
    static func answer(
        to opening: [UInt8], keys: (StreamPurpose, _ id: UInt16) -> [StreamKey], salt: [UInt8],
        ephemeral: @autoclosure () -> Curve25519.KeyAgreement.PrivateKey = .init()
    ) -> Answer? {
        guard opening.count == openingBytes, opening.starts(with: magic), opening[4] == version,
            let purpose = StreamPurpose(rawValue: opening[5])
        else { return nil }
        let id = UInt16(opening[6]) << 8 | UInt16(opening[7])
        let signed = Array(opening.prefix(openingSignedBytes))
        let fitting = keys(purpose, id).first { key in
            key.id == id && isMAC(opening.suffix(macBytes), of: [signed, salt], key)
        }
        guard let key = fitting else { return nil }
        let ephemeral = ephemeral()
        guard let secret = sharedSecret(ephemeral, Array(signed.suffix(publicKeyBytes))) else { return nil }
        var bytes = Array(ephemeral.publicKey.rawRepresentation)
        bytes += mac([opening, bytes, salt], key)
        return Answer(
            bytes: bytes, purpose: purpose,
            ciphers: StreamCiphers(secret: secret, key: key, opening: opening, answer: bytes, isDialler: false))
    }

    /// Nil for a public key of small order, whose shared secret everybody knows.
    private static func sharedSecret(
        _ own: Curve25519.KeyAgreement.PrivateKey, _ theirs: [UInt8]
    ) -> SharedSecret? {
        guard let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: theirs) else { return nil }
        // RFC 7748 §6.1 has us look ourselves: not every library does.
        guard let secret = try? own.sharedSecretFromKeyAgreement(with: key),
            secret.withUnsafeBytes({ $0.contains { $0 != 0 } })
        else { return nil }
        return secret
    }

    private static func mac(_ parts: [[UInt8]], _ key: StreamKey) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(parts.joined()), using: key.key).prefix(macBytes))
    }

    /// In a time that does not depend on where the bytes differ.
    private static func isMAC(_ bytes: ArraySlice<UInt8>, of parts: [[UInt8]], _ key: StreamKey) -> Bool {
        let expected = mac(parts, key)
        guard bytes.count == expected.count else { return false }
        return zip(bytes, expected).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// Both directions of a stream after its handshake.
struct StreamCiphers: Sendable {
    var sealing: StreamCipher
    var opening: StreamCipher

    fileprivate init(secret: SharedSecret, key: StreamKey, opening: [UInt8], answer: [UInt8], isDialler: Bool) {
        let messages = Array(SHA256.hash(data: opening + answer))
        let directions = (0...1).map { (direction: UInt8) in
            StreamCipher(
                secret.hkdfDerivedSymmetricKey(
                    using: SHA256.self, salt: key.key.withUnsafeBytes { Array($0) },
                    sharedInfo: Array("starling/1 stream".utf8) + messages + [direction], outputByteCount: 32))
        }
        sealing = directions[isDialler ? 0 : 1]
        self.opening = directions[isDialler ? 1 : 0]
    }
}
