/// Who a replica is, over its restarts: `identity` in its data directory.
///
///     starling identity 1
///     id 0123456789abcdef0123456789abcdef
///     incarnation 1764538015
///     check 89abcdef01234567
///
/// A file that is not whole is refused and never guessed: a wrong incarnation would let old news of this replica win.
import Determinism
import Membership
import WireCoding

enum IdentityFile {
    static let name = "identity"

    static func load(from directory: DataDirectory) throws(GossipFailure) -> PersistedIdentity? {
        guard let bytes = try directory.read(name, .identity) else { return nil }
        guard let identity = decode(bytes) else {
            let file = directory.place(of: name)
            throw GossipFailure(
                .identity,
                "\(file) is damaged; restore it from a backup, or remove it: the replica then starts as a new one")
        }
        return identity
    }

    static func save(_ identity: PersistedIdentity, to directory: DataDirectory) throws(GossipFailure) {
        try directory.write(encode(identity), to: name, .identity)
    }

    static func encode(_ identity: PersistedIdentity) -> [UInt8] {
        let text = "starling identity 1\nid \(identity.id)\nincarnation \(identity.incarnation)\n"
        return Array((text + "check \(check(text))\n").utf8)
    }

    static func decode(_ bytes: [UInt8]) -> PersistedIdentity? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.split(separator: " ") }
        guard lines.count == 5, lines[1].count == 2, lines[2].count == 2, let id = ReplicaID(String(lines[1][1])),
            let incarnation = UInt32(lines[2][1]), id.short.isDrawable
        else { return nil }
        let identity = PersistedIdentity(id: id, incarnation: Incarnation(rawValue: incarnation))
        // One way to write it, so one way to read it.
        return encode(identity) == bytes ? identity : nil
    }

    /// Sixteen digits.
    private static func check(_ text: String) -> SessionID {
        SessionID(rawValue: StableHash64.hash(text))
    }
}
