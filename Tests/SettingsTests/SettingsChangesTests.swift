/// What a reload may apply and what it must name as needing a restart.
import Settings
import Testing

private func load(_ text: String, overrides: [String] = []) throws -> LoadedSettings {
    try SettingsLoader.load(text: text, path: "g.yaml", overrides: overrides)
}

private let base = """
    cluster_nodes:
      - {node_id: a, host: h, port: 1, models: [m], api_key: one}
      - {node_id: b, host: h, port: 2, models: [m]}
    """

@Suite("a reload")
struct SettingsChangesTests {
    @Test("of the same file changes nothing, even if its lines moved")
    func same() throws {
        let changes = try SettingsChanges.changes(from: load(base), to: load("# a comment\n\n" + base))
        #expect(changes.isEmpty)
    }

    @Test("names what it applies")
    func applied() throws {
        let changes = try SettingsChanges.changes(
            from: load(base),
            to: load(
                base,
                overrides: [
                    "load_balancing.strategy=round_robin", "load_balancing.stall_seconds=5",
                    "observability.log_level=debug",
                    "models.aliases.x=m", "rate_limiting.tiers.free.requests_per_minute=5",
                ]))
        #expect(changes.needRestart == [])
        #expect(
            changes.applied.map(\.line) == [
                #"load_balancing.stall_seconds: was 300, is 5"#,
                #"load_balancing.strategy: was "resource_aware", is "round_robin""#,
                #"models.aliases.x: added, "m""#,
                #"observability.log_level: was "info", is "debug""#,
                "rate_limiting.tiers.free.requests_per_minute: added, 5",
            ])
    }

    @Test(
        "names what needs a restart",
        arguments: [
            "server.port=1", "server.host=127.0.0.1", "server.workers=2", "server.max_body_mb=1",
            "server.drain_seconds=1",
            "server.trusted_hosts=[a]", "replica.name=x", "cluster.name=x", "cluster.secret_file=x", "gossip.bind=h:1",
            "gossip.seeds=[gw-2:7946]", "gossip.advertise=h:1", "gossip.profile=wan", "gossip.bytes_per_second=50000",
            "storage.path=x", "auth.enabled=false", "observability.access_log=false",
        ])
    func restart(_ override: String) throws {
        let changes = try SettingsChanges.changes(from: load(base), to: load(base, overrides: [override]))
        #expect(changes.applied == [])
        #expect(changes.needRestart.map(\.path) == [String(override.split(separator: "=")[0])])
    }

    @Test("tells workers apart by node_id, not by their place in the list, and keeps secrets to itself")
    func workers() throws {
        let next = """
            cluster_nodes:
              - {node_id: c, host: h, port: 3, models: [m]}
              - {node_id: a, host: h, port: 1, models: [m, n], weight: 2, api_key: one}
            """
        let changes = try SettingsChanges.changes(from: load(base), to: load(next))
        #expect(
            changes.applied.map(\.line) == [
                "cluster_nodes[a]: changed (models.1, weight)",
                "cluster_nodes[b]: removed; its running exchanges finish",
                "cluster_nodes[c]: added, h:3",
            ])
        let rotated = base.replacing("api_key: one", with: "api_key: two")
        let secret = try SettingsChanges.changes(from: load(base), to: load(rotated))
        #expect(secret.applied.map(\.line) == ["cluster_nodes[a]: changed (api_key)"])
    }
}

@Suite("the nearest key")
struct NearestKeyTests {
    @Test(
        "is found for slips, and not for other words",
        arguments: [
            ("prot", "port"), ("stratgy", "strategy"), ("max_boddy_mb", "max_body_mb"), ("hsot", "host"),
            ("keepalive_after", nil), ("x", nil), ("", nil), ("porthole", nil),
        ] as [(String, String?)])
    func nearest(_ word: String, _ expected: String?) {
        let known = ["host", "port", "strategy", "max_body_mb", "workers"]
        #expect(NearestKey.of(word, among: known) == expected)
    }
}
