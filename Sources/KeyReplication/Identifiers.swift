/// Names of keys and of those who hold them. Types of their own, so that one cannot stand in the other's place.

/// The public part of a key, unique for ever: 12 hexadecimal digits. It may be logged; the secret part may not.
package struct KeyID: Hashable, Sendable {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// Who a key belongs to; what requests of one owner are grouped by.
package struct TenantID: Hashable, Sendable {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}
