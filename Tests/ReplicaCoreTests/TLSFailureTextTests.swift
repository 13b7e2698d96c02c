import ReplicaCore
import Testing

@Suite("TLSFailureText")
struct TLSFailureTextTests {
    @Test("what the library says becomes what to do, without its numbers and places")
    func known() throws {
        let unverified =
            "handshakeFailed(sslError([Error: 268435581 error:1000007d:SSL routines:OPENSSL_internal:"
            + "CERTIFICATE_VERIFY_FAILED at /somewhere/handshake.cc:320]))"
        let words = try #require(TLSFailureText.reason(unverified))
        #expect(words.contains("tls_ca") && !words.contains("/"))
        #expect(TLSFailureText.reason("sslError(… WRONG_VERSION_NUMBER …)")?.contains("leave out tls") == true)
        #expect(TLSFailureText.reason("failedToValidateHostname")?.contains("another host") == true)
    }

    @Test("what is nothing of TLS stays what it is")
    func unknown() {
        #expect(TLSFailureText.reason("connection reset by peer (errno: 104)") == nil)
        #expect(TLSFailureText.reason("") == nil)
    }
}
