/// Why a packet was not applied: one word for the metric, the log and the simulator's checks.
package enum DropReason: UInt8, CaseIterable, Sendable, Error {
    /// Its bytes are no packet of ours.
    case decode
    /// A version, a type or a message that we must understand and do not.
    case version
    case replay
    /// More than a stranger or a member may send.
    case overload
    /// Sealed with a key that we do not hold.
    case key
    case auth
    /// Its session was not proven yet; if it was authentic, it was answered with a cookie.
    case unproven
    case misdelivered
    /// It was larger than the way to the peer allows.
    case mtu

    package var word: String {
        switch self {
        case .decode: "decode"
        case .version: "version"
        case .replay: "replay"
        case .overload: "overload"
        case .key: "key"
        case .auth: "auth"
        case .unproven: "unproven"
        case .misdelivered: "misdelivered"
        case .mtu: "mtu"
        }
    }
}
