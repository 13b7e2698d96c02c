/// How hot a Mac is, in the system's own four words, and what that leaves of its speed.
///
/// Without root nobody tells the word, only degrees: the bounds are assumed, from reports of where chips begin to slow down.
/// They scale a prior only. A chip that was measured shows what it does when it is hot.
package enum MacHeat: String, CaseIterable, Sendable {
    case nominal, fair, serious, critical

    static let fairDegrees = 88.0
    static let seriousDegrees = 98.0
    static let criticalDegrees = 105.0

    package init(degrees: Double) {
        switch degrees {
        case Self.criticalDegrees...: self = .critical
        case Self.seriousDegrees...: self = .serious
        case Self.fairDegrees...: self = .fair
        default: self = .nominal
        }
    }

    /// What is left of a speed that nobody has measured yet.
    package var factor: Double {
        switch self {
        case .nominal: 1
        case .fair: 0.9
        case .serious: 0.6
        case .critical: 0.4
        }
    }
}
