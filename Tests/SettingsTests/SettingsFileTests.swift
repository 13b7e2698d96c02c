/// What a good file becomes: defaults, precedence, paths, secrets, bounds, and the shipped file itself.
import Balancing
import Foundation
import Settings
import Testing

private func load(
    _ text: String, path: String = "conf/g.yaml", environment: [String: String] = [:], overrides: [String] = []
) throws -> LoadedSettings {
    try SettingsLoader.load(text: text, path: path, environment: environment, overrides: overrides)
}

private func folder() throws -> String {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("starling-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}

private func write(_ bytes: some Sequence<UInt8>, to path: String, mode: Int = 0o600) {
    #expect(FileManager.default.createFile(atPath: path, contents: Data(bytes), attributes: [.posixPermissions: mode]))
}

/// The issue's own file.
private let example = """
    server:        {host: "0.0.0.0", port: 8000, workers: 1, max_body_mb: 32, drain_seconds: 30, trusted_hosts: [], trusted_proxies: [], cors: {allowed_origins: []}, tls: {certificate: "", key: ""}}
    replica:       {name: "gw-1"}
    cluster:       {name: "studio", secret_file: "data/cluster.secret"}
    gossip:        {bind: "0.0.0.0:7946", advertise: "", seeds: []}
    storage:       {path: "data"}
    auth:          {enabled: true, create_admin_key: true}
    rate_limiting: {enabled: true, adaptive: true, tiers: {free: {requests_per_minute: 20}, standard: {}, premium: {}, enterprise: {}}}
    load_balancing: {enabled: true, strategy: "resource_aware"}
    cluster_nodes:
      - {node_id: "mac-studio-m1-1", host: "10.0.1.10", port: 8080, kind: "mlx_lm", models: ["llama-7b"], weight: 1, max_concurrency: 4, specs: {chip: "M1 Max", memory_gb: 64}}
    models:        {aliases: {"gpt-4o-mini": "llama-7b"}}
    observability: {log_level: "info"}
    """

@Suite("a good file")
struct SettingsFileTests {
    @Test("the whole shape is read without a warning")
    func shape() throws {
        let loaded = try load(example)
        #expect(loaded.warnings == [])
        let settings = loaded.settings
        #expect(settings.server.port == 8000)
        #expect(settings.server.maxBodyBytes == 33_554_432)
        #expect(settings.server.tls == nil)
        #expect(settings.rateLimiting.free.requestsPerMinute == 20)
        #expect(settings.rateLimiting.premium.requestsPerMinute == nil)
        #expect(settings.loadBalancing.strategy == .resourceAware)
        let node = try #require(settings.clusterNodes.first)
        #expect(node.nodeID == "mac-studio-m1-1")
        #expect(node.kind == .mlxLM)
        #expect(node.models.map(\.name) == ["llama-7b"])
        #expect(node.models.map(\.upstreamName) == ["llama-7b"])
        #expect(node.specs.chip == "M1 Max")
        #expect(node.maxConcurrency == 4)
        #expect(node.tls == false)
        #expect(settings.models.aliases.map(\.target) == ["llama-7b"])
        #expect(settings.models.answerModel == .upstream)
    }

    @Test(
        "an empty file is all defaults, and says that it has no workers", arguments: ["", "# nothing\n", "server:\n"])
    func empty(_ text: String) throws {
        let loaded = try load(text)
        let server = loaded.settings.server
        #expect(server.port == 8000)
        #expect(server.keepaliveAfterSeconds == 2.5)
        #expect(server.halfClose == .abort)
        #expect(loaded.settings.loadBalancing.retryBudgetPercent == 20)
        #expect(loaded.settings.loadBalancing.firstByteSeconds == 600)
        #expect(
            loaded.warnings.map(\.sentence) == ["cluster_nodes is empty: no model can be served until one is added"])
        let origins = Set(loaded.values.map(\.place))
        #expect(origins == [.builtIn])
    }

    @Test("default, file, environment, --set: the later one wins, and its place is remembered")
    func precedence() throws {
        let file = "server:\n  port: 1\n  workers: 2\n  backlog: 3\n"
        let loaded = try load(
            file, environment: ["STARLING_SERVER__WORKERS": "4", "STARLING_SERVER__BACKLOG": "5"],
            overrides: ["server.backlog=6", "server.backlog=7"])
        #expect(loaded.settings.server.port == 1)
        #expect(loaded.settings.server.workers == 4)
        #expect(loaded.settings.server.backlog == 7)
        #expect(loaded.settings.server.maxBodyMB == 32)
        #expect(loaded.origin(of: "server.port") == .file(path: "conf/g.yaml", line: 2, column: 9))
        #expect(loaded.origin(of: "server.workers") == .environment("STARLING_SERVER__WORKERS"))
        #expect(loaded.origin(of: "server.backlog") == .flag("server.backlog"))
        #expect(loaded.origin(of: "server.max_body_mb") == .builtIn)
        let lines = loaded.renderShow().split(separator: "\n").map(String.init)
        #expect(lines.contains("server.port = 1   (conf/g.yaml:2)"))
        #expect(lines.contains("server.workers = 4   (environment STARLING_SERVER__WORKERS)"))
        #expect(lines.contains("server.backlog = 7   (--set server.backlog)"))
        #expect(lines.contains("server.max_body_mb = 32   (default)"))
    }

    @Test("an override reaches into lists, adds at their end, and takes text for what it must be")
    func overlay() throws {
        let loaded = try load(
            example,
            environment: [
                "STARLING_CLUSTER_NODES__0__PORT": "9000", "STARLING_REPLICA__NAME": "7",
                "STARLING_SERVER__TRUSTED_HOSTS": "[a.example, 'b.example']",
            ],
            overrides: [
                "cluster_nodes.1={node_id: second, host: 10.0.0.2, port: 8080}", "models.aliases.gpt-4.1=llama-7b",
                "gossip.seeds.0=10.0.0.9:7946",
            ])
        #expect(loaded.settings.clusterNodes.map(\.port) == [9000, 8080])
        #expect(loaded.settings.clusterNodes.map(\.nodeID) == ["mac-studio-m1-1", "second"])
        #expect(loaded.settings.replica.name == "7")
        #expect(loaded.settings.server.trustedHosts == ["a.example", "b.example"])
        #expect(loaded.settings.models.aliases.map(\.name) == ["gpt-4o-mini", "gpt-4.1"])
        #expect(loaded.settings.gossip.seeds.map(\.description) == ["10.0.0.9:7946"])
    }

    @Test("variables of ours that mean nothing are faults; others are not ours")
    func variables() throws {
        func line(_ name: String) -> String? {
            do {
                _ = try load(example, environment: [name: "1"])
                return nil
            } catch { return (error as? SettingsFailure)?.lines.first }
        }
        #expect(
            line("STARLING_SERVER__PROT")
                == #"STARLING_SERVER__PROT: unknown key "prot" in server (did you mean "STARLING_SERVER__PORT"?)"#)
        #expect(
            line("STARLING_SRVER__PORT")
                == #"STARLING_SRVER__PORT: unknown key "srver" at the top of the file (did you mean "STARLING_SERVER__PORT"?)"#
        )
        #expect(
            line("STARLING_CLUSTER_NODES__0__PROT")
                == #"STARLING_CLUSTER_NODES__0__PROT: unknown key "prot" in cluster_nodes.0 (did you mean "STARLING_CLUSTER_NODES__0__PORT"?)"#
        )
        #expect(
            line("STARLING_DEBUG")?.hasPrefix(#"STARLING_DEBUG: unknown key "debug" at the top of the file"#) == true)
        #expect(line("STARLING_SERVER__")?.hasPrefix("STARLING_SERVER__: a step of the path is empty") == true)
        #expect(
            line("STARLING_CLUSTER_NODES__2__PORT")
                == "STARLING_CLUSTER_NODES__2__PORT: index 2 is past the end of a list of 1 (the next free index is 1)")
        #expect(
            line("STARLING_SERVER__PORT__X")
                == "STARLING_SERVER__PORT__X: server.port must be a whole number from 0 to 65535, not a mapping")
        for foreign in [
            "STARLING_KEY", "STARLING_URL", "STARLING_CONFIG", "STARLING_PORT", "STARLING_SERVICE_HOST",
            "STARLING_PORT_8000_TCP_ADDR", "PATH", "starling_server__port",
        ] {
            #expect(line(foreign) == nil, "\(foreign)")
        }
    }

    @Test("--set is answered in its own words")
    func flags() throws {
        func line(_ flag: String) -> String? {
            do {
                _ = try load(example, overrides: [flag])
                return nil
            } catch { return (error as? SettingsFailure)?.lines.first }
        }
        #expect(
            line("server.prot=1") == #"--set server.prot: unknown key "prot" in server (did you mean "server.port"?)"#)
        #expect(line("server.port") == "--set server.port: expected a path and a value, like --set server.port=8001")
        #expect(
            line("server.port=")
                == #"--set server.port: server.port must be a whole number from 0 to 65535 in plain digits, not """#)
        #expect(
            line("gossip.seeds=[a") == "--set gossip.seeds: the value begins like a list or mapping but is not YAML")
        #expect(line("server.port=8001") == nil)
    }

    @Test("relative paths are relative to the file, wherever the process was started")
    func paths() throws {
        func storage(_ written: String, in path: String) throws -> String {
            try load("storage: {path: \"\(written)\"}\n", path: path).settings.storage.path
        }
        #expect(try storage("data", in: "conf/g.yaml") == "conf/data")
        #expect(try storage("data", in: "/etc/starling/g.yaml") == "/etc/starling/data")
        #expect(try storage("../data", in: "/etc/starling/g.yaml") == "/etc/data")
        #expect(try storage("./data", in: "conf/g.yaml") == "conf/data")
        #expect(try storage("../data", in: "conf/g.yaml") == "data")
        #expect(try storage("../../data", in: "conf/g.yaml") == "../data")
        #expect(try storage("/var/data", in: "conf/g.yaml") == "/var/data")
        #expect(try storage("data", in: "g.yaml") == "data")
        #expect(try storage("data", in: "/g.yaml") == "/data")
        let defaults = try load("", path: "/etc/starling/g.yaml").settings
        #expect(defaults.cluster.secretFile == "/etc/starling/data/cluster.secret")
        let tls = try load("server: {tls: {certificate: c.pem, key: k.pem}}\n", path: "/etc/s/g.yaml").settings.server
            .tls
        #expect(tls?.certificate == "/etc/s/c.pem")
        #expect(tls?.key == "/etc/s/k.pem")
    }

    @Test("a key file is read once, beside the settings file; one that others may read is refused")
    func keyFile() throws {
        let folder = try folder()
        write("sk-from-file\n".utf8, to: folder + "/w.key")
        write(
            "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [m], api_key_file: w.key}\n".utf8,
            to: folder + "/g.yaml")
        let loaded = try SettingsLoader.load(path: folder + "/g.yaml", environment: [:])
        #expect(loaded.settings.clusterNodes[0].apiKey?.value == "sk-from-file")
        #expect(!loaded.renderShow().contains("sk-from-file"))
        write("sk-from-file\n".utf8, to: folder + "/w.key", mode: 0o644)
        #expect(throws: SettingsFailure.self) { try SettingsLoader.load(path: folder + "/g.yaml", environment: [:]) }
        do { _ = try SettingsLoader.load(path: folder + "/g.yaml", environment: [:]) } catch {
            #expect(
                error.lines == [
                    "\(folder)/g.yaml:2: cluster_nodes.0.api_key_file \"\(folder)/w.key\" may be read by others; "
                        + "run: chmod 600 \(folder)/w.key"
                ])
        }
    }

    @Test("a file that is missing, too large by one byte, a folder, or not text is named")
    func unreadable() throws {
        func line(_ path: String) -> String? {
            do {
                _ = try SettingsLoader.load(path: path, environment: [:])
                return nil
            } catch { return error.lines.first }
        }
        let folder = try folder()
        #expect(
            line(folder + "/none.yaml")
                == "\(folder)/none.yaml: the settings file \"\(folder)/none.yaml\" cannot be read: No such file or directory"
        )
        #expect(line(folder) == "\(folder): the settings file \"\(folder)\" is a folder")
        let filler = "#" + String(repeating: "x", count: SettingsLoader.fileBytesMax - 2) + "\n"
        write(filler.utf8, to: folder + "/full.yaml")
        #expect(line(folder + "/full.yaml") == nil)
        write((filler + "\n").utf8, to: folder + "/over.yaml")
        #expect(
            line(folder + "/over.yaml")
                == "\(folder)/over.yaml: the settings file \"\(folder)/over.yaml\" is larger than 1048576 bytes")
        write(Array("a: 1\nb: ".utf8) + [0xe9, 0x0a], to: folder + "/latin.yaml")
        #expect(line(folder + "/latin.yaml") == "\(folder)/latin.yaml:2: the settings file is not UTF-8 text")
    }

    @Test("show hides secrets, and no print of the settings gives them away")
    func secrets() throws {
        let loaded = try load(
            "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [m], api_key: sk-hidden}\n")
        let shown = loaded.renderShow()
        #expect(shown.contains("cluster_nodes.0.api_key = ‹redacted›   (conf/g.yaml:2)\n"))
        var dumped = ""
        dump(loaded, to: &dumped)
        for text in [shown, loaded.renderCheck(), "\(loaded)", String(reflecting: loaded), dumped] {
            #expect(!text.contains("sk-hidden"))
        }
        #expect(loaded.settings.clusterNodes[0].apiKey?.value == "sk-hidden")
    }

    @Test("workers are bounded at the lane's 256 cells")
    func workersBound() throws {
        func file(_ count: Int) -> String {
            "cluster_nodes:\n"
                + (0..<count).map { "  - {node_id: n\($0), host: h, port: \($0 + 1), models: [m]}\n" }.joined()
        }
        #expect(try load(file(256)).settings.clusterNodes.count == 256)
        #expect(throws: SettingsFailure.self) { try load(file(257)) }
    }

    @Test("model names are bounded at 256 bytes")
    func modelBound() throws {
        func file(_ count: Int) -> String {
            "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [\(String(repeating: "m", count: count))]}\n"
        }
        #expect(try load(file(256)).settings.clusterNodes[0].models[0].name.count == 256)
        #expect(throws: SettingsFailure.self) { try load(file(257)) }
    }

    @Test("what is legal but odd is a warning")
    func warnings() throws {
        let text = """
            cluster_nodes:
              - {node_id: a, host: h, port: 1, models: [m], specs: {chip: "Intel"}}
              - {node_id: b, host: h, port: 1, models: [n]}
            models: {aliases: {x: gone, m: n}, allowlist: [lost]}
            """
        #expect(
            try load(text).warnings.map(\.line) == [
                #"conf/g.yaml:2: "Intel" does not look like a chip ("M2", "M2 Pro", "M2 Max", "M2 Ultra"); this worker starts with average speeds until it is measured"#,
                #"conf/g.yaml:3: "b" and "a" are one address, h:1; its slots are counted twice"#,
                #"conf/g.yaml:4: models.aliases.x points at "gone", which no cluster_nodes entry lists"#,
                "conf/g.yaml:4: models.aliases.m hides a model of the same name",
                #"conf/g.yaml:4: models.allowlist names "lost", which no cluster_nodes entry lists"#,
            ])
        // A worker that is asked for its models may turn out to have any.
        let open = "cluster_nodes:\n  - {node_id: a, host: h, port: 1}\nmodels: {aliases: {x: gone}}\n"
        #expect(try load(open).warnings == [])
    }

    @Test("a good file is summed up in a line")
    func check() throws {
        #expect(
            try load(example).renderCheck()
                == "conf/g.yaml: ok (1 worker, 4 declared slots, 1 named model, 1 alias, strategy resource_aware, listening on 0.0.0.0:8000)\n"
        )
    }
}
