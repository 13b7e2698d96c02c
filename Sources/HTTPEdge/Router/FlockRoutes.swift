/// `/v1/cluster/…`: the flock for its operators.
import HTTPTypes
import Hummingbird
import NIOCore
import Settings
import Telemetry

struct FlockRoutes: Sendable {
    /// Nil: this replica does not gossip.
    let desk: (any FlockDesk)?
    let facts: any GatewayFacts
    let events: FlockEventStreams

    static let statuses = ["alive", "suspect", "dead", "left"]

    /// `GET /v1/cluster/status`
    func status() async -> Response {
        let flock = await desk?.status()
        return EdgeAnswer.json(.ok, facts.clusterStatus(flock))
    }

    /// `GET /v1/cluster/members[?status=dead][&detailed=true]`
    func members(_ query: Parameters) async throws(EdgeError) -> Response {
        let status = query["status"].map(String.init)
        if let status, !Self.statuses.contains(status) {
            throw .badOrder(
                "status",
                "status must be one of \(Self.statuses.joined(separator: ", ")), not '\(EdgeAnswer.shown(status))'."
            )
        }
        let isDetailed = try Self.flag("detailed", query)
        var json = JSONText(capacity: 2_048)
        json.openObject()
        json.key("members")
        json.openArray()
        for member in try await open().members() where status == nil || member.status == status {
            member.write(to: &json, isDetailed: isDetailed)
        }
        json.closeArray()
        json.closeObject()
        return EdgeAnswer.json(.ok, json.bytes)
    }

    /// `GET /v1/cluster/reachability[?local=true]`
    func reachability(_ request: Request) async throws(EdgeError) -> Response {
        let isLocal = try Self.flag("local", request.uri.queryParameters)
        let page = try await open().reachability(isLocal: isLocal, authorization: request.headers[.authorization])
        return EdgeAnswer.json(.ok, page.bytes)
    }

    /// `POST /v1/cluster/join` with `{"addresses": ["10.0.0.5:7946"]}`
    func join(_ request: Request, _ context: AdminContext) async throws -> Response {
        struct Order: Decodable { let addresses: [String] }
        _ = try open()
        let order: Order = try await Self.order(request, context, #"{"addresses": ["10.0.0.5:7946"]}"#)
        guard (1...GossipSettings.seedsMax).contains(order.addresses.count) else {
            throw EdgeError.badOrder(
                "addresses", "addresses must be 1 to \(GossipSettings.seedsMax) places, not \(order.addresses.count).")
        }
        var seeds: [SeedAddress] = []
        for address in order.addresses {
            do throws(SeedAddress.Mistake) {
                seeds.append(try SeedAddress(parsing: address))
            } catch {
                throw EdgeError.badOrder("addresses", "'\(EdgeAnswer.shown(address))' \(error.sentence).")
            }
        }
        try await told { desk throws(FlockRefusal) in try await desk.join(seeds) }
        var json = JSONText()
        json.openObject()
        json.field("object", "cluster.join")
        json.field("addresses", seeds.map(\.description))
        json.closeObject()
        return EdgeAnswer.json(.accepted, json.bytes)
    }

    /// `POST /v1/cluster/leave`
    func leave() async throws(EdgeError) -> Response {
        try await told { desk throws(FlockRefusal) in try await desk.leave() }
        var json = JSONText()
        json.openObject()
        json.field("object", "cluster.leave")
        json.field("replica", facts.replicaName)
        json.closeObject()
        return EdgeAnswer.json(.accepted, json.bytes)
    }

    /// `POST /v1/cluster/force-leave` with `{"member": "gw-2", "prune": false}`
    func forceLeave(_ request: Request, _ context: AdminContext) async throws -> Response {
        struct Order: Decodable {
            let member: String
            let prune: Bool?
        }
        _ = try open()
        let order: Order = try await Self.order(request, context, #"{"member": "gw-2", "prune": false}"#)
        let member = try await told { desk throws(FlockRefusal) in
            try await desk.forceLeave(order.member, prune: order.prune ?? false)
        }
        var json = JSONText()
        json.openObject()
        json.field("object", "cluster.force_leave")
        json.field("pruned", order.prune ?? false)
        json.key("member")
        member.write(to: &json)
        json.closeObject()
        return EdgeAnswer.json(.ok, json.bytes)
    }

    /// `GET /v1/cluster/keyring`
    func keyring() async throws(EdgeError) -> Response { EdgeAnswer.json(.ok, try await open().keyring().bytes) }

    /// `POST /v1/cluster/keyring/install`, `…/use` and `…/remove` with `{"key": 4711, "now": false}`
    func keyring(path: String, _ request: Request, _ context: AdminContext) async throws -> Response {
        struct Named: Decodable {
            let key: UInt16
            let now: Bool?
        }
        let word = path.split(separator: "/").last ?? ""
        guard ["install", "use", "remove"].contains(word) else { throw EdgeError.notFound(.post, path) }
        _ = try open()
        let order: KeyringOrder
        if word == "install" {
            order = .install
        } else {
            let named: Named = try await Self.order(request, context, #"{"key": 4711}"#)
            order = word == "use" ? .use(named.key) : .remove(named.key, now: named.now ?? false)
        }
        let page = try await told { desk throws(FlockRefusal) in try await desk.tell(order) }
        return EdgeAnswer.json(.ok, page.bytes)
    }

    static let blocksPrefix = "/admin/blocks/"

    /// `GET /admin/blocks`
    func blocks() async throws(EdgeError) -> Response { EdgeAnswer.json(.ok, try await open().blocks().bytes) }

    /// `POST /admin/blocks` with `{"address": "10.0.0.7", "seconds": 3600}`: what is blocked after that.
    func block(_ request: Request, _ context: AdminContext) async throws -> Response {
        struct Order: Decodable {
            let address: String
            let seconds: Int
        }
        _ = try open()
        let order: Order = try await Self.order(request, context, #"{"address": "10.0.0.7", "seconds": 3600}"#)
        guard (1...BlocksPage.secondsMax).contains(order.seconds) else {
            throw EdgeError.badOrder("seconds", "seconds must be 1 to \(BlocksPage.secondsMax), not \(order.seconds).")
        }
        return try await block(order.address, seconds: order.seconds)
    }

    /// `DELETE /admin/blocks/{address}`: what is blocked after that.
    func lift(path: String) async throws(EdgeError) -> Response {
        try await block(ModelRoutes.percentDecoded(String(path.dropFirst(Self.blocksPrefix.count))) ?? "", seconds: 0)
    }

    private func block(_ text: String, seconds: Int) async throws(EdgeError) -> Response {
        guard let address = BlockedAddress(text) else {
            throw .badOrder("address", "'\(EdgeAnswer.shown(text))' is no IPv4 or IPv6 address.")
        }
        let page = try await told { desk throws(FlockRefusal) in try await desk.block(address, seconds: seconds) }
        return EdgeAnswer.json(.ok, page.bytes)
    }

    /// `GET /v1/cluster/events`: one server-sent event for each thing that happens, until one side ends it.
    func eventStream() async throws(EdgeError) -> Response {
        let desk = try open()
        guard let place = events.take() else {
            throw EdgeError(
                .tooManyRequests, type: "rate_limit_error", code: "too_many_watchers",
                "\(FlockEventStreams.countMax) clients watch this replica already; watch another.")
        }
        return place.response(of: await desk.events(), isEnding: { facts.isDraining })
    }

    // MARK: -

    private func open() throws(EdgeError) -> any FlockDesk {
        guard let desk else { throw .gossipIsOff }
        return desk
    }

    private func told<Answer: Sendable>(
        _ order: (any FlockDesk) async throws(FlockRefusal) -> Answer
    ) async throws(EdgeError) -> Answer {
        let desk = try open()
        do throws(FlockRefusal) {
            return try await order(desk)
        } catch {
            throw .refused(error)
        }
    }

    private static func flag(_ name: String, _ query: Parameters) throws(EdgeError) -> Bool {
        switch query[Substring(name)] {
        case nil, "false": return false
        case "true": return true
        case let other?:
            throw .badOrder(name, "\(name) must be true or false, not '\(EdgeAnswer.shown(String(other)))'.")
        }
    }

    private static func order<Order: Decodable & Sendable>(
        _ request: Request, _ context: AdminContext, _ shape: String
    ) async throws -> Order {
        do {
            return try await request.decode(as: Order.self, context: context)
        } catch let error as any HTTPResponseError where error.status == .contentTooLarge {
            throw error
        } catch {
            throw EdgeError.badOrder("body", "The body must be JSON like \(shape).")
        }
    }
}

extension EdgeError {
    static let gossipIsOff = EdgeError(
        .conflict, code: "gossip_off",
        "This replica does not gossip, so it has no flock: give gossip.bind or gossip.seeds in its settings and restart it."
    )

    static func badOrder(_ param: String, _ message: String) -> EdgeError {
        EdgeError(.badRequest, code: "invalid_order", param: param, message)
    }

    static func refused(_ refusal: FlockRefusal) -> EdgeError {
        let status: HTTPResponse.Status =
            switch refusal.kind {
            case .unknown: .notFound
            case .unclear: .badRequest
            case .conflict: .conflict
            }
        return EdgeError(status, code: refusal.code, refusal.sentence)
    }
}
