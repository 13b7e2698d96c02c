/// Reads a secret from a file once, and refuses a file that others on the machine may read: a key in a file of mode
/// 0644 is not a secret any more, and the moment to say so is before it is used.
enum SecretFile {
    static let bytesMax = 4096

    struct Failure: Error {
        /// Stands behind the key's name.
        let sentence: String
    }

    static func read(_ path: String) throws(Failure) -> String {
        let bytes: [UInt8]
        do throws(SmallFile.Failure) {
            bytes = try SmallFile.read(path, bytesMax: bytesMax) { mode in
                mode & 0o077 == 0
                    ? nil : "\(SettingsText.quoted(path)) may be read by others; run: chmod 600 \(path)"
            }
        } catch {
            throw Failure(sentence: error.sentence)
        }
        var text = String(decoding: bytes, as: UTF8.self)
        while let last = text.unicodeScalars.last, last == "\n" || last == "\r" || last == " " {
            text.unicodeScalars.removeLast()
        }
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw Failure(sentence: "\(SettingsText.quoted(path)) must hold one line of visible ASCII")
        }
        return text
    }
}
