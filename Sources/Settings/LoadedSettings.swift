import Balancing

/// Checked settings together with what `starling config` tells about them.
package struct LoadedSettings: Equatable, Sendable {
    /// As the operator wrote it.
    package let path: String
    package let settings: GatewaySettings
    /// Every effective leaf in the order of the sections, with the place it came from.
    package let values: [EffectiveValue]
    /// Legal, but probably not meant.
    package let warnings: [SettingsFault]

    package func origin(of path: String) -> SettingsPlace? { values.first { $0.path == path }?.place }

    /// `server.port = 8001   (--set server.port)`, a line per leaf; secrets hidden.
    package func renderShow() -> String {
        values.map { "\($0.path) = \($0.rendered)   (\($0.place.origin))\n" }.joined()
    }

    /// What `config check` says about a good file: its warnings, then one line with what it amounts to.
    package func renderCheck() -> String {
        let nodes = settings.clusterNodes
        let models = Set(nodes.flatMap { $0.models.map(\.name) }).count
        let slots = nodes.reduce(0) { $0 + ($1.maxConcurrency ?? 0) }
        var facts = [
            Self.count(nodes.count, "worker"), Self.count(models, "named model"),
            Self.count(settings.models.aliases.count, "alias", "aliases"),
            "strategy \(settings.loadBalancing.strategy.rawValue)",
            "listening on \(settings.server.host):\(settings.server.port)"
                + (settings.server.tls == nil ? "" : " with TLS"),
        ]
        if slots > 0 { facts.insert("\(slots) declared slots", at: 1) }
        let warned = warnings.map { "warning: \($0.line)\n" }.joined()
        return warned + "\(path): ok (\(facts.joined(separator: ", ")))\n"
    }

    private static func count(_ number: Int, _ noun: String, _ plural: String? = nil) -> String {
        number == 1 ? "1 \(noun)" : "\(number) \(plural ?? noun + "s")"
    }
}
