/// The keys in force, as one immutable value that every event loop reads without a lock.
///
/// `AuthenticatedTenant` can be made in this file only: who holds one was believed by a table.

/// Who asks, proved.
package struct AuthenticatedTenant: Equatable, Sendable {
    package let tenant: TenantID
    package let key: KeyID
    package let role: Role
    package let tier: Tier

    fileprivate init(tenant: TenantID, key: KeyID, role: Role, tier: Tier) {
        self.tenant = tenant
        self.key = key
        self.role = role
        self.tier = tier
    }
}

package struct KeyTable: Sendable {
    /// What the table knows of one key.
    package struct Entry: Equatable, Sendable {
        package let digest: SecretDigest
        package let tenant: TenantID
        package let role: Role
        package let tier: Tier

        package init(digest: SecretDigest, tenant: TenantID, role: Role, tier: Tier) {
            self.digest = digest
            self.tenant = tenant
            self.role = role
            self.tier = tier
        }
    }

    private let entries: [KeyID: Entry]
    /// True when `auth.enabled` is off: everybody is let in, as the anonymous tenant.
    package let isOpen: Bool

    /// Nobody is let in.
    package static let empty = KeyTable([:])
    package static let open = KeyTable(entries: [:], isOpen: true)

    package init(_ entries: [KeyID: Entry]) { self.init(entries: entries, isOpen: false) }

    private init(entries: [KeyID: Entry], isOpen: Bool) {
        self.entries = entries
        self.isOpen = isOpen
    }

    /// Compared with when the key id is unknown, so that a wrong secret and an invented id cost the same.
    private static let nobody = Entry(
        digest: SecretDigest([UInt8](repeating: 0, count: SecretDigest.byteCount)), tenant: TenantID(rawValue: ""),
        role: .guest, tier: .free)

    /// Nil when the key is unknown or its secret is another.
    package func authenticate(_ bearer: UnverifiedBearer) -> AuthenticatedTenant? {
        let known = entries[bearer.keyID]
        let entry = known ?? Self.nobody
        let isRight = entry.digest == bearer.digest
        guard isRight, known != nil else { return nil }
        return AuthenticatedTenant(tenant: entry.tenant, key: bearer.keyID, role: entry.role, tier: entry.tier)
    }

    /// Whoever comes while authentication is off; nil while it is on.
    package var anonymous: AuthenticatedTenant? {
        guard isOpen else { return nil }
        return AuthenticatedTenant(
            tenant: TenantID(rawValue: "anonymous"), key: KeyID(rawValue: ""), role: .admin, tier: .enterprise)
    }
}
