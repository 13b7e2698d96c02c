/// What a key may do. Raw values are the words of the admin API.
package enum Role: String, CaseIterable, Sendable {
    case guest
    case user
    case powerUser = "power_user"
    case admin
    case system
}

/// Which limits apply to a key. Raw values are the sections of `rate_limiting.tiers`.
package enum Tier: String, CaseIterable, Sendable {
    case free
    case standard
    case premium
    case enterprise
}
