/// What a text must look like, and how to say so. One place for the shapes of hosts, names, addresses and origins.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct TextRule {
    /// Stands behind "must be".
    let expected: String
    let accepts: (String) -> Bool
}

extension TextRule {
    /// Ends up in header fields, metric labels and log lines, so it keeps to what all three take unescaped.
    static var name: TextRule {
        TextRule(expected: "1 to 64 letters, digits, '.', '_' or '-'") { text in
            (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { isWordByte($0) }
        }
    }

    static var model: TextRule {
        TextRule(expected: "a model name of 1 to 256 bytes without control characters") { text in
            (1...256).contains(text.utf8.count) && text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        }
    }

    static var host: TextRule {
        TextRule(expected: "a host name or address without scheme, port or path") { isHost($0) }
    }

    /// Empty stands for "not given".
    static var optionalHostHeader: TextRule {
        TextRule(expected: "a host, with a port if one is meant, as in a Host header") { text in
            (1...255).contains(text.utf8.count)
                && text.utf8.allSatisfy { isWordByte($0) || $0 == 58 || $0 == 91 || $0 == 93 }
        }
    }

    static var trustedHost: TextRule {
        TextRule(expected: "a host name like api.example.com or *.example.com, with a port only if it must match") {
            text in
            let bare = text.hasPrefix("*.") ? String(text.dropFirst(2)) : text
            return isHost(bare) || hostAndPort(bare) != nil
        }
    }

    static var proxy: TextRule {
        TextRule(expected: "an IP address or a range like 10.0.0.0/8 or fd00::/8") { isAddressOrRange($0) }
    }

    static var origin: TextRule {
        TextRule(expected: "\"*\" or an origin like https://app.example.com, without a path") { text in
            if text == "*" || text == "null" { return true }
            guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else { return false }
            let rest = String(text.dropFirst(scheme.count))
            return isHost(rest) || hostAndPort(rest) != nil
        }
    }

    /// Who is asked for a page gets no credential, so none may stand in the URL either.
    static var pageURL: TextRule {
        TextRule(expected: "a URL like http://10.0.1.10:9090/json, without user, query or fragment") { text in
            guard (1...1_024).contains(text.utf8.count),
                let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) })
            else { return false }
            let rest = text.dropFirst(scheme.count)
            let authority = String(rest.prefix { $0 != "/" })
            let path = rest.dropFirst(authority.count)
            return (isHost(authority) || hostAndPort(authority) != nil)
                && path.utf8.allSatisfy { isWordByte($0) || $0 == 47 || $0 == 126 || $0 == 37 }
        }
    }

    /// Empty stands for "not given".
    static var optionalBind: TextRule {
        TextRule(expected: "a host and a port, like 0.0.0.0:7946 or [::]:7946") {
            $0.isEmpty || hostAndPort($0) != nil
        }
    }

    static var optionalEndpoint: TextRule {
        TextRule(expected: "empty or a host and a port, like 10.0.0.5:7946") { $0.isEmpty || hostAndPort($0) != nil }
    }

    static var path: TextRule {
        TextRule(expected: "a path of at most 4096 bytes") { !$0.contains("\0") && $0.utf8.count <= 4096 }
    }

    static var chip: TextRule {
        TextRule(expected: "a chip like \"M2 Ultra\"") { text in
            (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { isWordByte($0) || $0 == 32 }
        }
    }

    /// Letters, digits, '.', '_' and '-'.
    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, 45, 46, 95: true
        default: false
        }
    }

    static func isHost(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        if bare.contains(":") { return isAddress(bare, AF_INET6) }
        return text.utf8.allSatisfy { isWordByte($0) } && !text.hasPrefix("-") && !text.hasPrefix(".")
    }

    /// `host:port`, with brackets around an IPv6 address.
    static func hostAndPort(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let host = String(text[..<colon])
        guard let port = SectionReader.plainInteger(String(text[text.index(after: colon)...])) else { return nil }
        guard (0...65535).contains(port), isHost(host) else { return nil }
        if host.contains(":"), !host.hasPrefix("[") { return nil }
        return (host, port)
    }

    static func isAddressOrRange(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2 else { return false }
        let bits: Int
        if isAddress(parts[0], AF_INET) {
            bits = 32
        } else if isAddress(parts[0], AF_INET6) {
            bits = 128
        } else {
            return false
        }
        guard parts.count == 2 else { return true }
        guard let prefix = SectionReader.plainInteger(parts[1]) else { return false }
        return (0...bits).contains(prefix)
    }

    private static func isAddress(_ text: String, _ family: Int32) -> Bool {
        var room = in6_addr()
        return withUnsafeMutableBytes(of: &room) { inet_pton(family, text, $0.baseAddress) == 1 }
    }
}
