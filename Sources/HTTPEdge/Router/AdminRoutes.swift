/// What only an administrator may see or do.
import HTTPTypes
import Hummingbird
import InferenceDialect
import Settings
import Telemetry

struct AdminRoutes: Sendable {
    let facts: any GatewayFacts

    static let workersPrefix = "/admin/workers/"

    /// `GET /admin/workers`
    func workers() -> Response { EdgeAnswer.json(.ok, facts.workers()) }

    /// `GET /admin/workers/{id}`
    func worker(path: String) throws(EdgeError) -> Response {
        let id = try Self.id(path)
        guard let page = facts.worker(id) else { throw .workerNotFound(id) }
        return EdgeAnswer.json(.ok, page)
    }

    /// `POST /admin/workers/{id}/drain` and `…/resume`: the worker as it is after that. Holds for all replicas that gossip
    /// with this one; where none does, until it restarts.
    func order(path: String) throws(EdgeError) -> Response {
        guard let order = WorkerOrder.allCases.first(where: { path.hasSuffix("/\($0.rawValue)") }) else {
            throw .notFound(.post, path)
        }
        let id = try Self.id(String(path.dropLast(order.rawValue.count + 1)))
        guard facts.tellWorker(id, order), let page = facts.worker(id) else { throw .workerNotFound(id) }
        return EdgeAnswer.json(.ok, page)
    }

    /// `DELETE /admin/workers/{id}`: out of the registry of all replicas until it is resumed.
    func remove(path: String) throws(EdgeError) -> Response {
        let id = try Self.id(path)
        guard facts.tellWorker(id, .remove) else { throw .workerNotFound(id) }
        return EdgeAnswer.json(.ok, facts.workers())
    }

    static let decisionsPrefix = "/admin/decisions/"

    /// `GET /admin/decisions/{request_id}`: candidates, scores, why not. The id is the answer's `x-request-id`.
    func decision(path: String) throws(EdgeError) -> Response {
        let id = try Self.id(path, after: Self.decisionsPrefix, "request_id")
        guard let page = facts.decision(for: id) else {
            throw EdgeError(
                .notFound, code: "decision_not_found", param: "request_id",
                "This replica does not remember the request '\(EdgeAnswer.shown(id))'. It keeps the last few hundred that it "
                    + "placed; another replica may have had this one.")
        }
        return EdgeAnswer.json(.ok, page)
    }

    static let poisonPrefix = "/admin/poison/"

    /// `GET /admin/poison`
    func poison() -> Response { EdgeAnswer.json(.ok, facts.poison()) }

    /// `DELETE /admin/poison[/{fingerprint}]`: what is left after it.
    func forgetPoison(path: String?) throws(EdgeError) -> Response {
        let fingerprint: String?
        if let path {
            fingerprint = try Self.id(path, after: Self.poisonPrefix, "fingerprint")
        } else {
            fingerprint = nil
        }
        guard facts.forgetPoison(fingerprint) else {
            throw EdgeError(
                .notFound, code: "fingerprint_not_found", param: "fingerprint",
                "No request of that fingerprint is suspected. GET /admin/poison lists those that are.")
        }
        return EdgeAnswer.json(.ok, facts.poison())
    }

    private static func id(
        _ path: String, after prefix: String = workersPrefix, _ name: String = "worker"
    ) throws(EdgeError) -> String {
        guard let id = ModelRoutes.percentDecoded(String(path.dropFirst(prefix.count))) else {
            throw EdgeError(
                .badRequest, code: "invalid_url", param: name, "The path's last part is not valid in a URL.")
        }
        return id
    }

    /// `POST /admin/config/reload`: what was applied and what still needs a restart; or every fault, and that nothing
    /// changed.
    func reload() async -> Response {
        switch await facts.reload() {
        case .applied(let changes): Self.applied(changes)
        case .rejected(let lines): Self.rejected(lines)
        }
    }

    static func applied(_ changes: SettingsChanges) -> Response {
        var json = JSONText()
        json.openObject()
        json.field("object", "config.reload")
        append(changes.applied.map(\.line), as: "applied", to: &json)
        append(changes.needRestart.map(\.line), as: "needs_restart", to: &json)
        json.closeObject()
        return EdgeAnswer.json(.ok, json.bytes)
    }

    static func rejected(_ lines: [String]) -> Response {
        let count = lines.count == 1 ? "a fault" : "\(lines.count) faults"
        var json = JSONText()
        json.openObject()
        json.key("error")
        json.openObject()
        json.field(
            "message",
            "The settings have \(count), so nothing was changed and the settings in use stay: "
                + lines.joined(separator: "; "))
        json.field("type", "invalid_request_error")
        json.key("param")
        json.null()
        json.field("code", "config_rejected")
        json.closeObject()
        append(lines, as: "faults", to: &json)
        json.closeObject()
        return EdgeAnswer.json(.unprocessableContent, json.bytes)
    }

    private static func append(_ lines: [String], as key: String, to json: inout JSONText) {
        json.key(key)
        json.openArray()
        for line in lines { json.string(line) }
        json.closeArray()
    }
}
