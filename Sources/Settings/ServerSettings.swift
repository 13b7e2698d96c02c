/// The listener and what it takes from clients.
package struct ServerSettings: Equatable, Sendable {
    package struct CORS: Equatable, Sendable {
        /// Empty: no CORS fields at all. `*` alone: every origin.
        package let allowedOrigins: [String]
    }

    package struct TLS: Equatable, Sendable {
        /// Paths of PEM files.
        package let certificate: String
        package let key: String
    }

    package enum HalfClose: String, CaseIterable, Sendable { case abort, finish }

    package let host: String
    /// 0 lets the system choose.
    package let port: Int
    /// Event loops; 0 is one per core.
    package let workers: Int
    package let backlog: Int
    package let maxBodyMB: Int
    package let headerBytesMax: Int
    package let drainSeconds: Double
    /// How long `/readyz` says 503 before the listener closes.
    package let drainNoticeSeconds: Double
    package let idleSeconds: Double
    package let halfClose: HalfClose
    package let keepaliveAfterSeconds: Double
    package let keepaliveIntervalSeconds: Double
    package let trustedHosts: [String]
    package let trustedProxies: [String]
    package let cors: CORS
    /// Nil: plain HTTP.
    package let tls: TLS?

    /// MB as the file means them: 1 MB is 1,048,576 bytes, as in nginx's `client_max_body_size`.
    package var maxBodyBytes: Int { maxBodyMB * 1_048_576 }

    init(_ section: SectionReader) {
        var section = section
        host = section.text("host", default: "0.0.0.0", rule: .host)
        port = section.wholeNumber("port", default: 8000, in: 0...65535)
        workers = section.wholeNumber("workers", default: 1, in: 0...256)
        backlog = section.wholeNumber("backlog", default: 4096, in: 1...65535)
        maxBodyMB = section.wholeNumber("max_body_mb", default: 32, in: 1...1024)
        headerBytesMax = section.wholeNumber("header_bytes_max", default: 32768, in: 1024...1_048_576)
        drainSeconds = section.number("drain_seconds", default: 30, in: 0...3600)
        drainNoticeSeconds = section.number("drain_notice_seconds", default: 1, in: 0...60)
        idleSeconds = section.number("idle_seconds", default: 75, in: 1...3600)
        halfClose = section.choice("half_close", default: .abort)
        keepaliveAfterSeconds = section.number("keepalive_after_seconds", default: 2.5, in: 0.1...3600)
        keepaliveIntervalSeconds = section.number("keepalive_interval_seconds", default: 10, in: 0.1...3600)
        trustedHosts = section.texts("trusted_hosts", countMax: 256, rule: .trustedHost)
        trustedProxies = section.texts("trusted_proxies", countMax: 256, rule: .proxy)
        var corsSection = section.section("cors")
        let origins = corsSection.texts("allowed_origins", countMax: 256, rule: .origin)
        if origins.contains("*"), origins.count > 1 {
            section.report.fault(
                at: corsSection.place(of: "allowed_origins"),
                "server.cors.allowed_origins has \"*\" and other origins; \"*\" alone already means all of them")
        }
        cors = CORS(allowedOrigins: origins)
        corsSection.finish()
        tls = Self.tls(section.section("tls"))
        section.finish()
    }

    private static func tls(_ section: SectionReader) -> TLS? {
        var section = section
        let certificate = section.path("certificate", default: "")
        let key = section.path("key", default: "")
        section.finish()
        if certificate.isEmpty != key.isEmpty {
            let given = certificate.isEmpty ? "key" : "certificate"
            let missing = certificate.isEmpty ? "certificate" : "key"
            section.report.fault(
                at: section.place(of: given),
                "server.tls.\(given) is given without server.tls.\(missing); TLS needs both")
        }
        return certificate.isEmpty || key.isEmpty ? nil : TLS(certificate: certificate, key: key)
    }
}
