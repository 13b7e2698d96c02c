/// `config/gateway.yaml` is the reference page: it must load, and it must not forget a key.
import Foundation
import Settings
import Testing

@Suite("config/gateway.yaml")
struct ShippedFileTests {
    private static let path =
        #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/config/gateway.yaml"

    @Test("is taken without a fault or a warning")
    func loads() throws {
        let loaded = try SettingsLoader.load(path: Self.path, environment: [:])
        #expect(loaded.warnings == [])
        #expect(loaded.settings.clusterNodes.map(\.host) == ["127.0.0.1"])
        #expect(loaded.settings.clusterNodes.map(\.port) == [8080])
    }

    @Test("writes every key there is, and its values are the defaults it says they are")
    func complete() throws {
        let loaded = try SettingsLoader.load(path: Self.path, environment: [:])
        let defaults = try SettingsLoader.load(text: "", path: Self.path)
        let unwritten = loaded.values.filter { $0.place == .builtIn }.map(\.path)
        #expect(unwritten == [])
        let told = ["cluster_nodes", "rate_limiting.tiers.free"]
        for value in loaded.values where !told.contains(where: { value.path.hasPrefix($0) }) {
            let standard = defaults.values.first { $0.path == value.path }
            #expect(standard?.rendered == value.rendered, "\(value.path)")
        }
    }

    @Test("its commented keys are real: uncommented, the file still loads")
    func comments() throws {
        // The keys that most workers do not need stand in comments; a typo there would mislead just as well.
        let text = """
            cluster_nodes:
              - node_id: "a"
                host: "h"
                port: 1
                tls: true
                scheme: "https"
                tls_ca: "worker-ca.pem"
                host_header: "mac-1.local"
                api_key: "k"
                telemetry_url: "http://10.0.1.10:9090/json"
                specs: {memory_gb: 64, gpu_memory_gb: 48}
                models:
                  - {name: "m", upstream_name: "u", context_tokens: 1, vocabulary: 1, max_output_tokens: 1, parameters: 8, active_parameters: 3,
                     bits: 4, layers: 32, kv_heads: 8, head_dim: 128, bytes: 4500000000}
            """
        let loaded = try SettingsLoader.load(text: text, path: "g.yaml")
        let keys = loaded.values.filter { $0.path.hasPrefix("cluster_nodes.0.") }.compactMap {
            $0.path.split(separator: ".").last.map(String.init)
        }
        let shipped = try String(contentsOfFile: Self.path, encoding: .utf8)
        for key in keys + ["api_key_file"] { #expect(shipped.contains("\(key): "), "\(key)") }
    }
}
