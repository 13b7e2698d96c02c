/// Why a worker's TLS failed, in words an operator can act on. TLS libraries describe it with numbers and places in their
/// source; both rooms that dial workers meet those, and neither should pass them on.
package enum TLSFailureText {
    /// Half a sentence for the description of an error; nil when it tells of nothing that we know.
    package static func reason(_ description: String) -> String? {
        known.first { description.contains($0.mark) }?.words
    }

    private static let known: [(mark: String, words: String)] = [
        (
            "CERTIFICATE_VERIFY_FAILED",
            "nobody we trust vouches for its TLS certificate; name who does in tls_ca"
        ),
        ("failedToValidateHostname", "its TLS certificate is for another host; use a name that stands in it"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS on this port; leave out tls"),
        ("HTTP_REQUEST", "it does not speak TLS on this port; leave out tls"),
        ("uncleanShutdown", "the TLS connection ended without a goodbye"),
        (
            "EOF during handshake",
            "it ended the connection in the TLS handshake; if it does not speak TLS on this port, leave out tls"
        ),
    ]
}
