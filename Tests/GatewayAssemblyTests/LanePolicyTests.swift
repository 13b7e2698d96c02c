import ExchangeFlow
import HTTPEdge
import NIOSSL
import ReplicaCore
import Settings
import Testing
import UpstreamLane

@testable import GatewayAssembly

@Suite("LanePolicy")
struct LanePolicyTests {
    @Test("every number of the file reaches the clock it is for")
    func numbers() throws {
        let settings = try settings(
            """
            server: {max_body_mb: 3, keepalive_after_seconds: 1.5, keepalive_interval_seconds: 7, trusted_proxies: ["10.0.0.0/8"]}
            load_balancing:
              queue_seconds: 11
              connect_seconds: 1.25
              first_byte_seconds: 13
              plain_first_byte_seconds: 14
              stall_seconds: 15
              total_seconds: 1600
              max_attempts: 2
              retry_budget_percent: 33
              retry_long_prompts: true
              long_prompt_tokens: 1234
            replica: {name: "gw-9"}
            """)
        let made = try LanePolicy.configuration(settings, started: settings)
        let policy = made.policy
        #expect(policy.requestBodyBytesMax == 3 << 20)
        #expect(policy.keepaliveAfter == .milliseconds(1_500) && policy.keepaliveInterval == .seconds(7))
        #expect(policy.queue == .seconds(11) && policy.connect == .milliseconds(1_250))
        #expect(policy.firstByteStream == .seconds(13) && policy.firstBytePlain == .seconds(14))
        #expect(policy.stall == .seconds(15) && policy.total == .seconds(1_600))
        #expect(policy.attemptsMax == 2 && policy.retryBudgetPercent == 33)
        #expect(policy.retriesLongPrompts && policy.longPromptTokens == 1_234)
        #expect(made.replicaName == "gw-9")
        #expect(made.trustedProxies.contains(try #require(IPAddress("10.1.2.3"))))
        #expect(!made.trustedProxies.contains(try #require(IPAddress("11.1.2.3"))))
    }

    @Test("a body of the largest size always finds room in the budget")
    func budget() throws {
        for size in [1, 32, 200] {
            let settings = try settings("server: {max_body_mb: \(size)}")
            let policy = try LanePolicy.configuration(settings, started: settings).policy
            #expect(policy.bodyBudgetBytes >= 2 * policy.requestBodyBytesMax)
        }
    }

    @Test("a reload changes balancing; the server's own part stays that of the start")
    func started() throws {
        let first = try settings(
            "server: {max_body_mb: 3}\nload_balancing: {stall_seconds: 15}\nreplica: {name: \"one\"}")
        let next = try settings(
            "server: {max_body_mb: 9}\nload_balancing: {stall_seconds: 25}\nreplica: {name: \"two\"}\n"
                + "models: {answer_model: \"alias\"}")
        #expect(try !LanePolicy.configuration(first, started: first).renamesModels)
        let made = try LanePolicy.configuration(next, started: first)
        #expect(made.policy.stall == .seconds(25) && made.renamesModels)
        #expect(made.policy.requestBodyBytesMax == 3 << 20 && made.replicaName == "one")
    }
}

@Suite("TLS to workers")
struct WorkerTLSTests {
    @Test("a context for each worker that speaks TLS, none for the others")
    func made() throws {
        let nodes = try settings(
            """
            cluster_nodes:
              - {node_id: "plain", host: "w", port: 1, models: ["m"]}
              - {node_id: "secret", host: "w", port: 2, tls: true, models: ["m"]}
            """
        ).clusterNodes
        let made = try WorkerTLS.make(for: nodes)
        #expect(Set(made.contexts.keys) == ["secret"] && Set(made.configurations.keys) == ["secret"])
        #expect(made.configurations["secret"]?.minimumTLSVersion == .tlsv12)
        #expect(made.configurations["secret"]?.certificateVerification == .fullVerification)
        let tls = WorkerTLS(made)
        tls.publish(.init())
        #expect(tls.contexts.value.isEmpty && tls.configurations.value.isEmpty)
    }

    @Test(
        "authorities that cannot be read are told by worker, file and exit code",
        arguments: ["/no/such/ca.pem", "/dev/null"])
    func badAuthorities(path: String) throws {
        let nodes = try settings(
            "cluster_nodes:\n  - {node_id: \"w\", host: \"w\", port: 2, tls: true, tls_ca: \"\(path)\", models: [\"m\"]}"
        ).clusterNodes
        let failure = #expect(throws: GatewayFailure.self) { _ = try WorkerTLS.make(for: nodes) }
        #expect(failure?.description.contains("cluster_nodes \"w\": tls_ca \"\(path)\"") == true)
        #expect(failure?.exitCode == 78)
    }
}
