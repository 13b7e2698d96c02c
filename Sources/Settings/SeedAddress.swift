/// Where another replica may be found: an address, or a name that is looked up again at every attempt and stands for all
/// addresses it has at that moment. So one list fits all replicas, and a headless service or a compose name is enough.
///
/// Written `10.0.0.5:7946`, `[fd00::5]:7946`, `gw-2.lan:7946` or `dns:gateways.internal:7946`; the last two mean the same,
/// `dns:` only refuses what is no name.
package import WireCoding

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package enum SeedAddress: Hashable, Sendable, CustomStringConvertible {
    case address(PeerAddress)
    /// In lower case.
    case name(String, port: UInt16)

    package struct Mistake: Error, Equatable, Sendable {
        /// Follows the text: `is …`, `has …`, with the remedy.
        package let sentence: String

        static let noHost = Mistake(
            sentence: "has no host name before its port; write host:port, [v6]:port or dns:name:port")
        static let addressAsName = Mistake(sentence: "has an address behind dns:, which is for names; leave dns: out")
    }

    package static let textBytesMax = 300

    package var description: String {
        switch self {
        case .address(let address): address.description
        case .name(let name, let port): "dns:\(name):\(port)"
        }
    }

    package init(parsing text: String) throws(Mistake) {
        guard !text.isEmpty else { throw Mistake(sentence: "is empty; write host:port, [v6]:port or dns:name:port") }
        guard text.utf8.count <= Self.textBytesMax else {
            throw Mistake(sentence: "is longer than \(Self.textBytesMax) bytes")
        }
        guard !text.contains("://") else {
            throw Mistake(sentence: "is a URL; write the host and its gossip port, like 10.0.0.5:7946")
        }
        let isName = text.hasPrefix("dns:")
        let rest = isName ? text.dropFirst(4) : text[...]
        guard !rest.hasPrefix("[") else {
            guard !isName else { throw .addressAsName }
            self = .address(try Self.bracketed(rest))
            return
        }
        let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw Mistake(sentence: "needs brackets around an IPv6 address, like [fd00::5]:7946")
        }
        guard !rest.isEmpty else { throw .noHost }
        guard parts.count == 2 else { throw Mistake(sentence: "has no port; write it as in \"\(text):7946\"") }
        let host = String(parts[0])
        let port = try Self.port(parts[1])
        if let bytes = Self.bytes(of: host, AF_INET) {
            guard !isName else { throw .addressAsName }
            let word = bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            self = .address(try Self.reachable(PeerAddress(ipv4: word, port: port)))
        } else if host.split(separator: ".").last?.utf8.allSatisfy({ (48...57).contains($0) }) == true {
            // No name ends in a number (RFC 3696 §2), so this was meant as an address.
            throw Mistake(sentence: "has no IPv4 address before its port; write four numbers from 0 to 255")
        } else {
            guard TextRule.isHost(host) else { throw .noHost }
            self = .name(host.lowercased(), port: port)
        }
    }

    /// `[v6]:port`
    private static func bracketed(_ text: Substring) throws(Mistake) -> PeerAddress {
        guard let end = text.firstIndex(of: "]") else { throw Mistake(sentence: "has no closing bracket") }
        let host = text[text.index(after: text.startIndex)..<end]
        let after = text[text.index(after: end)...]
        guard after.hasPrefix(":") else { throw Mistake(sentence: "has no port; write it as in \"[\(host)]:7946\"") }
        let port = try port(after.dropFirst())
        if let percent = host.firstIndex(of: "%") {
            throw Mistake(
                sentence:
                    "has the zone \"\(host[percent...])\", which means nothing on another machine; use an address "
                    + "that every replica can reach")
        }
        guard let bytes = bytes(of: String(host), AF_INET6) else {
            throw Mistake(sentence: "has no IPv6 address between its brackets")
        }
        let high = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let low = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return try reachable(PeerAddress(high: high, low: low, port: port))
    }

    private static func port(_ text: Substring) throws(Mistake) -> UInt16 {
        guard let number = SectionReader.plainInteger(String(text)), (1...65535).contains(number) else {
            throw Mistake(sentence: "has the port \"\(text)\"; a port is a number from 1 to 65535 in plain digits")
        }
        return UInt16(number)
    }

    private static func reachable(_ address: PeerAddress) throws(Mistake) -> PeerAddress {
        let isUnspecified = address.high == 0 && (address.low == 0 || address.ipv4 == 0)
        let isMulticast = address.high >> 56 == 0xff || (address.ipv4.map { $0 >> 28 >= 0xe } ?? false)
        guard !isUnspecified, !isMulticast else {
            throw Mistake(sentence: "is no address of one machine; name the machine")
        }
        return address
    }

    private static func bytes(of host: String, _ family: Int32) -> [UInt8]? {
        var room = in6_addr()
        return withUnsafeMutableBytes(of: &room) { bytes in
            inet_pton(family, host, bytes.baseAddress) == 1 ? Array(bytes) : nil
        }
    }
}
