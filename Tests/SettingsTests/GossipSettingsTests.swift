/// How replicas are told of each other, and what they must say alike.
import Settings
import Testing
import WireCoding

private func load(_ text: String, _ overrides: String...) throws -> LoadedSettings {
    try SettingsLoader.load(text: text, path: "g.yaml", overrides: overrides)
}

@Suite("a seed")
struct SeedAddressTests {
    @Test(
        "is an address or a name, with its port",
        arguments: [
            ("10.0.0.5:7946", .address(PeerAddress(ipv4: 0x0a00_0005, port: 7946))),
            ("255.255.255.254:1", nil),
            ("[fd00::5]:65535", .address(PeerAddress(high: 0xfd00_0000_0000_0000, low: 5, port: 65535))),
            ("[::ffff:10.0.0.5]:7946", .address(PeerAddress(ipv4: 0x0a00_0005, port: 7946))),
            ("[::1]:1", .address(PeerAddress(high: 0, low: 1, port: 1))),
            ("gw-2.lan:7946", .name("gw-2.lan", port: 7946)),
            ("GW_2:7946", .name("gw_2", port: 7946)),
            ("localhost:1", .name("localhost", port: 1)),
            ("dns:gateways.internal:7946", .name("gateways.internal", port: 7946)),
            ("gw.example.com.:7946", .name("gw.example.com.", port: 7946)),
        ] as [(String, SeedAddress?)])
    func good(_ text: String, _ expected: SeedAddress?) {
        let seed = try? SeedAddress(parsing: text)
        guard let expected else {
            // A broadcast address: no one machine's.
            #expect(seed == nil)
            return
        }
        #expect(seed == expected)
        // What is printed is read back as the same.
        #expect(seed.flatMap { try? SeedAddress(parsing: $0.description) } == expected)
    }

    @Test(
        "that is none says what is wrong with it",
        arguments: [
            ("", "is empty; write host:port, [v6]:port or dns:name:port"),
            ("gw-2", "has no port; write it as in \"gw-2:7946\""),
            ("[fd00::5]", "has no port; write it as in \"[fd00::5]:7946\""),
            ("dns:7946", "has no port; write it as in \"dns:7946:7946\""),
            ("gw-2:", "has the port \"\"; a port is a number from 1 to 65535 in plain digits"),
            ("gw-2:0", "has the port \"0\"; a port is a number from 1 to 65535 in plain digits"),
            ("gw-2:65536", "has the port \"65536\"; a port is a number from 1 to 65535 in plain digits"),
            ("gw-2:+7946", "has the port \"+7946\"; a port is a number from 1 to 65535 in plain digits"),
            ("[::1]:07946", "has the port \"07946\"; a port is a number from 1 to 65535 in plain digits"),
            ("fd00::5:7946", "needs brackets around an IPv6 address, like [fd00::5]:7946"),
            ("[fd00::5:7946", "has no closing bracket"),
            ("[10.0.0.5]:7946", "has no IPv6 address between its brackets"),
            ("[]:7946", "has no IPv6 address between its brackets"),
            ("dns:[fd00::5]:7946", "has an address behind dns:, which is for names; leave dns: out"),
            ("dns:10.0.0.5:7946", "has an address behind dns:, which is for names; leave dns: out"),
            ("dns:", "has no host name before its port; write host:port, [v6]:port or dns:name:port"),
            ("10.0.0.300:7946", "has no IPv4 address before its port; write four numbers from 0 to 255"),
            ("10.0.1:7946", "has no IPv4 address before its port; write four numbers from 0 to 255"),
            (":7946", "has no host name before its port; write host:port, [v6]:port or dns:name:port"),
            ("gw 2:7946", "has no host name before its port; write host:port, [v6]:port or dns:name:port"),
            ("http://gw-2:7946", "is a URL; write the host and its gossip port, like 10.0.0.5:7946"),
            ("0.0.0.0:7946", "is no address of one machine; name the machine"),
            ("[::]:7946", "is no address of one machine; name the machine"),
            ("224.0.0.1:7946", "is no address of one machine; name the machine"),
            ("[ff02::1]:7946", "is no address of one machine; name the machine"),
            (String(repeating: "a", count: 301), "is longer than 300 bytes"),
        ])
    func bad(_ text: String, _ sentence: String) {
        do throws(SeedAddress.Mistake) {
            Issue.record("taken as \(try SeedAddress(parsing: text))")
        } catch {
            #expect(error.sentence == sentence)
        }
    }

    @Test("any bytes are taken or refused, and never more than that")
    func junk() {
        var state: UInt64 = 0x5eed
        let alphabet = Array("[]:.%0159af-_dns: é\u{0}")
        var taken = 0
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<Int(state % 13) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text.append(alphabet[Int(state >> 33) % alphabet.count])
            }
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            guard let seed = try? SeedAddress(parsing: text) else { continue }
            taken += 1
            #expect((try? SeedAddress(parsing: seed.description)) == seed, "\(text)")
        }
        #expect(taken > 10)
    }
}

@Suite("gossip")
struct GossipSettingsTests {
    @Test("is off until an address or another replica is named")
    func enabled() throws {
        #expect(try load("").settings.gossip.isEnabled == false)
        #expect(try load("gossip: {profile: wan}").settings.gossip.isEnabled == false)
        let seeded = try load("gossip: {seeds: [\"gw-2:7946\"]}").settings.gossip
        #expect(seeded.isEnabled)
        #expect(seeded.bind == SocketName(host: "0.0.0.0", port: 7946))
        let bound = try load("gossip: {bind: \"[::1]:0\", advertise: \"gw-1.lan:7946\"}").settings.gossip
        #expect(bound.isEnabled)
        #expect(bound.bind == SocketName(host: "::1", port: 0))
        #expect(bound.bind.description == "[::1]:0")
        #expect(bound.advertise == SocketName(host: "gw-1.lan", port: 7946))
        #expect(bound.profile == .lan)
        #expect(bound.bytesPerSecond == 125_000)
    }

    @Test("an address to tell others means nothing while it is off, and that is said")
    func pointless() throws {
        let loaded = try load("gossip: {advertise: \"10.0.0.1:7946\"}")
        #expect(
            loaded.warnings.map(\.line).contains(
                "g.yaml:1: gossip.advertise means nothing while gossip is off; give gossip.bind or gossip.seeds"))
    }

    @Test("takes 64 seeds, from the file, a variable or a flag, and not one more")
    func bound() throws {
        let list = { (count: Int) in "[" + (1...count).map { "gw-\($0):7946" }.joined(separator: ", ") + "]" }
        let variable = try SettingsLoader.load(
            text: "", path: "g.yaml", environment: ["STARLING_GOSSIP__SEEDS": list(64)])
        #expect(variable.settings.gossip.seeds.count == 64)
        #expect(try load("", "gossip.seeds=\(list(2))").settings.gossip.seeds.count == 2)
        do {
            _ = try load("gossip: {seeds: \(list(65))}")
            Issue.record("65 seeds were taken")
        } catch {
            #expect(
                (error as? SettingsFailure)?.lines == ["g.yaml:1: gossip.seeds has 65 entries; at most 64 are kept"])
        }
    }
}

@Suite("the agreement of a flock")
struct ClusterAgreementTests {
    private static let base = """
        cluster_nodes:
          - {node_id: a, host: h, port: 1, kind: mlx_lm, models: [m, n], weight: 2}
          - {node_id: b, host: h, port: 2, models: [m], api_key: one}
        models: {aliases: {x: m, y: n}}
        """

    private func agreement(_ text: String = base, _ overrides: String...) throws -> ClusterAgreement {
        ClusterAgreement(
            try SettingsLoader.load(text: text, path: "g.yaml", overrides: overrides).settings)
    }

    @Test("is the same for files that mean the same, in another order, with defaults written out")
    func same() throws {
        let other = """
            models: {answer_model: upstream, aliases: {y: n, x: m}}
            load_balancing: {strategy: resource_aware}
            cluster_nodes:
              - {node_id: b, host: h, port: 2, models: [{name: m, upstream_name: m}], api_key: two}
              - {node_id: a, host: h, port: 1, kind: mlx_lm, models: [n, m], weight: 2.0, tls: false}
            """
        #expect(try agreement(other) == agreement())
    }

    @Test(
        "leaves out what is a replica's own",
        arguments: [
            "server.port=1", "replica.name=gw-9", "gossip.seeds=[gw-2:7946]", "gossip.bind=h:1", "storage.path=x",
            "cluster.secret_file=x", "observability.log_level=debug", "load_balancing.connect_seconds=1",
            "cluster_nodes.1.api_key=two", "server.max_body_mb=1",
        ])
    func own(_ override: String) throws {
        #expect(try agreement(Self.base, override) == agreement())
    }

    @Test(
        "changes with what all must say alike, and tells in which section",
        arguments: [
            ("cluster_nodes.0.weight=3", "cluster_nodes"), ("cluster_nodes.0.port=3", "cluster_nodes"),
            ("cluster_nodes.0.max_concurrency=3", "cluster_nodes"), ("cluster_nodes.0.models.0=k", "cluster_nodes"),
            ("cluster_nodes.1.node_id=c", "cluster_nodes"), ("cluster_nodes.1.specs.memory_gb=8", "cluster_nodes"),
            ("models.aliases.z=m", "models"), ("models.allowlist=[m]", "models"),
            ("load_balancing.strategy=round_robin", "load_balancing"),
            ("rate_limiting.tiers.free.requests_per_minute=1", "rate_limiting"),
            ("rate_limiting.tiers.premium.requests_per_minute=1", "rate_limiting"),
            ("auth.enabled=false", "auth"), ("gossip.profile=wan", "gossip"), ("cluster.name=x", "cluster"),
        ])
    func different(_ override: String, _ section: String) throws {
        let before = try agreement()
        let after = try agreement(Self.base, override)
        #expect(before.hash != after.hash)
        let differing = zip(before.sections, after.sections).filter { $0.hash != $1.hash }.map(\.0.name)
        #expect(differing == [section])
    }

    @Test("is the same number in every process and every version that hashes the same settings")
    func golden() throws {
        let hash = try agreement("").hash
        #expect(hash == 2_090_912_758)
    }
}
