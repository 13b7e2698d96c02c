package import Determinism

/// What is promised, by the numbers of the protocol's pages. Each is checked in every run.
package enum Promise: String, Sendable, CaseIterable {
    /// A view holds at least what was delivered to it: the greatest of all records.
    case m1 = "M1"
    /// An incarnation seen anywhere was announced by its owner, and the first was durable before the first packet.
    case m2 = "M2"
    /// In no view a status moves backward within a (session, incarnation).
    case m3 = "M3"
    /// At most K + 1 accusers.
    case m4 = "M4"
    /// No suspicion from an own probe before all paths had their time.
    case m5 = "M5"
    /// Dead only from a suspicion that matured, and waits are respected.
    case m6 = "M6"
    /// Who hears itself accused answers, at most four times a second.
    case m7 = "M7"
    /// Some time after the faults every live replica is alive in every live view.
    case m8 = "M8"
    /// No exchange that one packet starts goes on for ever.
    case m9 = "M9"
    /// No verdict by a replica that was late.
    case m11 = "M11"
    /// Every table within its bound, and the living are not evicted.
    case m12 = "M12"
    /// Equal participants, equal rings.
    case m13 = "M13"
    /// Left or removed ends only by a higher incarnation of a session that is not removed.
    case m15 = "M15"
    /// Nobody of another cluster is ever in a view.
    case m16 = "M16"
    /// Who was forgotten as gone is not learned of as gone again.
    case m17 = "M17"
    /// In one view a short id names one replica.
    case m18 = "M18"
    /// Bytes sent stay under the cap.
    case m22 = "M22"
    /// Same seed and inputs, same effects.
    case m23 = "M23"
    /// No (session, counter) twice.
    case w1 = "W1"
    /// No datagram exceeds the limit.
    case w2 = "W2"
    /// Nothing is applied that was sealed before this process began, or that was not proven to be of now.
    case w3 = "W3"
    /// Nothing is applied twice, changed or in part.
    case w4 = "W4"
    /// Before proof no more bytes out than in, and none at all for what is not authentic.
    case w5 = "W5"
    /// A packet for another replica or cluster changes nothing.
    case w6 = "W6"
    /// Exchanges of hellos end.
    case w9 = "W9"
    /// After the faults there is quiet: few bytes, few timers.
    case quiet = "quiet"
    /// A run in which nothing happened proves nothing.
    case workload = "workload"
}

package struct SimulationViolation: Sendable, Hashable {
    package var promise: Promise
    package var at: Nanoseconds
    /// The replica that broke it.
    package var replica: Int
    package var sentence: String

    package var line: String { "\(promise.rawValue) at \(TraceTime(at)) by r\(replica): \(sentence)" }
}

/// Seconds with microseconds, as traces have them.
struct TraceTime: CustomStringConvertible {
    private let span: Nanoseconds
    init(_ span: Nanoseconds) { self.span = span }
    init(_ instant: Instant) { span = .nanoseconds(instant.nanoseconds) }

    var description: String {
        let microseconds = span.rawValue / 1_000
        let digits = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - digits.count) + digits
    }
}
