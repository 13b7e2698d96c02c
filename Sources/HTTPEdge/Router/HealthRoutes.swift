/// Is the process alive, does it want traffic, and what is it called: for load balancers, supervisors and people.
import HTTPTypes
import Hummingbird
import Telemetry

struct HealthRoutes: Sendable {
    let facts: any GatewayFacts

    /// `/`: where a newcomer with a browser lands.
    func root() -> Response {
        var json = JSONText()
        json.openObject()
        json.field("name", "starling")
        json.field("version", facts.version)
        json.field("replica", facts.replicaName)
        json.key("links")
        json.openObject()
        for path in ["/v1/models", "/v1/chat/completions", "/v1/cluster/status", "/health", "/readyz", "/metrics"] {
            json.field(String(path.split(separator: "/").last ?? ""), path)
        }
        json.closeObject()
        json.closeObject()
        return EdgeAnswer.json(.ok, json.bytes)
    }

    /// `/livez`: 200 as long as anything answers. A supervisor that restarts on readiness would restart a draining
    /// replica and cut its streams.
    func live() -> Response { EdgeAnswer.json(.ok, Array(#"{"status":"ok"}"#.utf8)) }

    /// `/readyz`: 503 with the reasons while new requests should go elsewhere.
    func ready() -> Response {
        let reasons = reasons
        return EdgeAnswer.json(reasons.isEmpty ? .ok : .serviceUnavailable, page(reasons))
    }

    /// `/health`: the same page, always 200, for people and dashboards.
    func health() -> Response { EdgeAnswer.json(.ok, page(reasons)) }

    private var reasons: [String] {
        (facts.isDraining ? ["draining: running answers finish, new requests should go elsewhere"] : [])
            + facts.reasonsNotReady
    }

    private func page(_ reasons: [String]) -> [UInt8] {
        var json = JSONText()
        json.openObject()
        json.field("status", facts.isDraining ? "draining" : reasons.isEmpty ? "ready" : "not_ready")
        json.field("replica", facts.replicaName)
        json.field("version", facts.version)
        json.key("reasons")
        json.openArray()
        for reason in reasons { json.string(reason) }
        json.closeArray()
        json.closeObject()
        return json.bytes
    }
}
