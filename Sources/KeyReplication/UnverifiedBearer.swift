/// A credential as it came: its shape was understood, nothing of it is believed.
package struct UnverifiedBearer: Sendable {
    package let keyID: KeyID
    package let digest: SecretDigest

    package init(keyID: KeyID, digest: SecretDigest) {
        self.keyID = keyID
        self.digest = digest
    }

    /// The two parts of `sk-starling-<key id>-<secret>`, before the secret is hashed.
    package struct Parts: Equatable, Sendable {
        package let keyID: KeyID
        package let secret: Substring

        static let prefix = "sk-starling-"
        static let keyIDBytes = 12
        /// Secrets of ours have 48; a bound keeps a hash from being asked of a megabyte.
        static let secretBytesMax = 128

        /// Nil for what is no key of ours.
        package init?(_ text: String) {
            let bytes = text.utf8
            guard bytes.starts(with: Self.prefix.utf8),
                let idStart = bytes.index(
                    bytes.startIndex, offsetBy: Self.prefix.utf8.count, limitedBy: bytes.endIndex),
                let idEnd = bytes.index(idStart, offsetBy: Self.keyIDBytes, limitedBy: bytes.endIndex),
                idEnd < bytes.endIndex, bytes[idEnd] == UInt8(ascii: "-")
            else { return nil }
            let secretStart = bytes.index(after: idEnd)
            let secretBytes = bytes.distance(from: secretStart, to: bytes.endIndex)
            guard (1...Self.secretBytesMax).contains(secretBytes),
                bytes[idStart...].allSatisfy({ (33...126).contains($0) })
            else { return nil }
            keyID = KeyID(rawValue: String(text[idStart..<idEnd]))
            secret = text[secretStart...]
        }
    }

    /// The credential in an `Authorization` field's value: what stands behind `Bearer`, whose case does not matter
    /// (RFC 9110, 11.1). Nil for another scheme or nothing behind it.
    package static func credential(inField value: String) -> Substring? {
        let bytes = value.utf8
        let scheme = "bearer"
        guard let end = bytes.index(bytes.startIndex, offsetBy: scheme.utf8.count, limitedBy: bytes.endIndex),
            zip(bytes, scheme.utf8).allSatisfy({ $0 | 0x20 == $1 }), end < bytes.endIndex,
            bytes[end] == UInt8(ascii: " ")
        else { return nil }
        var credential = value[bytes.index(after: end)...]
        while credential.utf8.first == UInt8(ascii: " ") { credential = credential.dropFirst() }
        while credential.utf8.last == UInt8(ascii: " ") { credential = credential.dropLast() }
        return credential.isEmpty ? nil : credential
    }
}
