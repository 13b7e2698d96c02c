/// An IPv4 or IPv6 address as 128 bits. IPv4 is kept as IPv4-mapped IPv6 (`::ffff:a.b.c.d`), so a dual-stack socket
/// and a plain one name the same client alike.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(version4 bits: UInt32) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(bits)) }

    /// Sixteen bytes in network order, as in `sockaddr_in6`.
    package init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 16, "an IPv6 address has 16 bytes")
        self.init(
            high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    package var isVersion4: Bool { high == 0 && low >> 32 == 0xffff }

    /// What limits count by: an IPv6 host owns its whole /64 and can change address at will inside it.
    package var limitKey: IPAddress { isVersion4 ? self : IPAddress(high: high, low: 0) }

    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let bytes = Array(text.utf8)
        if !bytes.contains(UInt8(ascii: ":")) {
            guard let bits = Self.version4(bytes[...]) else { return nil }
            self.init(version4: bits)
        } else {
            guard let groups = Self.version6(bytes) else { return nil }
            self.init(
                high: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
                low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
        }
    }

    /// An entry as proxies write it: blanks around, brackets or a port perhaps.
    package init?(forwardedEntry entry: some StringProtocol) {
        var text = Substring(entry)
        while let first = text.utf8.first, first == 32 || first == 9 { text.removeFirst() }
        while let last = text.utf8.last, last == 32 || last == 9 { text.removeLast() }
        if text.utf8.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            guard Self.isPortOrNothing(text[text.index(after: close)...]) else { return nil }
            let inside = text[text.index(after: text.startIndex)..<close]
            // Brackets are for IPv6 alone.
            guard inside.utf8.contains(UInt8(ascii: ":")) else { return nil }
            self.init(inside)
            return
        }
        let colons = text.utf8.reduce(0) { $0 + ($1 == UInt8(ascii: ":") ? 1 : 0) }
        if colons == 1, let colon = text.firstIndex(of: ":") {
            guard Self.isPortOrNothing(text[colon...]) else { return nil }
            text = text[..<colon]
        }
        self.init(text)
    }

    package var description: String {
        if isVersion4 {
            let bits = UInt32(truncatingIfNeeded: low)
            return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
        }
        return version6Text
    }

    // MARK: Reading

    private static func version4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        var bits: UInt32 = 0
        var octets = 0
        for part in bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            // A leading zero is octal to some readers and decimal to others: no address.
            guard !part.isEmpty, part.count <= 3, part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var octet: UInt32 = 0
            for byte in part {
                guard byte >= 48, byte <= 57 else { return nil }
                octet = octet * 10 + UInt32(byte - 48)
            }
            guard octet <= 255 else { return nil }
            octets += 1
            guard octets <= 4 else { return nil }
            bits = bits << 8 | octet
        }
        return octets == 4 ? bits : nil
    }

    /// Eight groups, one run of zeros perhaps written `::`, an IPv4 tail perhaps. A zone (`%eth0`) is no address.
    private static func version6(_ bytes: [UInt8]) -> [UInt16]? {
        let colon = UInt8(ascii: ":")
        var front: [UInt16] = []
        var back: [UInt16]?
        var position = 0
        if bytes.first == colon {
            guard bytes.count >= 2, bytes[1] == colon else { return nil }
            back = []
            position = 2
        }
        while position < bytes.count {
            let end = bytes[position...].firstIndex(of: colon) ?? bytes.count
            let part = bytes[position..<end]
            var groups: [UInt16] = []
            if end == bytes.count, part.contains(UInt8(ascii: ".")) {
                guard let tail = version4(part) else { return nil }
                groups = [UInt16(tail >> 16), UInt16(tail & 0xffff)]
            } else {
                guard let group = hexadecimal(part) else { return nil }
                groups = [group]
            }
            if back == nil { front += groups } else { back! += groups }
            guard front.count + (back?.count ?? 0) <= 8 else { return nil }
            if end == bytes.count { break }
            position = end + 1
            if position == bytes.count { return nil }
            if bytes[position] == colon {
                guard back == nil else { return nil }
                back = []
                position += 1
            }
        }
        guard let back else { return front.count == 8 ? front : nil }
        let missing = 8 - front.count - back.count
        guard missing >= 1 else { return nil }
        return front + Array(repeating: 0, count: missing) + back
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt16? {
        guard !digits.isEmpty, digits.count <= 4 else { return nil }
        var value: UInt16 = 0
        for byte in digits {
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte - 48
            case 65...70: digit = byte - 55
            case 97...102: digit = byte - 87
            default: return nil
            }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private static func isPortOrNothing(_ text: Substring) -> Bool {
        if text.isEmpty { return true }
        guard text.utf8.first == UInt8(ascii: ":"), text.utf8.count <= 6 else { return false }
        return text.utf8.count > 1 && text.utf8.dropFirst().allSatisfy { $0 >= 48 && $0 <= 57 }
    }

    // MARK: Writing

    /// RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`, the first of equals.
    private var version6Text: String {
        let groups = [high, low].flatMap { half in
            [48, 32, 16, 0].map { (shift: UInt64) in UInt16(truncatingIfNeeded: half >> shift) }
        }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(1, longest.count) { longest = start..<end }
            start = max(end, start + 1)
        }
        let hex = groups.map { String($0, radix: 16) }
        guard !longest.isEmpty else { return hex.joined(separator: ":") }
        let before = hex[..<longest.lowerBound].joined(separator: ":")
        let after = hex[longest.upperBound...].joined(separator: ":")
        return "\(before)::\(after)"
    }
}
