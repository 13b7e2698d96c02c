import ExchangeFlow
import Testing

@Suite("HeaderRules")
struct HeaderRulesTests {
    @Test(
        "hop-by-hop fields cross in neither direction",
        arguments: [
            "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
            "trailer",
            "transfer-encoding", "upgrade", "expect", "http2-settings",
        ])
    func hopByHop(name: String) {
        #expect(HeaderRules.isHopByHop(name))
        #expect(!HeaderRules.passesToWorker(name, connection: []))
        #expect(!HeaderRules.passesToClient(name, connection: []))
    }

    @Test(
        "what is the client's alone stays with us",
        arguments: [
            "host", "authorization", "cookie", "accept-encoding", "content-length", "x-api-key", "api-key",
            "x-starling-worker", "x-request-id", "traceparent",
        ])
    func staysHere(name: String) {
        #expect(HeaderRules.course(toWorker: name) == .stays)
    }

    @Test(
        "the address chain is rewritten",
        arguments: ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip"])
    func rewritten(name: String) {
        #expect(HeaderRules.course(toWorker: name) == .isRewritten)
        #expect(!HeaderRules.passesToWorker(name, connection: []))
    }

    @Test(
        "end-to-end fields travel, known or not",
        arguments: ["content-type", "accept", "user-agent", "tracestate", "openai-organization", "x-mine", "tf"])
    func travels(name: String) {
        #expect(HeaderRules.passesToWorker(name, connection: []))
        #expect(HeaderRules.passesToWorker(name, connection: ["close", "keep-alive, x-other"]))
    }

    @Test("a field named by Connection is of this hop, in any case and place; framing is not its to name")
    func namedByConnection() {
        for value in ["x-mine", "close, X-Mine", "X-MINE ,close", "a,\tx-mine\t,b"] {
            #expect(!HeaderRules.passesToWorker("x-mine", connection: [value]))
            #expect(!HeaderRules.passesToClient("x-mine", connection: ["close", value]))
        }
        #expect(HeaderRules.passesToWorker("x-mine", connection: ["x-mine-too, not-x-mine"]))
        #expect(HeaderRules.passesToWorker("content-type", connection: ["content-type"]))
        #expect(HeaderRules.passesToClient("content-length", connection: ["content-length"]))
    }

    @Test(
        "a worker's own clock, cookies, limits and identity do not reach the client",
        arguments: [
            "date", "set-cookie", "alt-svc", "retry-after", "x-request-id", "x-starling-attempts",
            "x-ratelimit-limit-requests", "access-control-allow-origin",
        ])
    func notToClient(name: String) {
        #expect(!HeaderRules.passesToClient(name, connection: []))
    }

    @Test(
        "a worker's content fields reach the client",
        arguments: ["content-type", "content-length", "etag", "x-model"])
    func toClient(name: String) {
        #expect(HeaderRules.passesToClient(name, connection: []))
    }

    @Test("a length is digits and nothing else")
    func lengths() {
        #expect(HeaderRules.contentLength("0") == 0)
        #expect(HeaderRules.contentLength(" 1048576\t") == 1_048_576)
        #expect(HeaderRules.contentLength("999999999999999999") == 999_999_999_999_999_999)
        for bad in ["", " ", "-1", "+5", "5,5", "5, 5", "0x10", "1e3", "5 5", "1000000000000000000", "٣"] {
            #expect(HeaderRules.contentLength(bad) == nil, "\(bad)")
        }
    }

    @Test("words are compared whole, in any case, blanks aside")
    func words() {
        #expect(HeaderRules.isWord(" 100-Continue ", "100-continue"))
        #expect(!HeaderRules.isWord("100-continue, other", "100-continue"))
        #expect(HeaderRules.hasToken("close", in: "Keep-Alive , CLOSE"))
        #expect(!HeaderRules.hasToken("close", in: "closed"))
        #expect(!HeaderRules.hasToken("close", in: ""))
        #expect(!HeaderRules.hasToken("close", in: ",,"))
    }
}
