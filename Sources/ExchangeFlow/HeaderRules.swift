/// Which header fields cross the gateway, in both directions (section 6).
///
/// A field is either end-to-end or of this hop alone. Hop-by-hop fields are those of RFC 9110 §7.6.1, whatever
/// `Connection` names, and `Expect`; passed on, they confuse framing under HTTP/1 and are refused under HTTP/2.
/// Called for every field of every head, so it compares bytes by length and builds nothing.
package enum HeaderRules {
    /// What becomes of one request field on its way to a worker.
    package enum Course: Equatable, Sendable {
        /// Travels as it came.
        case passes
        /// Of this hop, or the client's alone; the worker gets its own or none.
        case stays
        /// The address chain: rewritten, see `ClientAddress`.
        case isRewritten
    }

    /// Names are compared as they are in HTTP/2 and in `HTTPField.Name.canonicalName`: in lower case.
    package static func isHopByHop(_ name: String) -> Bool {
        switch name.utf8.count {
        case 2: name == "te"
        case 6: name == "expect"
        case 7: name == "trailer" || name == "upgrade"
        case 10: name == "connection" || name == "keep-alive"
        case 14: name == "http2-settings"
        case 16: name == "proxy-connection"
        case 17: name == "transfer-encoding"
        case 18: name == "proxy-authenticate"
        case 19: name == "proxy-authorization"
        default: false
        }
    }

    /// The course of a request field. `Host`, the credential and the length are the worker's own; `Accept-Encoding`
    /// would hide the stream from the cutter; cookies are between the client and us.
    package static func course(toWorker name: String) -> Course {
        if isHopByHop(name) { return .stays }
        switch name.utf8.count {
        case 4: return name == "host" ? .stays : .passes
        case 6: return name == "cookie" ? .stays : .passes
        case 7: return name == "cookie2" ? .stays : name == "api-key" ? .stays : .passes
        case 9:
            if name == "x-api-key" { return .stays }
            return name == "forwarded" || name == "x-real-ip" ? .isRewritten : .passes
        case 11: if name == "traceparent" { return .stays }
        case 12: if name == "x-request-id" { return .stays }
        case 13: if name == "authorization" { return .stays }
        case 14: if name == "content-length" { return .stays }
        case 15: if name == "accept-encoding" { return .stays }
        default: break
        }
        if name.hasPrefix("x-forwarded-") { return .isRewritten }
        if name.hasPrefix("x-starling-") { return .stays }
        return .passes
    }

    /// `connection` holds the values of the request's `Connection` fields, usually none or one.
    package static func passesToWorker(_ name: String, connection: [String]) -> Bool {
        course(toWorker: name) == .passes && !isNamed(name, in: connection)
    }

    /// The course of a worker's field to the client. Its `Date` would be the worker's clock, `Set-Cookie` a cookie
    /// for a host the client never met, CORS the router's decision, and `Alt-Svc` an invitation to go round us.
    package static func passesToClient(_ name: String, connection: [String]) -> Bool {
        if isHopByHop(name) { return false }
        switch name.utf8.count {
        case 4: if name == "date" { return false }
        case 7: if name == "alt-svc" { return false }
        case 10: if name == "set-cookie" { return false }
        case 11: if name == "retry-after" { return false }
        case 12: if name == "x-request-id" { return false }
        default: break
        }
        if name.hasPrefix("x-starling-") || name.hasPrefix("x-ratelimit-") { return false }
        if name.hasPrefix("access-control-") { return false }
        return !isNamed(name, in: connection)
    }

    /// `Connection: close, x-mine` makes `x-mine` a field of this hop. Framing and content are not its to take away:
    /// a client naming `Content-Type` there wants a request the worker misreads.
    package static func isNamed(_ name: String, in connection: [String]) -> Bool {
        for value in connection where hasToken(name, in: value) {
            return name != "content-type" && name != "content-length"
        }
        return false
    }

    /// Is `token` (lower case) one of the comma-separated words of `value`, in any case?
    package static func hasToken(_ token: String, in value: String) -> Bool {
        var rest = value.utf8[...]
        while !rest.isEmpty {
            let comma = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.endIndex
            if equals(trimmed(rest[..<comma]), token.utf8) { return true }
            rest = comma == rest.endIndex ? rest[comma...] : rest[rest.index(after: comma)...]
        }
        return false
    }

    /// The same words in any case; `lowercased` is in lower case already.
    package static func isWord(_ value: String, _ lowercased: String) -> Bool {
        equals(trimmed(value.utf8[...]), lowercased.utf8)
    }

    /// `1*DIGIT` of RFC 9110 §8.6 and nothing else: no sign, no list, no room for two readings.
    package static func contentLength(_ value: String) -> Int? {
        let digits = trimmed(value.utf8[...])
        // 18 digits hold every length and never overflow.
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        var length = 0
        for byte in digits {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            length = length * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return length
    }

    private static func trimmed(_ bytes: Substring.UTF8View) -> Substring.UTF8View {
        var slice = bytes
        while let first = slice.first, first == 32 || first == 9 { slice = slice.dropFirst() }
        while let last = slice.last, last == 32 || last == 9 { slice = slice.dropLast() }
        return slice
    }

    private static func equals(_ bytes: Substring.UTF8View, _ lowercased: String.UTF8View) -> Bool {
        guard bytes.count == lowercased.count else { return false }
        return zip(bytes, lowercased).allSatisfy { byte, wanted in
            (byte >= 65 && byte <= 90 ? byte | 32 : byte) == wanted
        }
    }
}
