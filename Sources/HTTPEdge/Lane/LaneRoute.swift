/// Reads a request head once: does it go to the lane or to the router, may it go anywhere at all, and what does it say
/// about its connection?
///
/// The decoder is strict already; what it lets through and two readers could still read differently (a second `Host`,
/// two lengths, an encoding that only starts with `chunked`) is refused here, for the router's requests too.
import ExchangeFlow
import HTTPTypes
import InferenceDialect

struct LaneRoute {
    let facts: RequestFacts
    /// The route, when the lane answers; nil for the router.
    let route: InferenceRoute?

    /// First parts of paths under `/v1/` that are the router's. Every other `POST` there may be a route that some kind
    /// of worker has; the chosen model's workers decide.
    private static let routersOwn: Set<Substring> = ["models", "cluster"]

    init(_ head: HTTPRequest, isHTTP2: Bool, isVersion10: Bool, settings: LaneSettings) {
        var bytes = 0
        var hosts = 0
        var lengths = 0
        var declared: Int?
        var encodings = 0
        var isChunked = false
        var saysClose = false
        var namesUpgrade = false
        var hasUpgrade = false
        var expectations = 0
        var expectsContinue = false

        for field in head.headerFields {
            let name = field.name.canonicalName
            let value = field.value
            bytes += name.utf8.count + value.utf8.count
            switch name.utf8.count {
            case 4 where name == "host": hosts += 1
            case 6 where name == "expect":
                expectations += 1
                expectsContinue = HeaderRules.isWord(value, "100-continue")
            case 7 where name == "upgrade": hasUpgrade = true
            case 10 where name == "connection":
                if HeaderRules.hasToken("close", in: value) { saysClose = true }
                if HeaderRules.hasToken("upgrade", in: value) { namesUpgrade = true }
            case 14 where name == "content-length":
                lengths += 1
                declared = HeaderRules.contentLength(value)
            case 17 where name == "transfer-encoding":
                encodings += 1
                isChunked = HeaderRules.isWord(value, "chunked")
            default: break
            }
        }

        var refusal: OwnAnswer?
        if lengths > 1 || (lengths == 1 && (declared == nil || encodings > 0)) {
            refusal = .ambiguousLength
        } else if encodings > 1 || (encodings == 1 && (!isChunked || isVersion10)) {
            refusal = .unknownTransferEncoding
        } else if !isHTTP2, hosts > 0 {
            // The codec takes the first `Host` for itself; one that is left is a second.
            refusal = .secondHost
        } else if !isHTTP2, !isVersion10, head.authority == nil {
            refusal = .missingHost
        } else if bytes > settings.headerBytesMax {
            refusal = .headersTooLarge
        } else if !settings.trustedHosts.contains(head.authority) {
            refusal = .misdirected
        } else if expectations > 0, !isVersion10, !expectsContinue || expectations > 1 {
            refusal = .unknownExpectation
        }

        route = refusal == nil ? Self.route(of: head) : nil
        if declared == nil, encodings == 0, !isHTTP2 { declared = 0 }
        facts = RequestFacts(
            goesToLane: route != nil, refusal: refusal,
            closesAfter: !isHTTP2 && (saysClose || isVersion10),
            expectsContinue: expectsContinue && !isVersion10,
            // The decoder stops for good after either.
            asksUpgrade: !isHTTP2 && ((namesUpgrade && hasUpgrade) || head.method == .connect),
            declaredBytes: declared, headBytes: bytes)
    }

    /// `POST` and an exact path under `/v1/`, its query aside.
    private static func route(of head: HTTPRequest) -> InferenceRoute? {
        guard head.method == .post, let path = head.path, path.hasPrefix("/v1/") else { return nil }
        let exact = path.utf8.firstIndex(of: UInt8(ascii: "?")).map { String(path[..<$0]) } ?? path
        guard let route = InferenceRoute(path: exact) else { return nil }
        if case .other(let name) = route, routersOwn.contains(name.prefix { $0 != "/" }) { return nil }
        return route
    }
}
