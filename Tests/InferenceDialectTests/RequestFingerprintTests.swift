import Testing

@testable import InferenceDialect

@Suite("A request's fingerprint")
struct RequestFingerprintTests {
    private static func fingerprint(
        _ body: String, _ route: InferenceRoute = .chatCompletions, salt: UInt64 = 1, cuts: [Int] = []
    ) throws -> UInt64 {
        var made = RequestFingerprint(try scan(body, route: route).get(), route: route, salt: salt)
        let bytes = Array(body.utf8)
        var from = 0
        for end in cuts + [bytes.count] {
            Array(bytes[from..<end]).withUnsafeBytes { made.feed($0) }
            from = end
        }
        return made.digest()
    }

    private static let plain = #"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#

    @Test(
        "what does not change what is asked does not count, wherever it stands",
        arguments: [
            #"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}"#,
            #"{"stream":true,"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            #"{"model":"m","user":"a","stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
            #"{"store":false,"metadata":{"a":["b"]},"model":"m","messages":[{"role":"user","content":"hi"}],"store":null}"#,
        ])
    func asides(body: String) throws {
        #expect(try Self.fingerprint(body) == Self.fingerprint(Self.plain))
        for cut in 0...body.utf8.count {
            #expect(try Self.fingerprint(body, cuts: [cut]) == Self.fingerprint(Self.plain), "cut at \(cut)")
        }
        let everywhere = Array(0..<body.utf8.count)
        #expect(try Self.fingerprint(body, cuts: everywhere) == Self.fingerprint(Self.plain))
    }

    @Test("everything else counts: a word, a parameter, the route, the cluster")
    func counts() throws {
        let others = [
            #"{"model":"m","messages":[{"role":"user","content":"ho"}]}"#,
            #"{"model":"n","messages":[{"role":"user","content":"hi"}]}"#,
            #"{"model":"m","messages":[{"role":"user","content":"hi","user":"x"}]}"#,
            #"{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":1}"#,
        ]
        for body in others { #expect(try Self.fingerprint(body) != Self.fingerprint(Self.plain)) }
        #expect(try Self.fingerprint(Self.plain, salt: 2) != Self.fingerprint(Self.plain))
        #expect(
            try Self.fingerprint(#"{"model":"m"}"#, .other("a")) != Self.fingerprint(#"{"model":"m"}"#, .other("b")))
    }
}
