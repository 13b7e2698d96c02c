/// The flock's routes with a desk that says what it is told: pages byte for byte, orders, refusals.
import HTTPEdge
import HTTPTypes
import Hummingbird
import HummingbirdCore
import KeyReplication
import Logging
import NIOCore
import NIOEmbedded
import Settings
import Synchronization
import Telemetry
import Testing

@Suite("/v1/cluster")
struct FlockRouteTests {
    private let desk = FakeDesk()

    private struct Answer {
        let status: Int
        let body: String
    }

    private func ask(
        _ method: HTTPRequest.Method, _ path: String, _ body: String = "", desk: FakeDesk?, isAdmin: Bool = true
    ) async throws -> Answer {
        let settings = try SettingsLoader.load(text: "", path: "g.yaml").settings.server
        let router = EdgeRouter.make(
            settings: settings, facts: FakeFacts(), authenticator: FakeJudge(isAdmin: isAdmin),
            metrics: MetricRegistry(), flock: desk)
        let request = Request(
            head: HTTPRequest(
                method: method, scheme: "http", authority: "gw", path: path,
                headerFields: body.isEmpty ? [:] : [.contentType: "application/json"]),
            body: RequestBody(buffer: ByteBuffer(string: body)))
        let source = ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: Logger(label: "test"))
        let response = try await router.buildResponder().respond(
            to: request, context: EdgeContext(source: source))
        let gathered = Gathered()
        try await response.body.write(gathered)
        return Answer(status: Int(response.status.code), body: gathered.text.withLock { $0 })
    }

    @Test("members are a page of exactly these names, in this order")
    func members() async throws {
        let answer = try await ask(.get, "/v1/cluster/members", desk: desk)
        #expect(answer.status == 200)
        #expect(
            answer.body == #"{"members":["#
                + #"{"name":"gw-1","status":"alive","id":"00000000000000010000000000000001","session":"000000000000000a","#
                + #""incarnation":7,"address":"10.0.0.1:7946","ready":true,"agreement":"7ca0f1e6","version":"0.1","#
                + #""rtt_ms":null,"since":1764537633.25},"#
                + #"{"name":"gw-2","status":"dead","id":"00000000000000020000000000000002","session":"000000000000000b","#
                + #""incarnation":9,"address":"10.0.0.2:7946","ready":false,"agreement":"7ca0f1e6","version":"0.1","#
                + #""rtt_ms":0.4,"since":1764537700}]}"#)
    }

    @Test("addresses are blocked for a day at most, listed and lifted")
    func blocks() async throws {
        let order = #"{"address":"10.0.0.7","seconds":60}"#
        let page = #"{"object":"list","data":[{"address":"10.0.0.7","seconds_left":60,"by":"gw-1"}]}"#
        #expect(try await ask(.get, "/admin/blocks", desk: desk).body == page)
        #expect(try await ask(.post, "/admin/blocks", order, desk: desk).body == page)
        #expect(
            try await ask(.post, "/admin/blocks", #"{"address":"2001:db8::9","seconds":1}"#, desk: desk).status == 200)
        #expect(try await ask(.delete, "/admin/blocks/10.0.0.7", desk: desk).status == 200)
        for wrong in [
            #"{"address":"10.0.0.7","seconds":0}"#, #"{"address":"10.0.0.7","seconds":86401}"#,
            #"{"address":"gw-1","seconds":60}"#, #"{"address":"10.0.0.0/8","seconds":60}"#, "{}",
        ] {
            #expect(try await ask(.post, "/admin/blocks", wrong, desk: desk).status == 400, "\(wrong)")
        }
        #expect(try await ask(.get, "/admin/blocks", desk: nil).status == 409)
        #expect(desk.orders == ["block 10.0.0.7 60", "block 2001:db8:: 1", "block 10.0.0.7 0"])
    }

    @Test("members may be asked for by status, and for all that is known of them")
    func detailed() async throws {
        let dead = try await ask(.get, "/v1/cluster/members?status=dead", desk: desk)
        #expect(dead.body.hasPrefix(#"{"members":[{"name":"gw-2""#))
        let nobody = try await ask(.get, "/v1/cluster/members?status=left", desk: desk)
        #expect(nobody.body == #"{"members":[]}"#)
        let detailed = try await ask(.get, "/v1/cluster/members?status=dead&detailed=true", desk: desk)
        #expect(
            detailed.body.contains(
                #""detail":{"self":false,"flags":["draining"],"http_port":8001,"protocol_min":1,"protocol_max":1,"keys":[4711],"#
                    + #""rtt_p99_ms":1.5,"last_ack_seconds":3.1,"udp_blocked":false,"accusers":["gw-1"]}"#))
        let wrong = try await ask(.get, "/v1/cluster/members?status=failed", desk: desk)
        #expect(wrong.status == 400)
        #expect(wrong.body.contains("status must be one of alive, suspect, dead, left, not 'failed'."))
        #expect(try await ask(.get, "/v1/cluster/members?detailed=1", desk: desk).status == 400)
    }

    @Test("status keeps its fields and gains the flock's, or says that there is none")
    func status() async throws {
        let with = try await ask(.get, "/v1/cluster/status", desk: desk)
        #expect(with.body.hasPrefix(#"{"object":"cluster.status","members":[{"name":"gw-1""#))
        #expect(
            with.body.contains(
                #""rings":{"replicas":{"version":"00000000000000aa","participants":1},"#
                    + #""workers":{"version":"00000000000000bb","participants":3},"disagreeing":["gw-2"]},"#
                    + #""gossip":{"state":"joined","mode":"direct","awareness":1,"lossy":false,"#
                    + #""bytes_sent_per_second":350,"bytes_received_per_second":340.5,"rumours":[0,2],"dropped":{"replay":3},"#
                    + #""primary_key":4711,"agreement":"7ca0f1e6","disagreeing":[]}}"#))
        let without = try await ask(.get, "/v1/cluster/status", desk: nil)
        #expect(without.body == #"{"object":"cluster.status","gossip":{"state":"off"}}"#)
    }

    @Test("join takes places to knock at, and says what is wrong with one")
    func join() async throws {
        let answer = try await ask(
            .post, "/v1/cluster/join", #"{"addresses": ["10.0.0.5:7946", "dns:gw:7946"]}"#, desk: desk)
        #expect(answer.status == 202)
        #expect(answer.body == #"{"object":"cluster.join","addresses":["10.0.0.5:7946","dns:gw:7946"]}"#)
        #expect(desk.orders == ["join 10.0.0.5:7946 dns:gw:7946"])
        let wrong = try await ask(.post, "/v1/cluster/join", #"{"addresses": ["10.0.0.5"]}"#, desk: desk)
        #expect(wrong.status == 400 && wrong.body.contains("'10.0.0.5' has no port"))
        for body in ["", "{", #"{"address": "10.0.0.5:1"}"#, #"{"addresses": "10.0.0.5:1"}"#] {
            let answer = try await ask(.post, "/v1/cluster/join", body, desk: desk)
            #expect(answer.status == 400 && answer.body.contains("The body must be JSON like"), "\(body)")
        }
        let many = "[" + (1...65).map { "\"gw-\($0):1\"" }.joined(separator: ",") + "]"
        #expect(try await ask(.post, "/v1/cluster/join", "{\"addresses\": \(many)}", desk: desk).status == 400)
        #expect(try await ask(.post, "/v1/cluster/join", #"{"addresses": []}"#, desk: desk).status == 400)
        #expect(desk.orders.count == 1)
    }

    @Test("leave and force-leave reach the desk; whoever is unknown is named")
    func leave() async throws {
        #expect(try await ask(.post, "/v1/cluster/leave", desk: desk).status == 202)
        let out = try await ask(
            .post, "/v1/cluster/force-leave", #"{"member": "gw-2", "prune": true}"#, desk: desk)
        #expect(out.status == 200)
        #expect(out.body.hasPrefix(#"{"object":"cluster.force_leave","pruned":true,"member":{"name":"gw-2","#))
        #expect(desk.orders == ["leave", "force-leave gw-2 prune"])
        let unknown = try await ask(.post, "/v1/cluster/force-leave", #"{"member": "gw-9"}"#, desk: desk)
        #expect(unknown.status == 404)
        #expect(unknown.body.contains(#""message":"There is no member 'gw-9'.""#))
        #expect(unknown.body.contains(#""code":"member_not_found""#))
    }

    @Test("keys are listed, installed, used and removed")
    func keyring() async throws {
        let page =
            #"{"object":"cluster.keyring","keys":[{"id":4711,"state":"primary","holders":2}],"members":2,"silent":["gw-3"]}"#
        #expect(try await ask(.get, "/v1/cluster/keyring", desk: desk).body == page)
        #expect(try await ask(.post, "/v1/cluster/keyring/install", desk: desk).body == page)
        _ = try await ask(.post, "/v1/cluster/keyring/use", #"{"key": 4711}"#, desk: desk)
        _ = try await ask(.post, "/v1/cluster/keyring/remove", #"{"key": 12, "now": true}"#, desk: desk)
        #expect(desk.orders == ["install", "use 4711", "remove 12 now"])
        #expect(try await ask(.post, "/v1/cluster/keyring/use", #"{"key": 70000}"#, desk: desk).status == 400)
        #expect(try await ask(.post, "/v1/cluster/keyring/rotate", desk: desk).status == 404)
        #expect(try await ask(.get, "/v1/cluster/keyring/use", desk: desk).status == 405)
    }

    @Test("reachability names the pairs that fail")
    func reachability() async throws {
        #expect(
            try await ask(.get, "/v1/cluster/reachability", desk: desk).body
                == #"{"object":"cluster.reachability","asked":3,"silent":["gw-3"],"failures":[{"from":"gw-1","to":"gw-2","why":"no ack"}]}"#
        )
        #expect(
            try await ask(.get, "/v1/cluster/reachability?local=true", desk: desk).body
                == #"{"object":"cluster.reachability","asked":1,"silent":[],"failures":[]}"#)
        #expect(try await ask(.get, "/v1/cluster/reachability?local=yes", desk: desk).status == 400)
    }

    @Test("events come as server-sent events until they end")
    func events() async throws {
        let answer = try await ask(.get, "/v1/cluster/events", desk: desk)
        #expect(
            answer.body == ": watching\n\n"
                + "event: member_dead\n"
                + #"data: {"number":1,"at":1764537633.5,"kind":"member_dead","name":"gw-2","id":"02","text":"waited=2.3s"}"#
                + "\n\n")
    }

    @Test("without gossip every route says how to get it", arguments: ["members", "reachability", "keyring", "events"])
    func off(_ page: String) async throws {
        let answer = try await ask(.get, "/v1/cluster/\(page)", desk: nil)
        #expect(answer.status == 409)
        #expect(answer.body.contains("give gossip.bind or gossip.seeds in its settings and restart it"))
        #expect(answer.body.contains(#""code":"gossip_off""#))
    }

    @Test("nobody but an administrator is told or heard", arguments: ["members", "keyring", "events", "status"])
    func admin(_ page: String) async throws {
        #expect(try await ask(.get, "/v1/cluster/\(page)", desk: desk, isAdmin: false).status == 403)
        #expect(try await ask(.post, "/admin/blocks", desk: desk, isAdmin: false).status == 403)
        for order in ["join", "leave", "force-leave", "keyring/install"] {
            #expect(try await ask(.post, "/v1/cluster/\(order)", desk: desk, isAdmin: false).status == 403)
        }
        #expect(desk.orders == [])
    }
}

// MARK: - Doubles

private final class FakeDesk: FlockDesk {
    private let told = Mutex<[String]>([])
    var orders: [String] { told.withLock { $0 } }

    private let rows = [
        MemberRow(
            name: "gw-1", status: "alive", id: "00000000000000010000000000000001", session: "000000000000000a",
            incarnation: 7, address: "10.0.0.1:7946", isReady: true, agreement: "7ca0f1e6", version: "0.1",
            sinceSeconds: 1_764_537_633.25),
        MemberRow(
            name: "gw-2", status: "dead", id: "00000000000000020000000000000002", session: "000000000000000b",
            incarnation: 9, address: "10.0.0.2:7946", isReady: false, agreement: "7ca0f1e6", version: "0.1",
            rttMilliseconds: 0.4, sinceSeconds: 1_764_537_700,
            detail: .init(
                flags: ["draining"], httpPort: 8001, keys: [4711], rttP99Milliseconds: 1.5, lastAckSeconds: 3.1,
                accusers: ["gw-1"])),
    ]
    private let keys = KeyringPage(
        keys: [.init(id: 4711, state: "primary", holders: 2)], members: 2, silent: ["gw-3"])

    func members() async -> [MemberRow] { rows }

    func status() async -> FlockStatus {
        FlockStatus(
            members: [rows[0]], replicaRing: .init(version: "00000000000000aa", participants: 1),
            workerRing: .init(version: "00000000000000bb", participants: 3), ringDisagreements: ["gw-2"],
            gossip: .init(
                state: "joined", mode: "direct", awareness: 1, bytesSentPerSecond: 350, bytesReceivedPerSecond: 340.5,
                rumours: [0, 2], dropped: [.init(reason: "replay", count: 3)], primaryKey: 4711, agreement: "7ca0f1e6"))
    }

    func join(_ seeds: [SeedAddress]) async throws(FlockRefusal) {
        note("join " + seeds.map(\.description).joined(separator: " "))
    }

    func leave() async throws(FlockRefusal) { note("leave") }

    func forceLeave(_ member: String, prune: Bool) async throws(FlockRefusal) -> MemberRow {
        guard let row = rows.first(where: { $0.name == member }) else {
            throw FlockRefusal(.unknown, code: "member_not_found", "There is no member '\(member)'.")
        }
        note("force-leave \(member)" + (prune ? " prune" : ""))
        return row
    }

    func reachability(isLocal: Bool, authorization: String?) async -> ReachabilityPage {
        if isLocal { return ReachabilityPage(asked: 1) }
        return ReachabilityPage(asked: 3, silent: ["gw-3"], failures: [.init(from: "gw-1", to: "gw-2", why: "no ack")])
    }

    func keyring() async -> KeyringPage { keys }

    func blocks() async -> BlocksPage { BlocksPage(rows: [.init(address: "10.0.0.7", secondsLeft: 60, by: "gw-1")]) }

    func block(_ address: BlockedAddress, seconds: Int) async throws(FlockRefusal) -> BlocksPage {
        note("block \(address.address) \(seconds)")
        return await blocks()
    }

    func tell(_ order: KeyringOrder) async throws(FlockRefusal) -> KeyringPage {
        switch order {
        case .install: note("install")
        case .use(let key): note("use \(key)")
        case .remove(let key, let now): note("remove \(key)" + (now ? " now" : ""))
        }
        return keys
    }

    func events() async -> AsyncStream<FlockEvent> {
        let (stream, feed) = AsyncStream.makeStream(of: FlockEvent.self)
        feed.yield(
            FlockEvent(
                number: 1, atSeconds: 1_764_537_633.5, kind: "member_dead", name: "gw-2", id: "02", text: "waited=2.3s")
        )
        feed.finish()
        return stream
    }

    private func note(_ order: String) { told.withLock { $0.append(order) } }
}

private struct FakeJudge: Authenticating {
    let isAdmin: Bool

    func authenticate(field: String?) -> Authentication {
        let id = KeyID(rawValue: "k")
        let digest = SecretDigest([UInt8](repeating: 1, count: SecretDigest.byteCount))
        let table = KeyTable([
            id: .init(digest: digest, tenant: TenantID(rawValue: "t"), role: isAdmin ? .admin : .user, tier: .free)
        ])
        guard let tenant = table.authenticate(UnverifiedBearer(keyID: id, digest: digest)) else {
            return .refused(message: "no")
        }
        return .tenant(tenant)
    }
}

private struct FakeFacts: GatewayFacts {
    let replicaName = "gw-1"
    let version = "0"
    let isDraining = false
    let reasonsNotReady: [String] = []
    let models: [ServedModel] = []

    func clusterStatus(_ flock: FlockStatus?) -> [UInt8] {
        var json = JSONText()
        json.openObject()
        json.field("object", "cluster.status")
        if let flock { flock.write(to: &json) } else { FlockStatus.writeOff(to: &json) }
        json.closeObject()
        return json.bytes
    }

    func workers() -> [UInt8] { [] }
    func worker(_ id: String) -> [UInt8]? { nil }
    func tellWorker(_ id: String, _ order: WorkerOrder) -> Bool { false }
    func decision(for requestID: String) -> [UInt8]? { nil }
    func poison() -> [UInt8] { [] }
    func forgetPoison(_ fingerprint: String?) -> Bool { false }
    func reload() async -> ReloadOutcome { .rejected([]) }
}

private final class Gathered: ResponseBodyWriter {
    let text = Mutex("")

    func write(_ buffer: ByteBuffer) async throws { text.withLock { $0 += String(buffer: buffer) } }
    func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
