/// Who a replica is: 16 random bytes, made at its first start and kept beside its data. Never a name, never an address:
/// where either was the key, restarted nodes were refused until the old entry died.
package struct ReplicaID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// How packets name it: the first four bytes.
    package var short: ReplicaShortID { ReplicaShortID(rawValue: UInt32(truncatingIfNeeded: high >> 32)) }

    package static func < (left: ReplicaID, right: ReplicaID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// 32 hexadecimal digits, most significant first.
    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }

    /// Nil unless the text is 32 hexadecimal digits.
    package init?(_ text: String) {
        let digits = text.utf8
        guard digits.count == 32, let high = Hexadecimal.value(digits.prefix(16)),
            let low = Hexadecimal.value(digits.suffix(16))
        else { return nil }
        self.init(high: high, low: low)
    }
}

/// The first four bytes of a `ReplicaID`.
package struct ReplicaShortID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Zero means nobody, all ones everybody: neither is ever drawn.
    package var isDrawable: Bool { rawValue != 0 && rawValue != .max }

    package static func < (left: ReplicaShortID, right: ReplicaShortID) -> Bool { left.rawValue < right.rawValue }

    /// Eight hexadecimal digits.
    package var description: String { String(Hexadecimal.text(UInt64(rawValue)).suffix(8)) }
}

/// One process of a replica: 8 random bytes, new at every start. It also names the sealing session of its packets.
package struct SessionID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The low half, where a message has no room for more.
    package var life: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    package static func < (left: SessionID, right: SessionID) -> Bool { left.rawValue < right.rawValue }

    package var description: String { Hexadecimal.text(rawValue) }
}

/// A replica's own counter, raised by nobody else: a greater one makes everything said of a smaller one old.
package struct Incarnation: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Whoever is accused here cannot answer any more and takes a new identity.
    package static let ceiling = Incarnation(rawValue: .max)

    package static func < (left: Incarnation, right: Incarnation) -> Bool { left.rawValue < right.rawValue }

    package var description: String { "\(rawValue)" }
}

/// What is thought of a member, in the order in which one word beats another of the same incarnation.
package enum MemberStatus: UInt8, Comparable, CaseIterable, Sendable {
    case alive = 0
    case suspect = 1
    case dead = 2
    case left = 3

    package static func < (a: MemberStatus, b: MemberStatus) -> Bool { a.rawValue < b.rawValue }

    /// Dead or left: no longer part of the flock.
    package var isGone: Bool { self >= .dead }

    package var word: String {
        switch self {
        case .alive: "alive"
        case .suspect: "suspect"
        case .dead: "dead"
        case .left: "left"
        }
    }
}

package enum Hexadecimal {
    /// Sixteen digits.
    package static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Of at most 16 digits; nil when one of them is none.
    static func value(_ digits: some Sequence<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case 48...57: value = value << 4 | UInt64(digit - 48)
            case 65...70: value = value << 4 | UInt64(digit - 55)
            case 97...102: value = value << 4 | UInt64(digit - 87)
            default: return nil
            }
        }
        return value
    }
}
