/// The flock's traffic keys, over a replica's restarts: `keyring` in its data directory.
///
/// A damaged one stops the start. It could be had from the flock again, but a flock that starts cold would go back to
/// the keys that it has given up.
import WireCoding

enum KeyringFile {
    static let name = "keyring"

    /// What was kept, with the keys of the cluster's secrets: the first seals until others are met, a second only opens.
    static func load(from directory: DataDirectory, _ secrets: ClusterSecrets, wallMilliseconds: UInt64)
        throws(GossipFailure) -> Keyring
    {
        var ring = try read(directory) ?? Keyring()
        for key in secrets.firstTrafficKeys where !ring.entries.contains(where: { $0.id == key.id }) {
            let known = ring.primary == nil ? Keyring(first: key) : Keyring(opening: key)
            ring.merge(known, wallMilliseconds: wallMilliseconds)
        }
        return ring
    }

    private static func read(_ directory: DataDirectory) throws(GossipFailure) -> Keyring? {
        guard let bytes = try directory.read(name, .keyring) else { return nil }
        do throws(KeyringFailure) {
            return try bytes.withUnsafeBytes { bytes in
                Result { () throws(KeyringFailure) in try Keyring(file: bytes) }
            }.get()
        } catch {
            throw GossipFailure(
                .keyring,
                "\(directory.place(of: name)) is damaged (\(error)); restore it from a backup, or remove it while "
                    + "other replicas run: this one then gets the keys from them")
        }
    }

    static func save(_ ring: Keyring, to directory: DataDirectory) throws(GossipFailure) {
        var bytes: [UInt8] = []
        ring.encodeFile(into: &bytes)
        try directory.write(bytes, to: name, .keyring)
    }
}
