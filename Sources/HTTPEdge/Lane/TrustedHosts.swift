/// The host names this gateway answers to. A page that rebinds its own name to our address still sends that name, so
/// the list keeps browsers from being used against a gateway on a private network. Empty: every name.
package struct TrustedHosts: Sendable {
    private struct Name: Sendable {
        /// `*.example.com`: any name below, not the name itself.
        let isWildcard: Bool
        /// In lower case; the wildcard's begins with its dot.
        let text: String
        /// A port in the list has to match; without one any port does.
        let hasPort: Bool
    }

    package static let any = TrustedHosts([])

    private let names: [Name]

    package init(_ entries: [String]) {
        names = entries.map { entry in
            let isWildcard = entry.hasPrefix("*.")
            let text = (isWildcard ? String(entry.dropFirst()) : entry).lowercased()
            return Name(isWildcard: isWildcard, text: text, hasPort: Self.bare(text) != text)
        }
    }

    /// `authority` is the request's `Host` or `:authority`.
    package func contains(_ authority: String?) -> Bool {
        if names.isEmpty { return true }
        guard let whole = authority?.lowercased(), !whole.isEmpty else { return false }
        let bare = Self.bare(whole)
        return names.contains { name in
            let candidate = name.hasPort ? whole : bare
            return name.isWildcard
                ? candidate.hasSuffix(name.text) && candidate.utf8.count > name.text.utf8.count : candidate == name.text
        }
    }

    /// Without the port and the final dot of a full name; `[::1]:8000` becomes `[::1]`.
    private static func bare(_ text: String) -> String {
        var name = text[...]
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("]"),
            name.hasPrefix("[") || name.firstIndex(of: ":") == colon
        {
            name = name[..<colon]
        }
        if name.hasSuffix(".") { name = name.dropLast() }
        return String(name)
    }
}
