/// Everything an operator may say, checked and complete: one value per load, immutable after it.
///
/// The members mirror `config/gateway.yaml` word for word (`server.max_body_mb` is `server.maxBodyMB`), which is the
/// page that explains them. A number carries its unit last.
package struct GatewaySettings: Equatable, Sendable {
    package let server: ServerSettings
    package let replica: ReplicaNameSettings
    package let cluster: ClusterSettings
    package let gossip: GossipSettings
    package let storage: StorageSettings
    package let auth: AuthSettings
    package let rateLimiting: RateLimitingSettings
    package let loadBalancing: LoadBalancingSettings
    package let clusterNodes: [ClusterNodeSettings]
    package let models: ModelsSettings
    package let observability: ObservabilitySettings

    init(_ root: inout SectionReader) {
        server = ServerSettings(root.section("server"))
        replica = ReplicaNameSettings(root.section("replica"))
        cluster = ClusterSettings(root.section("cluster"))
        gossip = GossipSettings(root.section("gossip"))
        storage = StorageSettings(root.section("storage"))
        auth = AuthSettings(root.section("auth"))
        rateLimiting = RateLimitingSettings(root.section("rate_limiting"))
        loadBalancing = LoadBalancingSettings(root.section("load_balancing"))
        clusterNodes = ClusterNodeSettings.list(&root)
        models = ModelsSettings(root.section("models"), nodes: clusterNodes)
        observability = ObservabilitySettings(root.section("observability"))
        root.finish()
    }
}

package struct ReplicaNameSettings: Equatable, Sendable {
    package let name: String

    init(_ section: SectionReader) {
        var section = section
        name = section.text("name", default: "gw-1", rule: .name)
        section.finish()
    }
}

package struct ClusterSettings: Equatable, Sendable {
    package let name: String
    /// Made at the first start when missing, so its absence is no fault here.
    package let secretFile: String

    init(_ section: SectionReader) {
        var section = section
        name = section.text("name", default: "studio", rule: .name)
        secretFile = section.path("secret_file", default: "data/cluster.secret")
        if secretFile.isEmpty {
            section.report.fault(at: section.place(of: "secret_file"), "cluster.secret_file must name a file")
        }
        section.finish()
    }
}

package struct StorageSettings: Equatable, Sendable {
    package let path: String

    init(_ section: SectionReader) {
        var section = section
        path = section.path("path", default: "data")
        if path.isEmpty { section.report.fault(at: section.place(of: "path"), "storage.path must name a folder") }
        section.finish()
    }
}

package struct AuthSettings: Equatable, Sendable {
    package let enabled: Bool
    package let createAdminKey: Bool

    init(_ section: SectionReader) {
        var section = section
        enabled = section.flag("enabled", default: true)
        createAdminKey = section.flag("create_admin_key", default: true)
        section.finish()
    }
}

package struct RateLimitingSettings: Equatable, Sendable {
    package struct TierLimits: Equatable, Sendable {
        /// Nil: the tier has no limit of requests.
        package let requestsPerMinute: Int?
    }

    package let enabled: Bool
    package let adaptive: Bool
    package let free: TierLimits
    package let standard: TierLimits
    package let premium: TierLimits
    package let enterprise: TierLimits

    init(_ section: SectionReader) {
        var section = section
        enabled = section.flag("enabled", default: true)
        adaptive = section.flag("adaptive", default: true)
        var tiers = section.section("tiers")
        func limits(_ tier: String) -> TierLimits {
            var reader = tiers.section(tier)
            let limits = TierLimits(requestsPerMinute: reader.wholeNumber("requests_per_minute", in: 1...1_000_000))
            reader.finish()
            return limits
        }
        free = limits("free")
        standard = limits("standard")
        premium = limits("premium")
        enterprise = limits("enterprise")
        tiers.finish()
        section.finish()
    }
}

package struct ObservabilitySettings: Equatable, Sendable {
    /// The words of swift-log's levels.
    package enum LogLevel: String, CaseIterable, Sendable {
        case trace, debug, info, notice, warning, error, critical
    }

    package let logLevel: LogLevel
    package let accessLog: Bool
    /// `x-starling-*` fields on answers.
    package let answerHeaders: Bool

    init(_ section: SectionReader) {
        var section = section
        logLevel = section.choice("log_level", default: .info)
        accessLog = section.flag("access_log", default: true)
        answerHeaders = section.flag("answer_headers", default: true)
        section.finish()
    }
}
