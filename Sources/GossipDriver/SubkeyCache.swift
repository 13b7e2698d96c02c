/// The subkeys of proven sessions, so that a member's packet costs no derivation.
///
/// Bounded without a list of uses: what was used since the last change of generations is young; when the young are many
/// they become the old, and the old of before are forgotten. A forgotten subkey is derived again.
import Crypto
import WireCoding

struct SubkeyCache: Sendable {
    struct Subkey: Sendable {
        let keyID: UInt16
        let epoch: UInt32
        let key: SymmetricKey
    }

    /// Both generations together hold the sessions that a replica keeps, 16,384.
    static let generationMax = 8_192
    /// One in use, and one each for a change of key and of epoch.
    static let subkeysPerSessionMax = 3

    private var young: [SessionID: [Subkey]] = [:]
    private var old: [SessionID: [Subkey]] = [:]

    var sessionCount: Int { young.count + old.count }

    mutating func find(_ session: SessionID, keyID: UInt16, epoch: UInt32) -> SymmetricKey? {
        if let subkeys = young[session] { return Self.find(in: subkeys, keyID, epoch) }
        guard let subkeys = old.removeValue(forKey: session) else { return nil }
        makeYoung(session, subkeys)
        return Self.find(in: subkeys, keyID, epoch)
    }

    /// Follows a `find` that was in vain.
    mutating func keep(_ subkey: Subkey, of session: SessionID) {
        var subkeys = young[session] ?? []
        if subkeys.count >= Self.subkeysPerSessionMax { subkeys.removeFirst() }
        subkeys.append(subkey)
        makeYoung(session, subkeys)
    }

    mutating func removeAll() {
        young.removeAll()
        old.removeAll()
    }

    private mutating func makeYoung(_ session: SessionID, _ subkeys: [Subkey]) {
        if young.count >= Self.generationMax, young[session] == nil {
            old = young
            young = [:]
        }
        young[session] = subkeys
    }

    private static func find(in subkeys: [Subkey], _ keyID: UInt16, _ epoch: UInt32) -> SymmetricKey? {
        for subkey in subkeys where subkey.keyID == keyID && subkey.epoch == epoch { return subkey.key }
        return nil
    }
}
