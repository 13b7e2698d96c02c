/// Every way to write a wrong file that we know of, with the exact first line an operator then reads.
import Balancing
import Settings
import Testing

struct BadFile: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let line: String
    var testDescription: String { name }

    init(_ name: String, _ text: String, _ line: String) {
        self.name = name
        self.text = text
        self.line = line
    }
}

private let oneNode = "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [m]}\n"

private let badFiles: [BadFile] = [
    BadFile(
        "typo in a section", "server:\n  prot: 1\n", #"c/g.yaml:2: unknown key "prot" in server (did you mean "port"?)"#
    ),
    BadFile(
        "the style page's example", "load_balancing:\n  enabled: true\n  stratgy: round_robin\n",
        #"c/g.yaml:3: unknown key "stratgy" in load_balancing (did you mean "strategy"?)"#),
    BadFile(
        "typo at the top", "servr: {}\n",
        #"c/g.yaml:1: unknown key "servr" at the top of the file (did you mean "server"?)"#),
    BadFile(
        "nothing near", "storage:\n  frobnicate: 1\n",
        #"c/g.yaml:2: unknown key "frobnicate" in storage (known there: path)"#),
    BadFile(
        "merge keys are not ours", "storage: &s {path: x}\ngossip:\n  <<: *s\n",
        #"c/g.yaml:3: unknown key "<<" in gossip (known there: bind, advertise, seeds, profile, bytes_per_second)"#),
    BadFile(
        "typo in a worker", "cluster_nodes:\n  - {node_id: a, host: h, port: 1}\n  - {node_id: b, hst: h, port: 1}\n",
        "c/g.yaml:3: cluster_nodes.1 has no host"),
    BadFile(
        "typo in a model",
        "cluster_nodes:\n  - node_id: a\n    host: h\n    port: 1\n    models:\n      - {name: m, contxt_tokens: 5}\n",
        #"c/g.yaml:6: unknown key "contxt_tokens" in cluster_nodes.0.models.0 (did you mean "context_tokens"?)"#),
    BadFile(
        "a monitor without a scheme",
        "cluster_nodes:\n  - {node_id: a, host: h, port: 1, telemetry_url: \"h:9090/json\"}\n",
        "c/g.yaml:2: cluster_nodes.0.telemetry_url must be a URL like http://10.0.1.10:9090/json, without user, query or "
            + "fragment, not \"h:9090/json\""),
    BadFile(
        "a credential in a URL",
        "cluster_nodes:\n  - {node_id: a, host: h, port: 1, telemetry_url: \"http://me:pw@h/json\"}\n",
        "c/g.yaml:2: cluster_nodes.0.telemetry_url must be a URL like http://10.0.1.10:9090/json, without user, query or "
            + "fragment, not \"http://me:pw@h/json\""),
    BadFile(
        "a GPU with more than there is",
        "cluster_nodes:\n  - {node_id: a, host: h, port: 1, specs: {memory_gb: 64, gpu_memory_gb: 65}}\n",
        "c/g.yaml:2: cluster_nodes.0.specs.gpu_memory_gb (65) is more than memory_gb (64)"),
    BadFile(
        "sexagesimal port", "server:\n  port: 1:30\n",
        #"c/g.yaml:2: server.port must be a whole number from 0 to 65535 in plain digits, not "1:30""#),
    BadFile(
        "octal port", "server: {port: 0o17}\n",
        #"c/g.yaml:1: server.port must be a whole number from 0 to 65535 in plain digits, not "0o17""#),
    BadFile(
        "leading zero", "server: {port: 017}\n",
        #"c/g.yaml:1: server.port must be a whole number from 0 to 65535 in plain digits, not "017""#),
    BadFile(
        "underscored number", "server: {backlog: 1_000}\n",
        #"c/g.yaml:1: server.backlog must be a whole number from 1 to 65535 in plain digits, not "1_000""#),
    BadFile(
        "hexadecimal", "server: {max_body_mb: 0x10}\n",
        #"c/g.yaml:1: server.max_body_mb must be a whole number from 1 to 1024 in plain digits, not "0x10""#),
    BadFile(
        "quoted number", "server: {port: \"8000\"}\n",
        #"c/g.yaml:1: server.port must be a whole number from 0 to 65535, not "8000""#),
    BadFile(
        "fraction for a whole number", "server: {workers: 1.5}\n",
        #"c/g.yaml:1: server.workers must be a whole number from 0 to 256 in plain digits, not "1.5""#),
    BadFile(
        "larger than any integer", "server: {workers: 99999999999999999999}\n",
        #"c/g.yaml:1: server.workers must be a whole number from 0 to 256 in plain digits, not "99999999999999999999""#),
    BadFile(
        "port too large", "server:\n\n  port: 70000\n",
        "c/g.yaml:3: server.port must be a whole number from 0 to 65535, not 70000"),
    BadFile(
        "negative", "server: {workers: -1}\n", "c/g.yaml:1: server.workers must be a whole number from 0 to 256, not -1"
    ),
    BadFile(
        "a duration with a unit", "server: {drain_seconds: 30s}\n",
        #"c/g.yaml:1: server.drain_seconds must be a number from 0 to 3600 in plain digits, not "30s""#),
    BadFile(
        "not a number", "load_balancing: {stall_seconds: .nan}\n",
        #"c/g.yaml:1: load_balancing.stall_seconds must be a number from 0.1 to 3600 in plain digits, not ".nan""#),
    BadFile(
        "an exponent", "load_balancing: {stall_seconds: 1e3}\n",
        #"c/g.yaml:1: load_balancing.stall_seconds must be a number from 0.1 to 3600 in plain digits, not "1e3""#),
    BadFile("yes", "auth: {enabled: yes}\n", #"c/g.yaml:1: auth.enabled must be true or false, not "yes""#),
    BadFile("on for a flag", "auth: {enabled: on}\n", #"c/g.yaml:1: auth.enabled must be true or false, not "on""#),
    BadFile("True", "auth: {enabled: True}\n", #"c/g.yaml:1: auth.enabled must be true or false, not "True""#),
    BadFile(
        "a quoted flag", "auth: {enabled: 'true'}\n", #"c/g.yaml:1: auth.enabled must be true or false, not "true""#),
    BadFile(
        "a flag without value", "auth:\n  enabled:\n", "c/g.yaml:2: auth.enabled must be true or false, not nothing"),
    BadFile(
        "tls: on", "server:\n  tls: on\n", #"c/g.yaml:2: server.tls must be a mapping of keys and values, not "on""#),
    BadFile(
        "number for text", "replica: {name: 7}\n",
        #"c/g.yaml:1: replica.name must be text, not 7; write "7" in quotes if it is meant"#),
    BadFile(
        "list for text", "replica: {name: [a]}\n",
        "c/g.yaml:1: replica.name must be 1 to 64 letters, digits, '.', '_' or '-', not a list"),
    BadFile(
        "mapping for a number", "server:\n  port: {a: 1}\n",
        "c/g.yaml:2: server.port must be a whole number from 0 to 65535, not a mapping"),
    BadFile(
        "text for a list", "server: {trusted_hosts: a}\n",
        #"c/g.yaml:1: server.trusted_hosts must be a list of texts, like ["a", "b"], not "a""#),
    BadFile(
        "mapping for the list of workers", "cluster_nodes: {a: 1}\n",
        "c/g.yaml:1: cluster_nodes must be a list, not a mapping"),
    BadFile(
        "text for a worker", "cluster_nodes:\n  - mac\n",
        #"c/g.yaml:2: cluster_nodes.0 must be a mapping of keys and values, not "mac""#),
    BadFile(
        "a list at the top", "- a\n", "c/g.yaml:1: the file must be a mapping of sections (server:, cluster_nodes: …)"),
    BadFile(
        "duplicate node_id", oneNode + "  - {node_id: b, host: h, port: 2}\n  - {node_id: a, host: h, port: 3}\n",
        #"c/g.yaml:4: node_id "a" is used twice (first at c/g.yaml:2)"#),
    BadFile(
        "duplicate key in a block", "server:\n  port: 1\n  host: h\n  port: 2\n",
        #"c/g.yaml:4: key "port" is written twice in one mapping (first on line 2); keep one"#),
    BadFile(
        "duplicate key in a flow mapping", "\nserver: {port: 1, port: 2}\n",
        #"c/g.yaml:2: key "port" is written twice in one mapping; keep one"#),
    BadFile(
        "duplicate section", "server: {}\nauth: {}\nserver: {}\n",
        #"c/g.yaml:3: key "server" is written twice in one mapping (first on line 1); keep one"#),
    BadFile(
        "duplicate model", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [m, m]}\n",
        #"c/g.yaml:2: cluster_nodes.0.models lists "m" twice"#),
    BadFile(
        "tab in the indent", "server:\n\tport: 1\n",
        "c/g.yaml:2: is not YAML: while scanning for the next token found character that cannot start any token (column 1)"
    ),
    BadFile(
        "unclosed bracket", "server: {port: 1\n",
        "c/g.yaml:2: is not YAML: while parsing a flow mapping did not find expected ',' or '}' (column 1)"),
    BadFile(
        "two documents", "server: {}\n---\nserver: {}\n",
        "c/g.yaml:2: is not YAML: expected a single document in the stream but found another document (column 1)"),
    BadFile("undefined alias", "server: *x\n", "c/g.yaml:1: is not YAML: found undefined alias (column 9)"),
    BadFile("a foreign tag", "replica: {name: !secret a}\n", "c/g.yaml:1: tags like !secret mean nothing here"),
    BadFile("a list as a key", "? [a]\n: b\n", "c/g.yaml:1: a key must be one word, not a list or mapping"),
    BadFile(
        "unknown strategy", "load_balancing:\n  strategy: round_robbin\n",
        "c/g.yaml:2: load_balancing.strategy must be one of round_robin, least_connections, weighted_round_robin, "
            + #"resource_aware, consistent_hash, prefix_affinity, not "round_robbin" (did you mean "round_robin"?)"#),
    BadFile(
        "unknown kind", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, kind: mlxlm}\n",
        #"c/g.yaml:2: cluster_nodes.0.kind must be one of openai, mlx_lm, llama_cpp, vllm_mlx, exo, ollama, lm_studio, omlx, not "mlxlm" "#
            + #"(did you mean "mlx_lm"?)"#),
    BadFile(
        "unknown level", "observability: {log_level: verbose}\n",
        "c/g.yaml:1: observability.log_level must be one of trace, debug, info, notice, warning, error, critical, "
            + #"not "verbose""#),
    BadFile(
        "host with a scheme", "cluster_nodes:\n  - {node_id: a, host: \"http://h\", port: 1}\n",
        #"c/g.yaml:2: cluster_nodes.0.host must be a host name or address without scheme, port or path, not "http://h""#
    ),
    BadFile(
        "worker without port", "cluster_nodes:\n  - {node_id: a, host: h}\n", "c/g.yaml:2: cluster_nodes.0 has no port"),
    BadFile(
        "worker without identity", "cluster_nodes:\n  - {host: h, port: 1}\n",
        "c/g.yaml:2: cluster_nodes.0 has no node_id"),
    BadFile(
        "worker on port 0", "cluster_nodes:\n  - {node_id: a, host: h, port: 0}\n",
        "c/g.yaml:2: cluster_nodes.0.port must be a whole number from 1 to 65535, not 0"),
    BadFile(
        "node_id with a space", "cluster_nodes:\n  - {node_id: \"a b\", host: h, port: 1}\n",
        #"c/g.yaml:2: cluster_nodes.0.node_id must be 1 to 64 letters, digits, '.', '_' or '-', not "a b""#),
    BadFile(
        "weight of nothing", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, weight: 0}\n",
        "c/g.yaml:2: cluster_nodes.0.weight must be a number from 0.01 to 1000, not 0"),
    BadFile(
        "model without name", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [{bits: 4}]}\n",
        "c/g.yaml:2: cluster_nodes.0.models.0 has no name"),
    BadFile(
        "number as a model", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [7]}\n",
        #"c/g.yaml:2: cluster_nodes.0.models.0 must be text, not 7; write "7" in quotes if it is meant"#),
    BadFile(
        "empty model name", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [\"\"]}\n",
        "c/g.yaml:2: cluster_nodes.0.models.0 must be a model name of 1 to 256 bytes without control characters, "
            + #"not """#),
    BadFile(
        "more active than all",
        "cluster_nodes:\n  - {node_id: a, host: h, port: 1, models: [{name: m, parameters: 8, active_parameters: 9}]}\n",
        "c/g.yaml:2: cluster_nodes.0.models.0.active_parameters (9) is more than parameters (8)"),
    BadFile(
        "tls against scheme", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, tls: true, scheme: http}\n",
        #"c/g.yaml:2: cluster_nodes.0.scheme is "http", but tls is true; keep one of the two"#),
    BadFile(
        "authority without tls", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, tls_ca: ca.pem}\n",
        "c/g.yaml:2: cluster_nodes.0.tls_ca is given, but tls is off; add tls: true"),
    BadFile(
        "two keys", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, api_key: k, api_key_file: f}\n",
        "c/g.yaml:2: cluster_nodes.0 has both api_key and api_key_file; keep the file"),
    BadFile(
        "a missing key file", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, api_key_file: nowhere.key}\n",
        #"c/g.yaml:2: cluster_nodes.0.api_key_file "c/nowhere.key" cannot be read: No such file or directory"#),
    BadFile(
        "a key that would break a header", "cluster_nodes:\n  - {node_id: a, host: h, port: 1, api_key: \"a b\"}\n",
        "c/g.yaml:2: cluster_nodes.0.api_key must be 1 to 4096 visible ASCII characters"),
    BadFile(
        "certificate alone", "server:\n  tls: {certificate: a.pem}\n",
        "c/g.yaml:2: server.tls.certificate is given without server.tls.key; TLS needs both"),
    BadFile(
        "proxy that is no address", "server:\n  trusted_proxies: [10.0.0.0/8, proxy]\n",
        "c/g.yaml:2: server.trusted_proxies.1 must be an IP address or a range like 10.0.0.0/8 or fd00::/8, "
            + #"not "proxy""#),
    BadFile(
        "prefix too long", "server:\n  trusted_proxies: [10.0.0.0/33]\n",
        "c/g.yaml:2: server.trusted_proxies.0 must be an IP address or a range like 10.0.0.0/8 or fd00::/8, "
            + #"not "10.0.0.0/33""#),
    BadFile(
        "origin with a path", "server:\n  cors:\n    allowed_origins: [\"https://a.example/x\"]\n",
        "c/g.yaml:3: server.cors.allowed_origins.0 must be \"*\" or an origin like https://app.example.com, "
            + #"without a path, not "https://a.example/x""#),
    BadFile(
        "star and others", "server:\n  cors: {allowed_origins: [\"*\", \"https://a.example\"]}\n",
        #"c/g.yaml:2: server.cors.allowed_origins has "*" and other origins; "*" alone already means all of them"#),
    BadFile(
        "trusted host with a scheme", "server: {trusted_hosts: [\"https://a.example\"]}\n",
        "c/g.yaml:1: server.trusted_hosts.0 must be a host name like api.example.com or *.example.com, "
            + #"with a port only if it must match, not "https://a.example""#),
    BadFile(
        "gossip without port", "gossip: {bind: \"0.0.0.0\"}\n",
        #"c/g.yaml:1: gossip.bind must be a host and a port, like 0.0.0.0:7946 or [::]:7946, not "0.0.0.0""#),
    BadFile(
        "seed without port", "gossip:\n  seeds:\n    - gw-2:7946\n    - gw-3\n",
        #"c/g.yaml:4: gossip.seeds.1 "gw-3" has no port; write it as in "gw-3:7946""#),
    BadFile(
        "seed with a zone", "gossip: {seeds: [\"[fe80::1%en0]:7946\"]}\n",
        #"c/g.yaml:1: gossip.seeds.0 "[fe80::1%en0]:7946" has the zone "%en0", which means nothing on another machine; "#
            + "use an address that every replica can reach"),
    BadFile(
        "one seed twice", "gossip:\n  seeds: [gw-2:7946, \"dns:GW-2:7946\"]\n",
        #"c/g.yaml:2: gossip.seeds lists "dns:GW-2:7946" twice"#),
    BadFile(
        "a seed that is a number", "gossip: {seeds: [7946]}\n",
        #"c/g.yaml:1: gossip.seeds.0 must be text, not 7946; write "7946" in quotes if it is meant"#),
    BadFile(
        "seeds in one text", "gossip: {seeds: \"a:1,b:2\"}\n",
        #"c/g.yaml:1: gossip.seeds must be a list of texts, like ["a", "b"], not "a:1,b:2""#),
    BadFile(
        "an advertised address of nobody", "gossip: {bind: \"[::]:7946\", advertise: \"0.0.0.0:7946\"}\n",
        #"c/g.yaml:1: gossip.advertise is "0.0.0.0:7946", which nobody can send to; name the address and port at which "#
            + "other replicas reach this one"),
    BadFile(
        "an unknown profile", "gossip: {profile: man}\n",
        #"c/g.yaml:1: gossip.profile must be one of lan, wan, not "man" (did you mean "lan"?)"#),
    BadFile(
        "too little to say", "gossip: {bytes_per_second: 100}\n",
        "c/g.yaml:1: gossip.bytes_per_second must be a whole number from 10000 to 125000000, not 100"),
    BadFile(
        "two workers of one short form",
        "cluster_nodes:\n  - {node_id: mac-49128, host: h, port: 1}\n  - {node_id: mac-73421, host: h, port: 2}\n",
        #"c/g.yaml:3: node_id "mac-73421" and "mac-49128" have one short form between replicas (first at c/g.yaml:2); "#
            + "rename one of them"),
    BadFile(
        "unknown tier", "rate_limiting:\n  tiers:\n    premum: {}\n",
        #"c/g.yaml:3: unknown key "premum" in rate_limiting.tiers (did you mean "premium"?)"#),
    BadFile(
        "limit of nothing", "rate_limiting:\n  tiers: {free: {requests_per_minute: 0}}\n",
        "c/g.yaml:2: rate_limiting.tiers.free.requests_per_minute must be a whole number from 1 to 1000000, not 0"),
    BadFile(
        "a clock that never rings", "load_balancing:\n  total_seconds: 100\n  queue_seconds: 200\n",
        "c/g.yaml:2: load_balancing.first_byte_seconds (600) is longer than load_balancing.total_seconds (100), "
            + "so it could never ring"),
    BadFile(
        "alias of itself", oneNode + "models:\n  aliases: {m: m}\n", "c/g.yaml:4: models.aliases.m points at itself"),
    BadFile(
        "alias of an alias", oneNode + "models:\n  aliases: {x: m, y: x}\n",
        #"c/g.yaml:4: models.aliases.y points at the alias "x"; point it at a model, aliases do not chain"#),
    BadFile(
        "whose name", oneNode + "models: {answer_model: \"mine\"}\n",
        #"c/g.yaml:3: models.answer_model must be one of upstream, alias, not "mine""#),
    BadFile(
        "allowlist twice", oneNode + "models: {allowlist: [m, m]}\n", #"c/g.yaml:3: models.allowlist lists "m" twice"#),
]

@Suite("a wrong file says where it is wrong and what to do")
struct BadFileTests {
    @Test("the first line is exact", arguments: badFiles)
    func firstLine(_ file: BadFile) {
        do {
            _ = try SettingsLoader.load(text: file.text, path: "c/g.yaml")
            Issue.record("\(file.name): the file was taken")
        } catch {
            #expect(error.lines.first == file.line)
        }
    }

    @Test("all faults are told at once, down the file, then variables, then flags")
    func together() {
        let text = "server:\n  port: 70000\n  worker: 2\nauth: {enabled: maybe}\n"
        do {
            _ = try SettingsLoader.load(
                text: text, path: "g.yaml", environment: ["STARLING_REPLICA__NAME": "a b"],
                overrides: ["server.backlog=0"])
            Issue.record("the file was taken")
        } catch {
            #expect(
                error.lines == [
                    "g.yaml:2: server.port must be a whole number from 0 to 65535, not 70000",
                    #"g.yaml:3: unknown key "worker" in server (did you mean "workers"?)"#,
                    #"g.yaml:4: auth.enabled must be true or false, not "maybe""#,
                    "STARLING_REPLICA__NAME: replica.name must be 1 to 64 letters, digits, '.', '_' or '-', not \"a b\"",
                    "--set server.backlog: server.backlog must be a whole number from 1 to 65535, not 0",
                ])
            #expect(error.faults[1].place == .file(path: "g.yaml", line: 3, column: 3))
        }
    }

    @Test("a secret does not show in a fault about it")
    func secretInFault() {
        let text = "cluster_nodes:\n  - {node_id: a, host: h, port: 1, api_key: \"sk-very secret\"}\n"
        #expect(throws: SettingsFailure.self) { try SettingsLoader.load(text: text, path: "g.yaml") }
        do { _ = try SettingsLoader.load(text: text, path: "g.yaml") } catch {
            #expect(!error.description.contains("very"))
        }
    }

    @Test("faults are bounded at 100")
    func faultsBound() {
        func faults(_ count: Int) -> Int {
            let text = "server:\n" + (0..<count).map { "  unheard_of_\($0): 1\n" }.joined()
            do {
                _ = try SettingsLoader.load(text: text, path: "g.yaml")
                return 0
            } catch { return error.faults.count }
        }
        #expect(faults(100) == 100)
        #expect(faults(101) == 100)
    }

    @Test("copies of copies end at a bound instead of filling the memory")
    func laughter() {
        var text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for step in 1...9 {
            text +=
                "a\(step): &a\(step) [" + [String](repeating: "*a\(step - 1)", count: 10).joined(separator: ",") + "]\n"
        }
        do {
            _ = try SettingsLoader.load(text: text, path: "g.yaml")
            Issue.record("the file was taken")
        } catch {
            #expect(error.lines.first?.contains("YAML aliases may have multiplied them") == true)
        }
    }
}
